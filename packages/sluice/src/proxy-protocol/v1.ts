// Version 1, one line of text: section 2.1.
import { type Head, type IpAddress, tryIpAddress } from '../net/index.ts'
import type { ProxyAddresses, ProxyHeader, ProxyTransport } from './header.ts'
import { malformed, quoted, tooLarge } from './malformed.ts'
import { ipText, samePlane } from './plane.ts'
import { Tlvs } from './tlvs.ts'

/** The longest line with its CRLF: `PROXY UNKNOWN` and everything else as long as it gets. */
export const LONGEST_V1 = 107

const CR = 0x0d
const LF = 0x0a

const BEGINNINGS = ['PROXY TCP4 ', 'PROXY TCP6 ', 'PROXY UNKNOWN ', 'PROXY UNKNOWN\r']

/**
 * Reads a v1 header from bytes that begin with `PROXY`; undefined if its line is not complete yet.
 *
 * The grammar is taken at its word: one space each, no leading zeros, canonical addresses of the family named, CRLF. In
 * an IPv6 address the last 32 bits may be dotted, because HAProxy and nginx print IPv4-mapped ones so.
 */
export function parseV1(bytes: Buffer): Head<ProxyHeader> | undefined {
  const start = bytes.toString('latin1', 0, 14)
  const beginning = BEGINNINGS.find(text => text.startsWith(start.slice(0, text.length)))
  if (beginning === undefined) {
    malformed(1, `${quoted(bytes.subarray(0, 14))} begins neither TCP4, TCP6 nor UNKNOWN`)
  }
  const end = lineEnd(bytes)
  if (end === undefined) return undefined
  const line = bytes.subarray(0, end)
  const unknown = beginning.startsWith('PROXY UNKNOWN')
  return {
    value: {
      version: 1,
      command: 'proxy',
      transport: unknown ? 'unspec' : 'stream',
      // What follows UNKNOWN must be ignored.
      addresses: unknown ? undefined : readAddresses(line, beginning),
      tlvs: Tlvs.none,
    },
    consumed: end + 2,
  }
}

/** Where the CRLF stands. A CR or LF by itself is an error, wherever it is. */
function lineEnd(bytes: Buffer): number | undefined {
  const length = Math.min(bytes.length, LONGEST_V1)
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]
    if (byte === LF) malformed(1, `${quoted(bytes.subarray(0, at))} ends with LF; it must end with CRLF`)
    if (byte !== CR) continue
    if (at === LONGEST_V1 - 1) break
    const next = bytes[at + 1]
    if (next === undefined) return undefined
    if (next !== LF) malformed(1, `${quoted(bytes.subarray(0, at))} is followed by a CR without LF`)
    return at
  }
  if (length === LONGEST_V1) tooLarge(1, `no CRLF within ${LONGEST_V1} bytes`)
  return undefined
}

function readAddresses(line: Buffer, beginning: string): ProxyAddresses {
  const [source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = line
    .toString('latin1', beginning.length)
    .split(' ')
  const family = beginning.includes('TCP6') ? 6 : 4
  const from = readAddress(source, family, sourcePort)
  const to = readAddress(destination, family, destinationPort)
  if (from === undefined || to === undefined || more.length > 0) {
    malformed(
      1,
      `${quoted(line)} has not exactly two canonical IPv${family} addresses and two ports, with one space between each`,
    )
  }
  return { source: from, destination: to }
}

function readAddress(host: string, family: 4 | 6, port: string): IpAddress | undefined {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return undefined
  const address = tryIpAddress(host, Number(port))
  // An IPv4-mapped address reads as IPv4, but it is written with colons.
  if (address === undefined || address.zone !== undefined) return undefined
  return host.includes(':') === (family === 6) ? address : undefined
}

/** Writes a v1 header: `UNKNOWN` for whatever version 1 has no words for (unix sockets, datagrams, nobody). */
export function serializeV1(transport: ProxyTransport, addresses: ProxyAddresses | undefined): Buffer {
  const plane = transport === 'stream' && addresses !== undefined ? samePlane(addresses) : undefined
  if (plane === undefined || plane.family === 'unix') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const { family, source, destination } = plane
  const name = family === 'ipv4' ? 'TCP4' : 'TCP6'
  const ends = `${ipText(source, family)} ${ipText(destination, family)} ${source.port} ${destination.port}`
  return Buffer.from(`PROXY ${name} ${ends}\r\n`, 'latin1')
}
