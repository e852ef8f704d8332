// Options that both sides of TLS share, checked when a layer is made instead of with the first connection.
import { constants } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { SluiceError } from '../core/index.ts'
import type { TlsVersion } from './info.ts'

export interface ProtocolOptions {
  /** @default 'TLSv1.2' */
  readonly minVersion?: TlsVersion
  /** @default 'TLSv1.3' */
  readonly maxVersion?: TlsVersion
  /**
   * Cipher suites in order of preference, by the names of the standard (TLS 1.3) and OpenSSL (TLS 1.2), or an OpenSSL
   * cipher string. Bun chooses the suites of TLS 1.3 by itself.
   * @default the platform's
   */
  readonly ciphers?: string | readonly string[]
  /**
   * Key exchange groups in order of preference: `X25519MLKEM768`, `X25519`, `P-256`.
   * @default the platform's
   */
  readonly groups?: readonly string[]
  /**
   * Application protocols in order of preference: `['h2', 'http/1.1']`.
   * @default none
   */
  readonly alpn?: readonly string[]
}

const VERSIONS: readonly string[] = ['TLSv1.2', 'TLSv1.3']

/** RFC 7301, section 3.1: one byte for the length of a name, two for that of the list. */
const LONGEST_PROTOCOL = 255
const LONGEST_PROTOCOL_LIST = 65_535

/**
 * The options as the platform takes them. Renegotiation is off: it lets a client have us do expensive work again and
 * again, and confused who had proved what (CVE-2009-3555).
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID`
 */
export function contextOptions(options: ProtocolOptions): SecureContextOptions {
  const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', ciphers, groups } = options
  for (const version of [minVersion, maxVersion]) {
    if (!VERSIONS.includes(version)) {
      throw invalid(`TLS version ${JSON.stringify(version)} is not one of ${VERSIONS.join(', ')}`)
    }
  }
  if (minVersion > maxVersion) throw invalid(`minVersion ${minVersion} is above maxVersion ${maxVersion}`)
  const context = {
    minVersion,
    maxVersion,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ciphers !== undefined && { ciphers: typeof ciphers === 'string' ? ciphers : ciphers.join(':') }),
    ...(groups !== undefined && { ecdhCurve: groups.join(':') }),
  }
  if (context.ciphers === '') throw invalid('ciphers is empty; name at least one, or leave it out')
  if (context.ecdhCurve === '') throw invalid('groups is empty; name at least one, or leave it out')
  try {
    createSecureContext(context)
  } catch (cause) {
    const given = JSON.stringify({ ciphers, groups, minVersion, maxVersion })
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalid(`the platform does not accept ${given} (${reason})`, cause)
  }
  return context
}

/**
 * A list of application protocols, checked; undefined if none is to be offered.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID`
 */
export function protocolList(alpn: readonly string[] = []): string[] | undefined {
  let total = 0
  for (const name of alpn) {
    const length = Buffer.byteLength(name)
    total += 1 + length
    if (length === 0 || length > LONGEST_PROTOCOL) {
      throw invalid(`ALPN protocol ${JSON.stringify(name)} must have 1 to ${LONGEST_PROTOCOL} bytes`)
    }
  }
  if (total > LONGEST_PROTOCOL_LIST)
    throw invalid(`the ALPN list is longer than ${LONGEST_PROTOCOL_LIST} bytes`)
  if (new Set(alpn).size < alpn.length)
    throw invalid(`the ALPN list names a protocol twice: ${alpn.join(', ')}`)
  return alpn.length === 0 ? undefined : [...alpn]
}

export function invalid(message: string, cause?: unknown): SluiceError {
  return new SluiceError('TLS_OPTION_INVALID', message, cause === undefined ? undefined : { cause })
}
