// Finds the first handshake message in the records at the beginning of a connection (RFC 8446, sections 4 and 5.1).
import { malformed, tooLarge } from './errors.ts'
import { notTls, recordName, whyNotTls } from './not-tls.ts'

const RECORD_HEADER = 5
const MESSAGE_HEADER = 4
const HANDSHAKE = 0x16
const CLIENT_HELLO = 1
/** The longest plaintext of a record. */
const LONGEST_FRAGMENT = 2 ** 14

/** Real clients use one record, or two or three for a hello with large key shares; one-byte records still fit. */
const MOST_RECORDS = 4096

/** The most bytes on the wire that a ClientHello of up to `limit` bytes can take with its record headers. */
export function wireLimit(limit: number): number {
  return limit + MOST_RECORDS * RECORD_HEADER
}

/**
 * Collects the first handshake message. It is given all bytes so far, again and again as they grow, and goes on where
 * it stopped, so that a peer that sends single bytes costs work in proportion to its bytes.
 */
export class MessageReader {
  readonly #limit: number
  /** Where the next record begins, or the one that is not complete yet. */
  #record = 0
  #records = 0
  /** How many bytes of the message lie in the records before. */
  #gathered = 0
  /** How many bytes of the message's own header were read, and where the next one is to be looked for. */
  #headerBytes = 0
  #headerAt = 0
  /** With its header; not known before that was read. */
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * The body of the ClientHello, copied, once it is complete. Each check depends on bytes in their order alone, so any
   * split gives the same result.
   */
  read(bytes: Buffer): Buffer | undefined {
    if (bytes.length === 0) return undefined
    if (this.#record === 0) {
      if (bytes[0] !== HANDSHAKE) {
        const error = whyNotTls(bytes)
        if (error === undefined) return undefined
        throw error
      }
      // The minor version is to be ignored (RFC 8446, section 5.1); the major one never was anything else.
      if (bytes.length > 1 && bytes[1] !== 3) throw notTls(bytes)
    }
    while (bytes.length >= this.#record + RECORD_HEADER) {
      const begin = this.#record + RECORD_HEADER
      const end = begin + this.#fragmentLength(bytes)
      this.#readHeader(bytes, begin, end)
      if (this.#headerBytes === MESSAGE_HEADER && this.#gathered + end - begin > this.#total) {
        throw malformed(
          `of ${this.#total} bytes is followed by ${this.#gathered + end - begin - this.#total} more in its record`,
        )
      }
      if (bytes.length < end) return undefined
      this.#gathered += end - begin
      this.#record = end
      this.#records++
      if (this.#headerBytes === MESSAGE_HEADER && this.#gathered === this.#total) return this.#body(bytes)
    }
    return undefined
  }

  #fragmentLength(bytes: Buffer): number {
    const at = this.#record
    if (bytes[at] !== HANDSHAKE) throw malformed(`is interrupted by ${recordName(bytes[at] ?? 0)}`)
    if (bytes[at + 1] !== 3) throw malformed(`goes on in a record of version ${bytes[at + 1]}`)
    if (this.#records === MOST_RECORDS) throw tooLarge(`is spread over more than ${MOST_RECORDS} records`)
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0) throw malformed('comes with an empty record, which RFC 8446 forbids')
    if (length > LONGEST_FRAGMENT) {
      throw malformed(`comes in a record of ${length} bytes; the most is ${LONGEST_FRAGMENT}`)
    }
    return length
  }

  /** Takes what there is of the message's type and length, whichever records they lie in. */
  #readHeader(bytes: Buffer, begin: number, end: number): void {
    if (this.#headerAt < begin) this.#headerAt = begin
    const stop = Math.min(end, bytes.length)
    while (this.#headerBytes < MESSAGE_HEADER && this.#headerAt < stop) {
      const byte = bytes[this.#headerAt++] ?? 0
      if (this.#headerBytes++ > 0) this.#total = this.#total * 256 + byte
      else if (byte !== CLIENT_HELLO)
        throw malformed(`is missing: the first handshake message has type ${byte}`)
      if (this.#headerBytes === MESSAGE_HEADER) {
        this.#total += MESSAGE_HEADER
        if (this.#total > this.#limit) {
          throw tooLarge(`has ${this.#total} bytes; the limit is ${this.#limit}`)
        }
      }
    }
  }

  /** A copy, because a slice would keep all that was read together with it in memory. */
  #body(bytes: Buffer): Buffer {
    const message = Buffer.allocUnsafeSlow(this.#total)
    let written = 0
    for (let at = 0; written < this.#total; ) {
      const begin = at + RECORD_HEADER
      at = begin + bytes.readUInt16BE(at + 3)
      written += bytes.copy(message, written, begin, at)
    }
    return message.subarray(MESSAGE_HEADER)
  }
}
