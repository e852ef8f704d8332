// JA3, the older fingerprint of TLS clients (github.com/salesforce/ja3, README and python/ja3.py).
//
// Where the text is silent, this follows ja3.py, the reference:
// - SSLVersion is the version field of the ClientHello, not that of the record and not supported_versions.
// - GREASE is left out of cipher suites, extensions and groups; signalling cipher suites (0x00ff, 0x5600) stay in.
// - Fields that the client sent nothing for are empty, and their commas stay.
import { createHash } from 'node:crypto'
import type { ClientHelloFields } from './client-hello.ts'
import { isReal } from './registry.ts'

export interface Ja3 {
  /** `SSLVersion,Cipher,SSLExtension,EllipticCurve,EllipticCurvePointFormat`, in decimal, lists joined by `-`. */
  readonly text: string
  /** The MD5 of the text, 32 lower-case hex digits. */
  readonly hash: string
}

/** What JA3 is made from. */
export type Ja3Input = Pick<
  ClientHelloFields,
  'legacyVersion' | 'cipherSuites' | 'extensions' | 'groups' | 'pointFormats'
>

/**
 * The JA3 fingerprint of a ClientHello. Clients that shuffle their extensions (Chromium since 110) get another one with
 * every connection: JA4 was made for them.
 */
export function ja3(hello: Ja3Input): Ja3 {
  const text = [
    hello.legacyVersion,
    joined(hello.cipherSuites),
    joined((hello.extensions ?? []).map(extension => extension.type)),
    joined(hello.groups),
    joined(hello.pointFormats),
  ].join(',')
  return { text, hash: createHash('md5').update(text).digest('hex') }
}

function joined(values: readonly number[]): string {
  return values.filter(isReal).join('-')
}
