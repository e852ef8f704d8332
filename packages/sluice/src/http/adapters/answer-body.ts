// The body of an answer that an application writes piece by piece: kept until it is asked for, with flow control both
// ways. `write` and its callbacks are as of the platform's streams.
import { getDefaultHighWaterMark } from 'node:stream'
import { SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'

export type WriteCallback = (error?: Error | null) => void

/** The application that writes. */
export interface AnswerWriter {
  /** All that was written has been taken, after `write` had said false. */
  drained(): void
  /** Nobody wants the rest. */
  cancelled(): void
}

const LIMIT = getDefaultHighWaterMark(false)

export class AnswerBody implements BodySource {
  readonly #writer: AnswerWriter
  #chunks: Buffer[] = []
  #callbacks: WriteCallback[] = []
  /** Bytes that nobody has taken yet. */
  #length = 0
  #sink: BodySink | undefined
  #paused = true
  #needsDrain = false
  #ended = false
  #trailers: HeaderList | undefined
  #over = false
  #failure: { readonly error: unknown } | undefined
  #flushing = false

  constructor(writer: AnswerWriter) {
    this.#writer = writer
  }

  get length(): number {
    return this.#length
  }

  /** Whether all of it has been written. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether whoever writes was told to wait. */
  get needsDrain(): boolean {
    return this.#needsDrain
  }

  /**
   * Takes the next bytes.
   *
   * @param callback called when they were taken on
   * @returns whether there is room for more
   */
  write(bytes: Buffer, callback?: WriteCallback): boolean {
    if (this.#over || this.#ended) {
      if (callback !== undefined) process.nextTick(callback, this.#over ? gone() : null)
      return !this.#over
    }
    if (this.#paused || this.#chunks.length > 0) {
      if (bytes.length > 0) this.#chunks.push(bytes)
      this.#length += bytes.length
      if (callback !== undefined) this.#callbacks.push(callback)
    } else {
      if (bytes.length > 0) this.#give(bytes)
      if (callback === undefined) {
        // Most writes have none.
      } else if (this.#paused) this.#callbacks.push(callback)
      else process.nextTick(callback)
    }
    this.#needsDrain ||= this.#length >= LIMIT || (this.#paused && this.#sink !== undefined)
    return !this.#needsDrain
  }

  /** All of it has been written. */
  end(trailers?: HeaderList): void {
    if (this.#over || this.#ended) return
    this.#ended = true
    this.#trailers = trailers
    if (!this.#paused) this.#flush()
  }

  /** It breaks off. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#stop(error)
    this.#failure = { error }
    this.#sink?.fail(error)
  }

  /** All of it at once, if nobody has begun to take it and its end has been written. */
  takeWhole(): Buffer | undefined {
    if (!this.#ended || this.#sink !== undefined || this.#over || this.#trailers !== undefined)
      return undefined
    const [first = Buffer.alloc(0), ...rest] = this.#chunks
    const whole = rest.length === 0 ? first : Buffer.concat(this.#chunks, this.#length)
    this.#chunks = []
    this.#length = 0
    this.#over = true
    this.#callBack()
    return whole
  }

  start(sink: BodySink): void {
    this.#sink = sink
    queueMicrotask(() => {
      if (this.#failure === undefined) this.resume()
      else sink.fail(this.#failure.error)
    })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (this.#over || this.#sink === undefined) return
    this.#paused = false
    if (!this.#flushing) this.#flush()
  }

  cancel(): void {
    if (this.#over) return
    this.#stop(gone())
    this.#writer.cancelled()
  }

  #flush(): void {
    let given = 0
    const chunks = this.#chunks
    this.#flushing = true
    while (given < chunks.length && !this.#paused && !this.#over) {
      const chunk = chunks[given++] as Buffer
      this.#length -= chunk.length
      this.#give(chunk)
    }
    this.#flushing = false
    if (this.#over) return
    chunks.splice(0, given)
    if (chunks.length > 0 || this.#paused) return
    this.#callBack()
    if (this.#ended) {
      this.#over = true
      this.#sink?.end(this.#trailers)
    } else if (this.#needsDrain) {
      this.#needsDrain = false
      this.#writer.drained()
    }
  }

  #give(bytes: Buffer): void {
    try {
      this.#sink?.data(bytes)
    } catch (error) {
      this.fail(error)
      this.#writer.cancelled()
    }
  }

  #callBack(error: unknown = null): void {
    const callbacks = this.#callbacks
    if (callbacks.length === 0) return
    this.#callbacks = []
    for (const callback of callbacks) process.nextTick(callback, error)
  }

  #stop(error: unknown): void {
    this.#over = true
    this.#chunks = []
    this.#length = 0
    this.#callBack(error)
  }
}

function gone(): SluiceError {
  return new SluiceError('DOWNSTREAM_CLOSED', 'the client went before the answer was complete')
}
