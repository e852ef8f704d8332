// The body of a response from an HTTP/2 upstream: from the stream to whoever reads it.
import type { ClientHttp2Stream } from 'node:http2'
import { logger, SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import { malformed } from './client-head.ts'
import { read } from './client-stream.ts'

/** The exchange that a body is part of. */
export interface ResponseBodyOwner {
  /** Whether the upstream has said that it is complete: nothing is missing but what waits here to be read. */
  readonly complete: boolean
  /** Bytes are wanted from now on, or not any more. */
  bodyWanted(): void
  /** So many bytes have come. */
  bodyProgress(): void
  /** All of it has been handed over. */
  bodyRead(): void
  /** It can't be completed: by what the reader did, or what came. Without an error, as the stream says. */
  bodyBroken(error?: SluiceError): void
  /** Nobody wants the rest. */
  cancel(): void
}

export class Http2ResponseBody implements BodySource {
  readonly #stream: ClientHttp2Stream
  readonly #owner: ResponseBodyOwner
  /** Bytes that are missing from the declared length; undefined if none was declared. */
  #left: number | undefined
  #sink: BodySink | undefined
  #started = false
  #paused = false
  /** All bytes have been taken from the stream. */
  #ended = false
  /** Nothing more is told to a reader. */
  #over = false
  #failure: SluiceError | undefined
  /** What had not been read when the stream was closed. */
  #rest: Buffer | undefined
  trailers: HeaderList | undefined

  constructor(stream: ClientHttp2Stream, length: number | undefined, owner: ResponseBodyOwner) {
    this.#stream = stream
    this.#left = length
    this.#owner = owner
  }

  /** Whether nobody has begun to read it. */
  get unread(): boolean {
    return !this.#started && !this.#over
  }

  /** Whether bytes of it are wanted now, or it waits for somebody who wants it. */
  get wanted(): boolean {
    return !this.#over && !this.#paused
  }

  start(sink: BodySink): void {
    if (this.#started) return
    this.#started = true
    this.#sink = sink
    if (this.#failure !== undefined || this.#ended || this.#rest !== undefined) {
      queueMicrotask(() => this.#deliver())
      return
    }
    read(this.#stream)
    this.#owner.bodyWanted()
  }

  pause(): void {
    if (this.#over || this.#paused) return
    this.#paused = true
    this.#stream.pause()
    this.#owner.bodyWanted()
  }

  resume(): void {
    if (this.#over || !this.#paused) return
    this.#paused = false
    if (this.#rest !== undefined || this.#ended) {
      // Never inside the call of the reader that asks for it.
      queueMicrotask(() => this.#deliver())
      return
    }
    this.#owner.bodyWanted()
    this.#stream.resume()
  }

  cancel(): void {
    if (this.#over) return
    this.drop()
    this.#owner.cancel()
  }

  /** Nothing more is told to a reader. */
  drop(): void {
    this.#over = true
    this.#started = true
    this.#sink = undefined
    this.#rest = undefined
  }

  /** No more will come. */
  fail(error: SluiceError): void {
    if (this.#over || this.#failure !== undefined) return
    this.#failure = error
    this.#rest = undefined
    if (this.#sink !== undefined) this.#deliver()
  }

  /**
   * The stream is closed. What was complete by then is still there to be read.
   *
   * @returns false if something is missing
   */
  closed(): boolean {
    if (this.#over || this.#ended || this.#failure !== undefined) return true
    if (!this.#owner.complete) return false
    this.#rest = this.#stream.read() ?? undefined
    this.#ended = true
    if (this.#sink !== undefined && !this.#paused) this.#deliver()
    return true
  }

  /** Bytes have come. */
  data(chunk: Buffer): void {
    if (this.#over || this.#failure !== undefined) return
    this.#owner.bodyProgress()
    this.#hand(chunk)
  }

  /** All bytes have been read, also if nobody reads; and not all may have come. */
  end(): void {
    if (this.#over || this.#ended || this.#failure !== undefined) return
    if (!this.#owner.complete) {
      this.#owner.bodyBroken()
      return
    }
    this.#ended = true
    if (this.#sink !== undefined && !this.#paused) this.#deliver()
  }

  /** Hands over what is left, and how it ends. */
  #deliver(): void {
    if (this.#over) return
    const sink = this.#sink
    if (this.#failure !== undefined) {
      this.drop()
      try {
        sink?.fail(this.#failure)
      } catch (error) {
        logger('http').error({ error }, 'the reader of a body failed when it was told of a failure')
      }
      return
    }
    if (this.#paused) return
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#hand(rest)
    if (this.#over || this.#paused || this.#failure !== undefined) return
    if (this.#left !== undefined && this.#left > 0) {
      this.#owner.bodyBroken(malformed(`its body is ${this.#left} bytes shorter than its Content-Length`))
      return
    }
    this.drop()
    this.#owner.bodyRead()
    try {
      sink?.end(this.trailers)
    } catch (error) {
      logger('http').error({ error }, 'the reader of a body failed at its end')
    }
  }

  #hand(chunk: Buffer): void {
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#owner.bodyBroken(malformed('its body is longer than its Content-Length'))
        return
      }
    }
    try {
      this.#sink?.data(chunk)
    } catch (cause) {
      this.#owner.bodyBroken(new SluiceError('INTERNAL', 'the reader of a body failed', { cause }))
    }
  }
}
