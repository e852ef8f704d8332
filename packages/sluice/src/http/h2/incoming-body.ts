// The body of an HTTP/2 request: from the stream to whoever reads it.
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { logger, SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import { bodyDeadline, sweep } from '../sweep.ts'
import { checkTrailers } from '../trailers.ts'
import { readHttp2Trailers } from './request-head.ts'
import type { Traffic } from './traffic.ts'

/** Bytes of a body that nobody wants that are thrown away before its stream is closed. */
const WASTE_LIMIT = 256 * 1024

/** How long a client may be silent, in ms, while the answer to what it has said so far is under way: as long as in a tunnel. */
const CALL_TIMEOUT = 60 * 60 * 1000

export class Http2IncomingBody implements BodySource {
  readonly #stream: ServerHttp2Stream
  readonly #limits: HttpLimits
  readonly #traffic: Traffic
  #sink: BodySink | undefined
  #trailers: HeaderList | undefined
  #received = 0
  #waste = 0
  #onTooMuch: (() => void) | undefined
  #over = false
  #failure: SluiceError | undefined
  #started = false
  /** Whether the client waits for `100 Continue` before it sends the body. */
  expectsContinue = false
  /** Whether the answer has been written. */
  answered = false
  /** Called when nobody reads it any more: its end has come, or it failed, or its reader has had enough. */
  whenLeft: (() => void) | undefined
  /** When something of it came last, by the time of the sweep. */
  #heardAt = 0
  /** When `expire` is to be called, by the time of the sweep. */
  deadline: number = Number.POSITIVE_INFINITY

  constructor(stream: ServerHttp2Stream, limits: HttpLimits, traffic: Traffic) {
    this.#stream = stream
    this.#limits = limits
    this.#traffic = traffic
    // From the beginning, as they can come before anybody reads. The third argument is in no documentation.
    stream.on('trailers', (fields: IncomingHttpHeaders, _flags: number, raw?: readonly string[]) =>
      this.#onTrailers(raw ?? pairsOf(fields)),
    )
  }

  /** Whether its end has come, or it broke off. */
  get over(): boolean {
    return this.#over
  }

  /** Whether its end has come. */
  get ended(): boolean {
    return this.#over && this.#failure === undefined
  }

  /** Bytes that came, and that somebody has looked at. */
  get received(): number {
    return this.#received
  }

  /** Why it broke off. */
  get failure(): SluiceError | undefined {
    return this.#failure
  }

  /** Whether somebody began to read it. */
  get started(): boolean {
    return this.#started
  }

  /** Whether somebody reads it. */
  get reading(): boolean {
    return this.#sink !== undefined
  }

  start(sink: BodySink): void {
    if (this.#started) return
    this.#started = true
    const stream = this.#stream
    if (this.#over || stream.destroyed) {
      const failure = this.#failure ?? incomplete()
      queueMicrotask(() => sink.fail(failure))
      return
    }
    this.#sink = sink
    this.#heardAt = sweep.now
    this.sendContinue()
    stream.on('data', this.#onData)
    stream.on('end', () => this.#onEnd())
    this.deadline = sweep.now + this.#limits.bodyTimeout
  }

  /** Tells a client that waits for it to send the body. */
  sendContinue(): void {
    const stream = this.#stream
    if (!this.expectsContinue || stream.headersSent || stream.closed || stream.destroyed) return
    this.expectsContinue = false
    stream.additionalHeaders({ ':status': 100 })
  }

  pause(): void {
    this.#stream.pause()
    this.deadline = Number.POSITIVE_INFINITY
  }

  resume(): void {
    if (this.#sink === undefined) return
    this.deadline = sweep.now + this.#limits.bodyTimeout
    this.#stream.resume()
  }

  cancel(): void {
    this.#started = true
    this.#leave()
    this.#stream.pause()
  }

  /** What comes from here on is no body. */
  leave(): void {
    this.#over = true
    this.#started = true
  }

  #leave(): void {
    this.#sink = undefined
    this.deadline = Number.POSITIVE_INFINITY
    this.whenLeft?.()
  }

  /** Throws away what is still to come; says when it becomes too much. */
  discard(onTooMuch: () => void): void {
    this.#onTooMuch = onTooMuch
    if (!this.#started) this.#stream.on('data', this.#onData)
    this.#started = true
    this.#stream.resume()
  }

  expire(): void {
    // Both sides stream, as in calls of gRPC: a client that is silent may just have nothing to say.
    if (this.#stream.headersSent && !this.answered && sweep.now - this.#heardAt < CALL_TIMEOUT) {
      this.deadline = sweep.now + this.#limits.bodyTimeout
      return
    }
    this.fail(new SluiceError('HTTP_BODY_TIMEOUT', 'the body of the request came too slowly'))
  }

  /** No more will come. */
  fail(error: SluiceError = incomplete()): void {
    if (this.#over) return
    this.#over = true
    this.#failure = error
    const sink = this.#sink
    this.#leave()
    this.#stream.pause()
    try {
      sink?.fail(error)
    } catch (cause) {
      logger('http').error({ error: cause }, 'the reader of a body failed when it was told of a failure')
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    const count = chunk.length
    this.#received += count
    this.#traffic.received(count)
    if (this.#onTooMuch !== undefined) {
      this.#waste += count
      if (this.#waste > WASTE_LIMIT) this.#onTooMuch()
      return
    }
    if (this.#over) return
    const limit = this.#limits.body
    if (this.#received > limit) {
      this.fail(new SluiceError('HTTP_BODY_TOO_LARGE', `the body is longer than the limit of ${limit} bytes`))
      return
    }
    this.#heardAt = sweep.now
    this.deadline = bodyDeadline(this.deadline, count, this.#limits.bodyTimeout)
    try {
      this.#sink?.data(chunk)
    } catch (cause) {
      this.fail(new SluiceError('INTERNAL', 'the reader of a body failed', { cause }))
    }
  }

  /** @param raw name, value, name, value … */
  #onTrailers(raw: readonly string[]): void {
    try {
      const trailers = readHttp2Trailers(raw, this.#limits)
      checkTrailers(trailers)
      this.#trailers = trailers
    } catch (error) {
      this.fail(error as SluiceError)
    }
  }

  #onEnd(): void {
    if (this.#over) return
    // A stream that the client resets ends, too. Only where the answer is complete already can a closed stream be one
    // that ended in order.
    const { closed, destroyed, rstCode } = this.#stream
    if (destroyed || (closed && !(this.answered && rstCode === constants.NGHTTP2_NO_ERROR))) {
      this.fail()
      return
    }
    this.#over = true
    const sink = this.#sink
    this.#leave()
    try {
      sink?.end(this.#trailers)
    } catch (error) {
      logger('http').error({ error }, 'the reader of a body failed at its end')
    }
  }
}

function pairsOf(fields: IncomingHttpHeaders): string[] {
  return Object.entries(fields).flatMap(([name, value]) => [value ?? ''].flat().flatMap(one => [name, one]))
}

function incomplete(): SluiceError {
  return new SluiceError('HTTP_BODY_INCOMPLETE', 'the client ended the stream before the body was complete')
}
