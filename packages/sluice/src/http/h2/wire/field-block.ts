// Collects the field block of HEADERS and its CONTINUATION frames (RFC 9113, section 4.3).
import {
  ConnectionError,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_SIZE,
  FRAME_SIZE_ERROR,
  PADDED,
  PRIORITIZED,
  PROTOCOL_ERROR,
} from './frames.ts'

/** Frames of one block beyond those that its bytes need: empty ones cost time and no memory. */
const SPARE_FRAMES = 8

/** A whole block, in `bytes` from `start` to `end`. */
export interface FieldBlock {
  readonly stream: number
  /** Whether nothing follows on its stream. */
  readonly ends: boolean
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

export class FieldBlocks {
  /** Bytes that a block may have. */
  readonly #most: number
  #stream = 0
  #ends = false
  #parts: Buffer[] | undefined
  #length = 0

  /** @param most bytes that a block may have, as it comes */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether a block has begun and is not complete: nothing but the rest of it may come. */
  get open(): boolean {
    return this.#parts !== undefined
  }

  /**
   * HEADERS.
   *
   * @returns the block, if that was all of it
   * @throws {ConnectionError}
   */
  begin(flags: number, stream: number, bytes: Buffer, from: number, to: number): FieldBlock | undefined {
    let start = from
    let end = to
    if ((flags & PADDED) !== 0) {
      if (start === end) throw new ConnectionError(FRAME_SIZE_ERROR, 'HEADERS have no room for their padding')
      end -= bytes[start] as number
      start += 1
    }
    if ((flags & PRIORITIZED) !== 0) {
      if (end - start < 5) throw new ConnectionError(FRAME_SIZE_ERROR, 'HEADERS have no room for a priority')
      if ((bytes.readUInt32BE(start) & 0x7fff_ffff) === stream) {
        throw new ConnectionError(PROTOCOL_ERROR, 'a stream depends on itself')
      }
      start += 5
    }
    if (end < start) throw new ConnectionError(PROTOCOL_ERROR, 'HEADERS have more padding than bytes')
    const ends = (flags & END_STREAM) !== 0
    if ((flags & END_HEADERS) !== 0) return { stream, ends, bytes, start, end }
    this.#stream = stream
    this.#ends = ends
    this.#parts = [Buffer.from(bytes.subarray(start, end))]
    this.#length = end - start
    return undefined
  }

  /**
   * CONTINUATION.
   *
   * @returns the block, if that was the last of it
   * @throws {ConnectionError}
   */
  proceed(flags: number, stream: number, bytes: Buffer, start: number, end: number): FieldBlock | undefined {
    const parts = this.#parts
    if (parts === undefined) throw new ConnectionError(PROTOCOL_ERROR, 'CONTINUATION continues nothing')
    if (stream !== this.#stream) throw new ConnectionError(PROTOCOL_ERROR, 'fields of two streams are mixed')
    this.#length += end - start
    if (this.#length > this.#most || parts.length > this.#most / FRAME_SIZE + SPARE_FRAMES) {
      throw new ConnectionError(ENHANCE_YOUR_CALM, 'the fields of one message have no end')
    }
    parts.push(Buffer.from(bytes.subarray(start, end)))
    if ((flags & END_HEADERS) === 0) return undefined
    this.#parts = undefined
    const whole = Buffer.concat(parts, this.#length)
    return { stream, ends: this.#ends, bytes: whole, start: 0, end: whole.length }
  }
}
