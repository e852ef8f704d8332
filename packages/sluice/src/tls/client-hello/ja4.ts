// JA4, the fingerprint of TLS clients (github.com/FoxIO-LLC/ja4, technical_details/JA4.md, as of 2026).
//
// Where the text is silent or implementations differ:
// - The version is the numerically highest in supported_versions that is not GREASE. If that is one without a name in the
//   text's table (a draft of TLS 1.3, for one), it is 00, and so it is if nothing but GREASE is offered.
// - SNI is `d` if the extension is there, whatever it holds.
// - An ALPN name that does not begin and end in an ASCII letter or digit is shown by the first and last digit of its hex
//   form. That is the text's rule; ja4.py and the Wireshark plugin still print the older `99`.
// - Counts are of everything but GREASE, duplicates too, and stop at 99; hashes are of the whole lists.
// - Signature algorithms are those of signature_algorithms (000d) alone, without GREASE.
// - The raw forms print an empty list as nothing, as the reference implementations do.
import { createHash } from 'node:crypto'
import type { ClientHelloFields } from './client-hello.ts'
import { extensionTypes, hex16, isReal } from './registry.ts'

/** What JA4 is made from. */
export type Ja4Input = Pick<
  ClientHelloFields,
  'versions' | 'cipherSuites' | 'extensions' | 'alpn' | 'signatureAlgorithms'
>

export interface Ja4Options {
  /**
   * - `sorted`: JA4, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
   * - `original`: JA4_o, over the lists in the client's order, SNI and ALPN among the extensions.
   * @default 'sorted'
   */
  readonly order?: 'sorted' | 'original'
  /** The lists themselves in place of their hashes: JA4_r, and JA4_ro with `order: 'original'`. @default false */
  readonly raw?: boolean
  /** What carried the ClientHello. @default 'tcp' */
  readonly transport?: 'tcp' | 'quic' | 'dtls'
}

const TRANSPORTS = { tcp: 't', quic: 'q', dtls: 'd' } as const

const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
  [0x0300, 's3'],
  [0x0002, 's2'],
  [0xfeff, 'd1'],
  [0xfefd, 'd2'],
  [0xfefc, 'd3'],
])

/** The JA4 fingerprint of a ClientHello. */
export function ja4(hello: Ja4Input, options: Ja4Options = {}): string {
  const { order = 'sorted', raw = false, transport = 'tcp' } = options
  const sorted = order === 'sorted'
  const ciphers = hello.cipherSuites.filter(isReal)
  const extensions = (hello.extensions ?? []).map(extension => extension.type).filter(isReal)
  const head =
    TRANSPORTS[transport] +
    (VERSIONS.get(Math.max(...hello.versions.filter(isReal))) ?? '00') +
    (extensions.includes(extensionTypes.serverName) ? 'd' : 'i') +
    count(ciphers) +
    count(extensions) +
    ends(hello.alpn[0] ?? '')
  const cipherList = hexList(ciphers, sorted)
  const extensionList = hexList(sorted ? extensions.filter(isInTail) : extensions, sorted)
  const algorithms = hexList(hello.signatureAlgorithms.filter(isReal), false)
  const tail = algorithms === '' ? extensionList : `${extensionList}_${algorithms}`
  return raw ? `${head}_${cipherList}_${tail}` : `${head}_${hash(cipherList)}_${hash(tail)}`
}

/** The server name and ALPN stand in the head, so that a client keeps its tail whomever it talks to. */
function isInTail(type: number): boolean {
  return type !== extensionTypes.serverName && type !== extensionTypes.alpn
}

function count(list: readonly number[]): string {
  return String(Math.min(list.length, 99)).padStart(2, '0')
}

function hexList(list: readonly number[], sorted: boolean): string {
  const digits = list.map(hex16)
  return (sorted ? digits.sort() : digits).join(',')
}

function hash(list: string): string {
  return list === '' ? '000000000000' : createHash('sha256').update(list).digest('hex').slice(0, 12)
}

/** The first and the last character of an ALPN name, given as one character a byte. */
function ends(name: string): string {
  if (name === '') return '00'
  const shown = /^[0-9A-Za-z](?:.*[0-9A-Za-z])?$/s.test(name)
    ? name
    : Buffer.from(name, 'latin1').toString('hex')
  return `${shown.at(0)}${shown.at(-1)}`
}
