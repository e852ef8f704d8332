// Takes the frames of HTTP/2 out of a byte stream (RFC 9113, section 4.1), however it is split. What DATA carries is handed
// on as it comes; every other frame when it is whole.
import {
  ConnectionError,
  DATA,
  FRAME_SIZE,
  FRAME_SIZE_ERROR,
  HEAD,
  PADDED,
  PROTOCOL_ERROR,
} from './frames.ts'

/** What is told of the frames. */
export interface FrameHandler {
  /** A whole frame that is not DATA: its payload lies in `bytes` from `start` to `end`, and may not be kept. */
  frame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void
  /** A DATA frame begins. `length` is what flow control counts: the whole payload, with `padding` bytes of it for nothing. */
  dataBegins(stream: number, flags: number, length: number, padding: number): void
  /** The next bytes that the DATA frame carries. They may be kept. */
  data(chunk: Buffer): void
  /** The DATA frame is complete. */
  dataEnds(): void
}

export class FrameReader {
  readonly #handler: FrameHandler
  /** The beginning of a frame that is not complete, in the pieces in which it came. */
  #pieces: Buffer[] = []
  #kept = 0
  /** How many bytes there must be to go on. */
  #needed = HEAD
  /** Whether a DATA frame is under way. */
  #inData = false
  /** Bytes that are missing of what it carries, and of the padding behind that. */
  #content = 0
  #padding = 0

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /**
   * The next bytes.
   *
   * @throws {ConnectionError}
   */
  read(chunk: Buffer): void {
    let bytes = chunk
    if (this.#kept > 0) {
      this.#pieces.push(chunk)
      this.#kept += chunk.length
      if (this.#kept < this.#needed) return
      bytes = Buffer.concat(this.#pieces, this.#kept)
      this.#pieces = []
      this.#kept = 0
    }
    const end = bytes.length
    let at = 0
    while (at < end) {
      if (this.#inData) {
        at = this.#readData(bytes, at, end)
        continue
      }
      const next = end - at < HEAD ? at : this.#readFrame(bytes, at, end)
      if (next > at) {
        at = next
        continue
      }
      if (end - at < HEAD) this.#needed = HEAD
      this.#pieces.push(at === 0 ? bytes : bytes.subarray(at))
      this.#kept = end - at
      return
    }
  }

  /** @returns where the next frame begins; `at` if more is needed */
  #readFrame(bytes: Buffer, at: number, end: number): number {
    const length =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    if (length > FRAME_SIZE) {
      throw new ConnectionError(FRAME_SIZE_ERROR, `a frame has ${length} bytes, the limit is ${FRAME_SIZE}`)
    }
    const type = bytes[at + 3] as number
    const flags = bytes[at + 4] as number
    const start = at + HEAD
    if (type !== DATA) {
      this.#needed = HEAD + length
      if (end - start < length) return at
      this.#handler.frame(type, flags, streamAt(bytes, at + 5), bytes, start, start + length)
      return start + length
    }
    const padded = (flags & PADDED) !== 0
    if (!padded) {
      this.#beginData(streamAt(bytes, at + 5), flags, length, 0, length)
      return start
    }
    this.#needed = HEAD + 1
    if (length > 0 && start === end) return at
    const padding = length === 0 ? 0 : (bytes[start] as number)
    if (padding >= length) throw new ConnectionError(PROTOCOL_ERROR, 'a DATA frame is all padding, and more')
    this.#beginData(streamAt(bytes, at + 5), flags, length, padding, length - 1 - padding)
    return start + 1
  }

  #beginData(stream: number, flags: number, length: number, padding: number, content: number): void {
    this.#handler.dataBegins(stream, flags, length, length - content)
    this.#inData = true
    this.#content = content
    this.#padding = padding
    if (length === 0 || (content === 0 && padding === 0)) this.#endData()
  }

  #readData(bytes: Buffer, from: number, end: number): number {
    let at = from
    if (this.#content > 0) {
      const stop = Math.min(end, at + this.#content)
      this.#content -= stop - at
      this.#handler.data(bytes.subarray(at, stop))
      at = stop
    }
    if (this.#content === 0) {
      const skipped = Math.min(end - at, this.#padding)
      this.#padding -= skipped
      at += skipped
      if (this.#padding === 0) this.#endData()
    }
    return at
  }

  #endData(): void {
    this.#inData = false
    this.#handler.dataEnds()
  }
}

/** The stream in a frame's head, without the reserved bit. */
function streamAt(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) & 0x7f) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}
