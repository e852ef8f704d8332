// Tells what a connection that doesn't begin with TLS begins with, so that the error says what to change.
import { SluiceError } from '../../core/index.ts'
import { malformed, printable } from './errors.ts'

const PROXY_V1 = Buffer.from('PROXY ')
const PROXY_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** No registered method is longer than 17 letters (UPDATEREDIRECTREF). */
const LONGEST_METHOD = 20
const SPACE = 0x20

/**
 * The error for a connection whose first byte is not that of a TLS handshake record, or undefined while the bytes so
 * far can still become an HTTP request or a PROXY header. Looks at no more than the first few dozen bytes.
 */
export function whyNotTls(bytes: Buffer): SluiceError | undefined {
  const first = bytes[0] ?? 0
  if (first >= 0x14 && first <= 0x18) {
    if (bytes.length < 2) return undefined
    if (bytes[1] === 3) return malformed(`is missing: the connection begins with ${recordName(first)} of TLS`)
  }
  if (first === PROXY_V2[0]) {
    const length = Math.min(bytes.length, PROXY_V2.length)
    if (!bytes.subarray(0, length).equals(PROXY_V2.subarray(0, length))) return notTls(bytes)
    return length < PROXY_V2.length ? undefined : proxyHeader(2)
  }
  return method(bytes)
}

/** A method, a space, and the beginning of a target: `/`, `*`, `http`, or anything like a host after CONNECT. */
function method(bytes: Buffer): SluiceError | undefined {
  let at = 0
  while (at < bytes.length && at < LONGEST_METHOD && isMethodByte(bytes[at])) at++
  if (at === bytes.length) return undefined
  if (at === 0 || bytes[at] !== SPACE) return notTls(bytes)
  if (at === PROXY_V1.length - 1 && bytes.subarray(0, at + 1).equals(PROXY_V1)) return proxyHeader(1)
  const name = bytes.toString('latin1', 0, at)
  const target = bytes.toString('latin1', at + 1, at + 5).toLowerCase()
  if (target === '') return undefined
  if (/^[/*]/.test(target) || (name === 'CONNECT' && /^[a-z0-9_[]/.test(target)) || target === 'http') {
    return new SluiceError(
      'TLS_PLAIN_HTTP',
      `the client began a plain HTTP request (${name}) where TLS was expected; use https:// on the client's side`,
    )
  }
  return target.length < 4 && 'http'.startsWith(target) ? undefined : notTls(bytes)
}

function isMethodByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x41 && byte <= 0x5a) || byte === 0x2d)
}

function proxyHeader(version: 1 | 2): SluiceError {
  return new SluiceError(
    'TLS_NOT_TLS',
    `the client sent a PROXY protocol header (version ${version}) where TLS was expected; ` +
      'put acceptProxyHeader above acceptTls',
  )
}

/** The error for anything else. */
export function notTls(bytes: Buffer): SluiceError {
  return new SluiceError(
    'TLS_NOT_TLS',
    `the client sent "${printable(bytes, 16)}" where a TLS ClientHello was expected`,
  )
}

/** A record's content type in words, with its article (RFC 8446, section 5.1). */
export function recordName(type: number): string {
  switch (type) {
    case 0x14:
      return 'a change_cipher_spec record'
    case 0x15:
      return 'an alert record'
    case 0x16:
      return 'a handshake record'
    case 0x17:
      return 'an application data record'
    default:
      return `a record of type ${type}`
  }
}
