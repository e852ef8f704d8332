// Reads and writes PROXY headers of both versions (proxy-protocol.txt of HAProxy, section 2).
import { oneOf, type Size, SluiceError, sizeLimit } from '../core/index.ts'
import type { Head } from '../net/index.ts'
import type { ProxyHeader } from './header.ts'
import { describeBeginning, versionOf } from './signature.ts'
import type { Tlv } from './tlv.ts'
import { LONGEST_V1, parseV1, serializeV1 } from './v1.ts'
import { LONGEST_V2, parseV2, serializeV2 } from './v2.ts'

export interface ParseProxyHeaderOptions {
  /**
   * The longest v2 header that is taken, its fixed part included. The line of v1 has 107 bytes at most anyway.
   * @default '16kb', which is what HAProxy takes by default
   */
  readonly maxLength?: Size
}

/** What a header is written from. What is left out says as little as possible. */
export interface ProxyHeaderFields extends Partial<Omit<ProxyHeader, 'tlvs'>> {
  /** @default 2 */
  readonly version?: 1 | 2
  /** @default 'proxy' with addresses, else 'local' */
  readonly command?: 'proxy' | 'local'
  /** @default 'stream' with addresses, else 'unspec' */
  readonly transport?: ProxyHeader['transport']
  /** If their families differ, IPv4 is written as IPv4-mapped IPv6; with unix on one side, none is written. */
  readonly addresses?: ProxyHeader['addresses']
  /** In this order; ignored for v1. The value of a CRC32C (`[tlvKinds.crc32c, 4 bytes]`) is computed. */
  readonly tlvs?: Iterable<Tlv>
  /** Adds a CRC32C to a v2 header. @default false */
  readonly crc32c?: boolean
}

const DEFAULT_LONGEST: Size = '16kb'

/**
 * Reads a PROXY header, of whichever version, from the first bytes of a connection. Any split of the bytes gives the
 * same result, and an error comes with the first byte that makes it one.
 *
 * @param bytes all bytes so far
 * @returns the header and its length, or undefined if it takes more bytes to tell
 * @throws {SluiceError} `PROXY_HEADER_MISSING`, `PROXY_HEADER_MALFORMED`, `PROXY_HEADER_TOO_LARGE`,
 *   `PROXY_HEADER_CHECKSUM`, `SIZE_INVALID`, `OPTION_INVALID`
 */
export function parseProxyHeader(
  bytes: Buffer,
  options: ParseProxyHeaderOptions = {},
): Head<ProxyHeader> | undefined {
  const version = versionOf(bytes)
  if (version === undefined) return undefined
  if (version === 'none') {
    throw new SluiceError(
      'PROXY_HEADER_MISSING',
      `the connection began with ${describeBeginning(bytes)}, not with a PROXY header`,
    )
  }
  return parseVersion(version, bytes, longestHeader(options.maxLength))
}

/** Reads a header that is known to be of a version. */
export function parseVersion(version: 1 | 2, bytes: Buffer, longest: number): Head<ProxyHeader> | undefined {
  return version === 1 ? parseV1(bytes) : parseV2(bytes, longest)
}

/** The limit in bytes, within what the format can express. */
export function longestHeader(size: Size = DEFAULT_LONGEST): number {
  return Math.min(Math.max(sizeLimit('maxLength', size), LONGEST_V1), LONGEST_V2)
}

const COMMANDS = ['proxy', 'local'] as const
const TRANSPORTS = ['stream', 'dgram', 'unspec'] as const

/** The version to write: 2 unless told. */
export function proxyVersion(version: 1 | 2 = 2): 1 | 2 {
  return oneOf('version', version, [1, 2])
}

/**
 * Writes a PROXY header in one piece.
 *
 * @throws {SluiceError} `PROXY_HEADER_UNSENDABLE`, `OPTION_INVALID` for a version, command or transport that there is not
 */
export function serializeProxyHeader(fields: ProxyHeaderFields): Buffer {
  const { addresses } = fields
  const version = proxyVersion(fields.version)
  const byDefault = addresses === undefined
  const command = oneOf('command', fields.command ?? (byDefault ? 'local' : 'proxy'), COMMANDS)
  const transport = oneOf('transport', fields.transport ?? (byDefault ? 'unspec' : 'stream'), TRANSPORTS)
  if (version === 1) return serializeV1(transport, addresses)
  return serializeV2({
    command,
    transport,
    addresses,
    tlvs: fields.tlvs ?? [],
    crc32c: fields.crc32c ?? false,
  })
}
