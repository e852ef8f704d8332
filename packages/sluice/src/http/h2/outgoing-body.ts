// Writes the body of an answer to an HTTP/2 stream as it comes, with flow control.
import type { ServerHttp2Stream } from 'node:http2'
import { logger, SluiceError } from '../../core/index.ts'
import type { Body, BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import { otherFields } from './outgoing-fields.ts'
import type { Traffic } from './traffic.ts'

/** The exchange that a body is part of. */
export interface OutgoingOwner {
  /** The client has enough for now, or takes more again. */
  bodyWaits(waiting: boolean): void
  /** Called once: without an error when all is written, with it if the body broke off. */
  bodyEnds(error?: unknown): void
}

export class Http2OutgoingBody implements BodySink {
  readonly #stream: ServerHttp2Stream
  readonly #owner: OutgoingOwner
  readonly #traffic: Traffic
  /** Bytes that are missing from the declared length; undefined if none was declared. */
  #left: number | undefined
  #source: BodySource | undefined
  #trailers: HeaderList | undefined
  #over = false
  #waiting = false
  #everWaited = false
  #sent = 0

  constructor(
    stream: ServerHttp2Stream,
    length: number | undefined,
    trailers: boolean,
    owner: OutgoingOwner,
    traffic: Traffic,
  ) {
    this.#stream = stream
    this.#left = length
    this.#owner = owner
    this.#traffic = traffic
    if (trailers) stream.once('wantTrailers', () => this.#sendTrailers())
  }

  /** Bytes that were written. */
  get sent(): number {
    return this.#sent
  }

  begin(body: Body): void {
    this.#source = body.pipe(this)
  }

  data(chunk: Buffer): void {
    if (this.#over) return
    this.#sent += chunk.length
    this.#traffic.sent(chunk.length)
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#stop(new SluiceError('HTTP_RESPONSE_INVALID', 'the body is longer than its Content-Length'))
        return
      }
    }
    if (this.#stream.write(chunk) || this.#waiting) return
    this.#waiting = true
    if (!this.#everWaited) {
      this.#everWaited = true
      this.#stream.on('drain', () => this.#drained())
    }
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
    this.#trailers = trailers
    this.#stream.end()
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

  #drained(): void {
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

  #sendTrailers(): void {
    try {
      this.#stream.sendTrailers(otherFields(this.#trailers))
    } catch (cause) {
      this.#owner.bodyEnds(
        new SluiceError('HTTP_RESPONSE_INVALID', 'the trailers can not be sent', { cause }),
      )
    }
  }
}
