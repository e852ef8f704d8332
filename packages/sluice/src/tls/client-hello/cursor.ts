// Reads the vectors of the TLS presentation language (RFC 8446, section 3) out of bytes, with every bound checked.
import { malformed } from './errors.ts'

/** A position in bytes that have an end. All that is read is named, so that an error says which field is wrong. */
export class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  number(width: 1 | 2, field: string): number {
    this.#need(width, field)
    const value = width === 1 ? this.#bytes.readUInt8(this.#at) : this.#bytes.readUInt16BE(this.#at)
    this.#at += width
    return value
  }

  take(length: number, field: string): Buffer {
    this.#need(length, field)
    const taken = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return taken
  }

  /** Bytes with their length before them: `opaque field<least..2^(8*width)-1>`. */
  opaque(width: 1 | 2, least: number, field: string): Buffer {
    const length = this.number(width, field)
    if (length < least) throw malformed(`has ${length} bytes of ${field}; the least is ${least}`)
    return this.take(length, field)
  }

  /** A list of at least one number, with the list's length in bytes before it. */
  numbers(width: 1 | 2, size: 1 | 2, field: string): readonly number[] {
    const bytes = this.opaque(width, size, field)
    if (bytes.length % size !== 0) throw malformed(`has half a value at the end of ${field}`)
    const list: number[] = []
    for (let at = 0; at < bytes.length; at += size) {
      list.push(size === 1 ? bytes.readUInt8(at) : bytes.readUInt16BE(at))
    }
    return list
  }

  /** Refuses what is left over. */
  end(field: string): void {
    if (this.left > 0) throw malformed(`has ${this.left} bytes too many after ${field}`)
  }

  #need(length: number, field: string): void {
    if (length > this.left) {
      throw malformed(`ends within ${field}: it needs ${length} bytes and ${this.left} are left`)
    }
  }
}
