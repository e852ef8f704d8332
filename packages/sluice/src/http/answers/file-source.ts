// The bytes of a file as a body: read as they are taken, so that memory stays constant.
import { close, read } from 'node:fs'
import { SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'

/** Bytes that are read at once. */
const CHUNK = 64 * 1024

/** Reads a part of an open file, and closes it whatever happens: at the end, at a failure, or when nobody wants the rest. */
export class FileSource implements BodySource {
  readonly #descriptor: number
  readonly #path: string
  #position: number
  #left: number
  #sink: BodySink | undefined
  /** What is read into again, where the sink borrows. */
  #buffer: Buffer | undefined
  #paused = false
  #reading = false
  #over = false
  #closed = false

  constructor(descriptor: number, path: string, first: number, length: number) {
    this.#descriptor = descriptor
    this.#path = path
    this.#position = first
    this.#left = length
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.#read()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#read()
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#sink = undefined
    if (!this.#reading) this.#close()
  }

  #read(): void {
    if (this.#over || this.#paused || this.#reading || this.#sink === undefined) return
    this.#reading = true
    const length = Math.min(CHUNK, this.#left)
    const buffer = this.#bufferOf(length)
    read(this.#descriptor, buffer, 0, length, this.#position, this.#onRead)
  }

  #bufferOf(length: number): Buffer {
    if (this.#sink?.borrows !== true) return Buffer.allocUnsafeSlow(length)
    this.#buffer ??= Buffer.allocUnsafeSlow(length)
    return this.#buffer
  }

  readonly #onRead = (error: NodeJS.ErrnoException | null, count: number, buffer: Buffer): void => {
    this.#reading = false
    if (this.#over) {
      this.#close()
      return
    }
    if (error !== null || count === 0) {
      this.#fail(error)
      return
    }
    this.#position += count
    this.#left -= count
    const sink = this.#sink
    try {
      sink?.data(buffer.subarray(0, count), sink.borrows === true)
    } catch (fault) {
      this.#fail(fault)
      return
    }
    if (this.#over) return
    if (this.#left > 0) {
      this.#read()
      return
    }
    this.#over = true
    this.#close()
    sink?.end()
  }

  #fail(cause: unknown): void {
    const sink = this.#sink
    const wasOver = this.#over
    this.#over = true
    this.#close()
    if (wasOver) return
    const why = cause === null ? 'it has become shorter' : 'reading failed'
    sink?.fail(
      new SluiceError('HTTP_FILE_FAILED', `the file "${this.#path}" could not be sent to its end: ${why}`, {
        cause: cause ?? undefined,
      }),
    )
  }

  #close(): void {
    // A second time it would be the descriptor of somebody else.
    if (this.#closed) return
    this.#closed = true
    close(this.#descriptor, () => {})
  }
}
