// Writes the body of an answer to an HTTP/2 stream as it comes, with flow control.
import { logger, SluiceError } from '../../core/index.ts'
import type { Body, BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import type { Http2Stream } from './stream.ts'

/** The answer that a body is part of. */
export interface OutgoingOwner {
  /** So many bytes of a body are written. */
  bodySends(count: number): void
  /** The client has enough for now, or takes more again. */
  bodyWaits(waiting: boolean): void
  /** Makes the field block of trailers; '' for none. */
  trailerBlock(trailers: HeaderList): string
  /** Called once: without an error when all is written, with it if the body broke off. */
  bodyEnds(error?: unknown): void
}

export class Http2OutgoingBody implements BodySink {
  /** What is lent is encrypted, or copied, before `data` returns. */
  readonly borrows = true
  readonly #stream: Http2Stream
  readonly #owner: OutgoingOwner
  /** Bytes that are missing from the declared length; undefined if none was declared. */
  #left: number | undefined
  /** Whether trailers may follow; where none can, the last bytes end the stream. */
  readonly #trailers: boolean
  #source: BodySource | undefined
  #over = false
  #waiting = false

  constructor(stream: Http2Stream, length: number | undefined, trailers: boolean, owner: OutgoingOwner) {
    this.#stream = stream
    this.#left = length
    this.#trailers = trailers
    this.#owner = owner
  }

  begin(body: Body): void {
    this.#source = body.pipe(this)
  }

  data(chunk: Buffer, lent: boolean = false): void {
    if (this.#over) return
    const { length } = chunk
    this.#owner.bodySends(length)
    if (this.#left !== undefined) {
      this.#left -= length
      if (this.#left < 0) {
        this.#stop(new SluiceError('HTTP_RESPONSE_INVALID', 'the body is longer than its Content-Length'))
        return
      }
      if (this.#left === 0 && !this.#trailers) {
        this.#over = true
        this.#stream.write(chunk, true, lent)
        this.#owner.bodyEnds()
        return
      }
    }
    if (this.#stream.write(chunk, false, lent) || this.#waiting) return
    this.#waiting = true
    this.#source?.pause()
    this.#owner.bodyWaits(true)
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    if (this.#left !== undefined && this.#left > 0) {
      const what = `the body is ${this.#left} bytes shorter than its Content-Length`
      this.#stop(new SluiceError('HTTP_RESPONSE_INVALID', what))
      return
    }
    this.#over = true
    const follows = this.#trailers && trailers !== undefined
    this.#stream.end(follows ? () => this.#owner.trailerBlock(trailers) : undefined)
    this.#owner.bodyEnds()
  }

  fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#owner.bodyEnds(error ?? new SluiceError('INTERNAL', 'the body of the response broke off'))
  }

  /** The stream is gone, or cut: the rest is not wanted. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#cancelSource()
  }

  /** The client has taken what waited. */
  drained(): void {
    if (!this.#waiting || this.#over) return
    this.#waiting = false
    this.#owner.bodyWaits(false)
    try {
      this.#source?.resume()
    } catch (error) {
      this.#stop(error)
    }
  }

  #stop(error: unknown): void {
    this.#over = true
    this.#cancelSource()
    this.#owner.bodyEnds(error)
  }

  #cancelSource(): void {
    try {
      this.#source?.cancel()
    } catch (error) {
      logger('http').error({ error }, 'a body failed while it was cancelled')
    }
  }
}
