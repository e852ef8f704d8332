// IP addresses between text, bytes and sockets. Text is canonical: RFC 5952 for IPv6, dotted quads for IPv4.
import type { Socket } from 'node:net'
import { SluiceError } from '../core/index.ts'
import { type Address, IpAddress, UnixAddress } from './address.ts'

/** Visible ASCII but `%`, `/`, `[` and `]`: what an interface may be called without breaking the text around it. */
const ZONE = /^[!-$&-.0-Z\\^-~]{1,32}$/

/** Before the dotted address of an IPv4 client whose connection an IPv6 socket accepted, as platforms print it. */
const MAPPED = '::ffff:'

const DOT = 0x2e
const ZERO = 0x30

/**
 * An address from what the platform calls a socket's address. IPv4-mapped IPv6 becomes IPv4, so that one client has
 * one address whatever kind of socket accepted it; a zone is kept.
 *
 * @throws {SluiceError} `ADDRESS_INVALID` if `host` is not an IP address
 */
export function ipAddress(host: string, port: number): IpAddress {
  const address = tryIpAddress(host, port)
  if (address === undefined) {
    throw new SluiceError(
      'ADDRESS_INVALID',
      `"${host}" is not an IP address; write one such as 192.0.2.1 or 2001:db8::1`,
    )
  }
  return address
}

/** As `ipAddress`, but undefined for what is not an IP address. */
export function tryIpAddress(host: string, port: number): IpAddress | undefined {
  const dotted = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host
  if (parseIpv4(dotted) !== undefined) return new IpAddress('ipv4', dotted, port)
  const percent = host.indexOf('%')
  const zone = percent < 0 ? undefined : host.slice(percent + 1)
  if (zone !== undefined && !ZONE.test(zone)) return undefined
  const groups = parseIpv6(percent < 0 ? host : host.slice(0, percent))
  return groups === undefined ? undefined : fromGroups(groups, port, zone)
}

/** The 4 or 16 bytes of an address, in network order. */
export function ipBytes(address: IpAddress): Buffer {
  if (address.family === 'ipv4') {
    const bits = parseIpv4(address.host)
    if (bits !== undefined) return Buffer.from([bits >>> 24, bits >>> 16, bits >>> 8, bits])
  } else {
    const groups = parseIpv6(address.host)
    if (groups !== undefined) return Buffer.from(groups.flatMap(group => [group >> 8, group & 0xff]))
  }
  throw new SluiceError('ADDRESS_INVALID', `"${address.host}" is not an ${address.family} address`)
}

/**
 * The address that 4 or 16 bytes in network order stand for. IPv4-mapped IPv6 becomes IPv4.
 *
 * @throws {SluiceError} `ADDRESS_INVALID` for any other number of bytes
 */
export function ipFromBytes(bytes: Uint8Array, port: number): IpAddress {
  if (bytes.length === 4) return new IpAddress('ipv4', bytes.join('.'), port)
  if (bytes.length !== 16) {
    throw new SluiceError(
      'ADDRESS_INVALID',
      `${bytes.length} bytes are not an IP address; IPv4 has 4 and IPv6 has 16`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return fromGroups(
    Array.from({ length: 8 }, (_, index) => view.getUint16(2 * index)),
    port,
  )
}

/**
 * Who is at the other end of an accepted or connected socket. The other end of a unix socket has no name, so that its
 * address is `UnixAddress('')`.
 *
 * @throws {SluiceError} `DOWNSTREAM_RESET` if the socket was gone before it could be asked. It must not be taken for a
 *   unix socket then, whose peers some trust.
 */
export function peerAddress(socket: Socket): Address {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress !== undefined) return ipAddress(remoteAddress, remotePort ?? 0)
  if (socket.destroyed || socket.localAddress !== undefined) {
    throw new SluiceError('DOWNSTREAM_RESET', 'the connection was reset before it could be looked at')
  }
  return new UnixAddress('')
}

/**
 * The address on this machine of a socket; of a unix socket, `path`, as the platform doesn't say.
 *
 * @throws {SluiceError} `DOWNSTREAM_RESET` if the socket was gone before it could be asked
 */
export function localAddress(socket: Socket, path: string = ''): Address {
  const { localAddress: host, localPort } = socket
  if (host !== undefined) return ipAddress(host, localPort ?? 0)
  if (socket.destroyed) {
    throw new SluiceError('DOWNSTREAM_RESET', 'the connection was reset before it could be looked at')
  }
  return new UnixAddress(path)
}

/**
 * The 32 bits of an IPv4 address. Strictly four decimal numbers: octal, hexadecimal and short forms mean different things
 * to different programs. By hand, because two addresses of each connection come through here.
 */
function parseIpv4(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined
  let bits = 0
  let parts = 0
  /** Of the part so far; below zero without a digit. */
  let number = -1
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? DOT : text.charCodeAt(at)
    if (code === DOT) {
      if (number < 0) return undefined
      bits = bits * 256 + number
      parts += 1
      number = -1
    } else {
      // A zero stands alone.
      if (code < ZERO || code > ZERO + 9 || number === 0) return undefined
      number = Math.max(0, number) * 10 + code - ZERO
      if (number > 255) return undefined
    }
  }
  return parts === 4 ? bits : undefined
}

/** The eight groups of an IPv6 address without zone (RFC 4291, section 2.2). */
function parseIpv6(text: string): number[] | undefined {
  if (text.length < 2 || text.length > 45) return undefined
  let hexadecimal = text
  if (text.includes('.')) {
    // The last 32 bits may be written as IPv4.
    const start = text.lastIndexOf(':') + 1
    const bits = parseIpv4(text.slice(start))
    if (bits === undefined || start === 0) return undefined
    hexadecimal = `${text.slice(0, start)}${(bits >>> 16).toString(16)}:${(bits & 0xffff).toString(16)}`
  }
  const halves = hexadecimal.split('::')
  const [left = [], right = []] = halves.map(half => (half === '' ? [] : half.split(':')))
  const written = [...left, ...right]
  if (halves.length > 2 || !written.every(group => /^[\da-f]{1,4}$/i.test(group))) return undefined
  // `::` stands for one group of zeros or more.
  if (halves.length === 2 ? written.length > 7 : written.length !== 8) return undefined
  const zeros = Array<string>(8 - written.length).fill('0')
  return [...left, ...zeros, ...right].map(group => Number.parseInt(group, 16))
}

function fromGroups(groups: readonly number[], port: number, zone?: string): IpAddress {
  const [, , , , , marker, high = 0, low = 0] = groups
  if (marker === 0xffff && groups.slice(0, 5).every(group => group === 0)) {
    return new IpAddress('ipv4', `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`, port)
  }
  return new IpAddress('ipv6', printGroups(groups), port, zone)
}

/** RFC 5952, section 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function printGroups(groups: readonly number[]): string {
  let start = 0
  let length = 1
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && groups[to] === 0) to++
    if (to - from > length) {
      start = from
      length = to - from
    }
  }
  const text = groups.map(group => group.toString(16))
  if (length < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`
}
