// The body of a request that a server of Node has read the head of.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import { bodyDeadline, type Swept, sweep } from '../sweep.ts'
import { checkTrailers } from '../trailers.ts'

export class ListenerBody implements BodySource, Swept {
  readonly #message: IncomingMessage | Http2ServerRequest
  readonly #limits: HttpLimits
  /** Tells a client that waits for it to go on. */
  readonly #sendContinue: () => void
  #sink: BodySink | undefined
  #started = false
  #over = false
  #received = 0
  deadline: number = Number.POSITIVE_INFINITY

  constructor(message: IncomingMessage | Http2ServerRequest, limits: HttpLimits, sendContinue: () => void) {
    this.#message = message
    this.#limits = limits
    this.#sendContinue = sendContinue
  }

  /** Bytes that came. */
  get received(): number {
    return this.#received
  }

  start(sink: BodySink): void {
    if (this.#started) return
    this.#started = true
    const message = this.#message
    const failure =
      this.#over || message.destroyed ? incomplete() : message.readableEnded ? used() : undefined
    if (failure !== undefined) {
      queueMicrotask(() => sink.fail(failure))
      return
    }
    this.#sink = sink
    this.#sendContinue()
    message.on('data', this.#onData)
    message.on('end', this.#onEnd)
    this.deadline = sweep.now + this.#limits.bodyTimeout
    sweep.add(this)
  }

  pause(): void {
    this.#message.pause()
    this.deadline = Number.POSITIVE_INFINITY
  }

  resume(): void {
    if (this.#sink === undefined) return
    this.deadline = sweep.now + this.#limits.bodyTimeout
    this.#message.resume()
  }

  cancel(): void {
    this.#started = true
    this.#leave()
    // The server throws away what nobody has begun to read, but not the rest of what somebody has.
    if (!this.#over) this.#message.resume()
  }

  expire(): void {
    this.fail(new SluiceError('HTTP_BODY_TIMEOUT', 'the body of the request came too slowly'))
  }

  /** No more will come. */
  fail(error: SluiceError = incomplete()): void {
    if (this.#over) return
    this.#over = true
    this.#leave()?.fail(error)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length
    if (this.#received > this.#limits.body) {
      const what = `the body is longer than the limit of ${this.#limits.body} bytes`
      this.fail(new SluiceError('HTTP_BODY_TOO_LARGE', what))
      return
    }
    this.deadline = bodyDeadline(this.deadline, chunk.length, this.#limits.bodyTimeout)
    this.#sink?.data(chunk)
  }

  readonly #onEnd = (): void => {
    if (this.#over) return
    const message = this.#message
    // An HTTP/2 stream that was reset ends as well.
    if (message.aborted || ('stream' in message && message.stream.rstCode !== 0)) {
      this.fail()
      return
    }
    try {
      const trailers = trailersOf(message.rawTrailers)
      this.#over = true
      this.#leave()?.end(trailers)
    } catch (error) {
      this.fail(error as SluiceError)
    }
  }

  #leave(): BodySink | undefined {
    sweep.delete(this)
    this.#message.off('data', this.#onData)
    this.#message.off('end', this.#onEnd)
    const sink = this.#sink
    this.#sink = undefined
    return sink
  }
}

/** @throws {SluiceError} `HTTP_TRAILER_FORBIDDEN`, `HTTP_FIELD_MALFORMED` */
function trailersOf(raw: readonly string[]): HeaderList | undefined {
  if (raw.length === 0) return undefined
  const trailers = new HeaderList()
  try {
    for (let at = 0; at < raw.length; at += 2) trailers.append(raw[at] as string, raw[at + 1] as string)
  } catch (cause) {
    throw new SluiceError('HTTP_FIELD_MALFORMED', 'a trailer has a name or value that HTTP does not allow', {
      cause,
    })
  }
  checkTrailers(trailers)
  return trailers
}

function incomplete(): SluiceError {
  return new SluiceError('HTTP_BODY_INCOMPLETE', 'the client went before the body was complete')
}

function used(): SluiceError {
  return new SluiceError('HTTP_BODY_USED', 'a middleware above has read the body; put it below the service')
}
