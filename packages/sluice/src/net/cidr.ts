// Sets of networks (RFC 4632, RFC 4291), for deciding whom to trust.
import { BlockList } from 'node:net'
import { SluiceError } from '../core/index.ts'
import type { Address, IpAddress } from './address.ts'
import { ipBytes, ipFromBytes, tryIpAddress } from './ip.ts'

/** A set of networks, ready to be asked. */
export interface NetworkSet {
  /** Whether an address is in one of the networks. */
  has(address: Address): boolean
  /** The networks in canonical form, names written out. */
  toString(): string
}

const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * Networks by name. `private` is what no stranger on the internet can send from: this machine, RFC 1918, RFC 4193, and
 * link-local. 100.64.0.0/10 (RFC 6598) is not in it, because a carrier's other customers may be there: write it out
 * if it is yours.
 */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  loopback: LOOPBACK,
  private: [
    ...LOOPBACK,
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '169.254.0.0/16',
    'fc00::/7',
    'fe80::/10',
  ],
}

/**
 * A set of networks from CIDRs (`10.0.0.0/8`, `2001:db8::/32`), single addresses, and the names `loopback`, `private`
 * (loopback, RFC 1918, RFC 4193 and link-local; not 100.64.0.0/10) and `unix` (peers on unix sockets). There is no name
 * for everyone: write `0.0.0.0/0` and `::/0`, each of which is of its family alone.
 *
 * @throws {SluiceError} `CIDR_INVALID` for anything else, and for a network with bits set after its prefix
 */
export function networks(list: readonly string[]): NetworkSet {
  const ipv4 = new BlockList()
  const ipv6 = new BlockList()
  const unix = list.includes('unix')
  const cidrs = list.filter(entry => entry !== 'unix').flatMap(entry => named(entry) ?? [entry])
  const printed = cidrs.map(cidr => {
    const { address, prefix } = parseCidr(cidr)
    // One list a family: in a shared one, IPv4 addresses are found in IPv6 networks such as ::/0.
    const of = address.family === 'ipv4' ? ipv4 : ipv6
    of.addSubnet(address.host, prefix, address.family)
    return `${address.host}/${prefix}`
  })
  if (unix) printed.push('unix')
  return {
    has(address) {
      if (address.family === 'unix') return unix
      return (address.family === 'ipv4' ? ipv4 : ipv6).check(address.host, address.family)
    },
    toString: () => [...new Set(printed)].join(', '),
  }
}

function named(entry: string): readonly string[] | undefined {
  return Object.hasOwn(NAMES, entry) ? NAMES[entry] : undefined
}

function parseCidr(text: string): { address: IpAddress; prefix: number } {
  const [host = '', digits, ...rest] = text.split('/')
  const address = tryIpAddress(host, 0)
  if (address === undefined || address.zone !== undefined || rest.length > 0) {
    return fail(
      text,
      'write a network such as 10.0.0.0/8 or fd00::/8, an address, loopback, private or unix; everyone is 0.0.0.0/0 and ::/0',
    )
  }
  // An IPv4-mapped network counts the 96 bits before the IPv4 address; shorter, it would reach beyond IPv4.
  const offset = address.family === 'ipv4' && host.includes(':') ? 96 : 0
  const longest = address.family === 'ipv4' ? 32 : 128
  const written =
    digits === undefined ? longest + offset : /^(?:0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) : -1
  const prefix = written - offset
  if (prefix < 0 || prefix > longest) {
    return fail(
      text,
      `the prefix must be a number from ${offset} to ${offset + longest} without leading zeros`,
    )
  }
  const base = ipFromBytes(masked(ipBytes(address), prefix), 0)
  if (base.host !== address.host) {
    return fail(
      text,
      `it has bits set after its prefix; write ${base.host}/${prefix} for the network, or ${address.host} for the address`,
    )
  }
  return { address, prefix }
}

function masked(bytes: Buffer, prefix: number): Buffer {
  return Buffer.from(
    bytes.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - 8 * index)))),
  )
}

function fail(text: string, why: string): never {
  throw new SluiceError('CIDR_INVALID', `network ${JSON.stringify(text)} can't be read: ${why}`)
}
