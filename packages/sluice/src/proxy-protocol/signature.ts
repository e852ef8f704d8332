// How a PROXY header begins, and what it is if it is something else.
import { quoted } from './malformed.ts'

/** The 12 bytes that every v2 header begins with (section 2.2). */
export const V2_SIGNATURE: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Every v1 header begins with this word, followed by a space (section 2.1). */
const V1_SIGNATURE: Buffer = Buffer.from('PROXY', 'latin1')

/**
 * Which header some first bytes begin: undefined if it takes more of them to tell. What is no header is known by its
 * first byte that differs, so that nobody waits for a client that speaks something else.
 */
export function versionOf(bytes: Buffer): 1 | 2 | 'none' | undefined {
  const signature = bytes[0] === V2_SIGNATURE[0] ? V2_SIGNATURE : V1_SIGNATURE
  const length = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, length, 0, length) !== 0) return 'none'
  if (length < signature.length) return undefined
  return signature === V2_SIGNATURE ? 2 : 1
}

/** What a connection that brought no header began with, for people: `"GET / HTTP/1.1"`, `a TLS ClientHello`. */
export function describeBeginning(bytes: Buffer): string {
  if (bytes[0] === 0x16 && (bytes.length < 2 || bytes[1] === 3)) return 'a TLS handshake'
  const end = bytes.findIndex(byte => byte === 0x0d || byte === 0x0a)
  return quoted(end > 0 ? bytes.subarray(0, end) : bytes)
}
