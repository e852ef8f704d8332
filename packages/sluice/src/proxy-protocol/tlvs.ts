// The fields of a PROXY v2 header, in order, with access by name (sections 2.2.1 to 2.2.7).
import { isUtf8 } from 'node:buffer'
import { malformed } from './malformed.ts'
import { type ProxySsl, parseSsl } from './ssl.ts'
import type { Tlv } from './tlv.ts'

/** The kinds that the specification names. */
export const tlvKinds: {
  readonly alpn: 0x01
  readonly authority: 0x02
  readonly crc32c: 0x03
  readonly noop: 0x04
  readonly uniqueId: 0x05
  readonly ssl: 0x20
  readonly netns: 0x30
} = { alpn: 0x01, authority: 0x02, crc32c: 0x03, noop: 0x04, uniqueId: 0x05, ssl: 0x20, netns: 0x30 }

/** The longest unique id (section 2.2.5). */
export const LONGEST_UNIQUE_ID = 128

/**
 * The fields of a header in the order in which they came, those that nobody here knows too. The accessors give what a
 * trusted sender said: `authority` is not checked to be a host name, nor `alpn` to be a protocol.
 */
export class Tlvs implements Iterable<Tlv> {
  static readonly none: Tlvs = new Tlvs([])
  readonly #list: readonly Tlv[]

  constructor(list: readonly Tlv[]) {
    this.#list = list
  }

  get length(): number {
    return this.#list.length
  }

  [Symbol.iterator](): Iterator<Tlv> {
    return this.#list[Symbol.iterator]()
  }

  /** The value of the first field of a kind. */
  get(kind: number): Uint8Array | undefined {
    return this.#list.find(tlv => tlv.kind === kind)?.value
  }

  /** The application protocol, `h2` say. Each byte is one character. */
  get alpn(): string | undefined {
    return this.#text(tlvKinds.alpn, 'latin1')
  }

  /** The host name that the client asked for: the SNI where it spoke TLS. */
  get authority(): string | undefined {
    return this.#text(tlvKinds.authority, 'utf8')
  }

  /** What the sender calls the connection, at most 128 bytes. */
  get uniqueId(): Uint8Array | undefined {
    return this.get(tlvKinds.uniqueId)
  }

  /** How the client spoke TLS to the sender. */
  get ssl(): ProxySsl | undefined {
    const value = this.get(tlvKinds.ssl)
    return value === undefined ? undefined : parseSsl(value)
  }

  /** The name of the network namespace. Each byte is one character. */
  get netns(): string | undefined {
    return this.#text(tlvKinds.netns, 'latin1')
  }

  /** For logs: what is known by name, the rest as `0xea` with its value in hexadecimal. */
  toJSON(): Record<string, unknown> {
    const { alpn, authority, uniqueId, ssl, netns } = this
    const known: Record<string, unknown> = {
      alpn,
      authority,
      uniqueId: uniqueId === undefined ? undefined : Buffer.from(uniqueId).toString('hex'),
      ssl,
      netns,
    }
    const named: number[] = Object.values(tlvKinds)
    const others = this.#list.filter(({ kind }) => !named.includes(kind))
    return {
      ...Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)),
      ...Object.fromEntries(
        others.map(({ kind, value }) => [
          `0x${kind.toString(16).padStart(2, '0')}`,
          Buffer.from(value).toString('hex'),
        ]),
      ),
    }
  }

  #text(kind: number, encoding: 'latin1' | 'utf8'): string | undefined {
    const value = this.get(kind)
    return value === undefined ? undefined : Buffer.from(value).toString(encoding)
  }
}

/**
 * Refuses fields whose value is not what their kind says: what a typed accessor would have to guess at. The values of
 * unknown kinds are anything.
 */
export function checkTlvs(list: readonly Tlv[]): void {
  let sums = 0
  for (const { kind, value } of list) {
    switch (kind) {
      case tlvKinds.authority:
        if (!isUtf8(value)) malformed(2, 'its AUTHORITY is not UTF-8')
        break
      case tlvKinds.crc32c:
        if (value.length !== 4) malformed(2, `its CRC32C has ${value.length} bytes; it must have 4`)
        if (++sums > 1) malformed(2, 'it has more than one CRC32C')
        break
      case tlvKinds.uniqueId:
        if (value.length > LONGEST_UNIQUE_ID) {
          malformed(2, `its UNIQUE_ID has ${value.length} bytes; the longest allowed is ${LONGEST_UNIQUE_ID}`)
        }
        break
      case tlvKinds.ssl:
        if (parseSsl(value) === undefined) malformed(2, 'the lengths inside its SSL field do not add up')
        break
    }
  }
}
