// How the ClientHello parser says what it found.
import { SluiceError } from '../../core/index.ts'

/** The error for a ClientHello that breaks its grammar; `found` completes the sentence "the ClientHello …". */
export function malformed(found: string): SluiceError<'TLS_CLIENT_HELLO_MALFORMED'> {
  return new SluiceError('TLS_CLIENT_HELLO_MALFORMED', `the ClientHello ${found}`)
}

/** The error for a ClientHello beyond a limit. */
export function tooLarge(found: string): SluiceError<'TLS_CLIENT_HELLO_TOO_LARGE'> {
  return new SluiceError('TLS_CLIENT_HELLO_TOO_LARGE', `the ClientHello ${found}`)
}

/** Bytes for a message or a log line: printable ASCII as it is, everything else escaped, cut after `most` bytes. */
export function printable(bytes: Buffer, most: number): string {
  let text = ''
  for (const byte of bytes.subarray(0, most)) {
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte <= 0x7e) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return bytes.length > most ? `${text}...` : text
}
