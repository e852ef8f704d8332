// How the parsers say what is wrong with a header.
import { SluiceError } from '../core/index.ts'

/** Refuses a header that begins well and then breaks the grammar. */
export function malformed(version: 1 | 2, why: string): never {
  throw new SluiceError(
    'PROXY_HEADER_MALFORMED',
    `the connection began with a PROXY v${version} header that breaks the specification: ${why}`,
  )
}

/** Refuses a header that is longer than allowed. */
export function tooLarge(version: 1 | 2, why: string): never {
  throw new SluiceError(
    'PROXY_HEADER_TOO_LARGE',
    `the connection began with a PROXY v${version} header that is too long: ${why}`,
  )
}

const MOST_QUOTED = 60

/** Bytes from a peer as a short quoted text of one line, safe for logs and terminals. */
export function quoted(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, MOST_QUOTED)
  // JSON leaves DEL and the C1 control characters as they are; terminals obey some of them.
  const escaped = JSON.stringify(text).replace(
    /[\x7f-\xff]/g,
    character => `\\x${character.charCodeAt(0).toString(16)}`,
  )
  return bytes.length > MOST_QUOTED ? `${escaped}…` : escaped
}
