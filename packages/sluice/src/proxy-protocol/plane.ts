// Both ends of a header must be of one family. Where they are not, IPv4 is mapped to IPv6 (RFC 4291, section 2.5.5.2).
import { type Address, type IpAddress, ipBytes, type UnixAddress } from '../net/index.ts'
import type { ProxyAddresses } from './header.ts'

/** Two ends that can be written in one family, and that family. */
export type Plane =
  | { readonly family: 'ipv4' | 'ipv6'; readonly source: IpAddress; readonly destination: IpAddress }
  | { readonly family: 'unix'; readonly source: UnixAddress; readonly destination: UnixAddress }

/** The family in which both ends can be written; undefined for a unix socket at one end and IP at the other. */
export function samePlane({ source, destination }: ProxyAddresses): Plane | undefined {
  if (source.family === 'unix' && destination.family === 'unix') {
    return { family: 'unix', source, destination }
  }
  if (!isIp(source) || !isIp(destination)) return undefined
  const family = source.family === 'ipv4' && destination.family === 'ipv4' ? 'ipv4' : 'ipv6'
  return { family, source, destination }
}

/** The text of an address in a family. A mapped one is written with colons only, which every reader understands. */
export function ipText(address: IpAddress, family: 'ipv4' | 'ipv6'): string {
  if (address.family === family) return address.host
  const bytes = ipBytes(address)
  return `::ffff:${bytes.readUInt16BE(0).toString(16)}:${bytes.readUInt16BE(2).toString(16)}`
}

/** Writes the 4 or 16 bytes of an address in a family. */
export function writeIp(into: Buffer, at: number, address: IpAddress, family: 'ipv4' | 'ipv6'): void {
  const bytes = ipBytes(address)
  if (address.family === family) {
    into.set(bytes, at)
    return
  }
  into.fill(0, at, at + 10)
  into.fill(0xff, at + 10, at + 12)
  into.set(bytes, at + 12)
}

function isIp(address: Address): address is IpAddress {
  return address.family !== 'unix'
}
