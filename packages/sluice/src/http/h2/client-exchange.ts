// One request to an upstream and its response on a stream of an HTTP/2 session (RFC 9113, section 8.1).
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { logger, SluiceError } from '../../core/index.ts'
import { Body } from '../body.ts'
import { CONTINUE_TIMEOUT, type UpstreamLimits } from '../client/limits.ts'
import { stoodStill } from '../client/stood-still.ts'
import type {
  UpstreamExchange,
  UpstreamObserver,
  UpstreamRequest,
  UpstreamResponse,
} from '../client/upstream.ts'
import { type Swept, sweep } from '../sweep.ts'
import { Http2ResponseBody, type ResponseBodyOwner } from './client-body.ts'
import {
  bodyLength,
  type Http2ResponseHead,
  malformed,
  readInformation,
  readResponseHead,
  readResponseTrailers,
} from './client-head.ts'
import { Http2RequestBody, type RequestBodyOwner } from './client-request-body.ts'
import { openStream, own, read, resetStream, type StreamOwner, wasReset } from './client-stream.ts'
import { type Ending, failure, incomplete, streamError } from './client-stream-error.ts'
import { switched } from './client-tunnel.ts'

/** The session that an exchange takes place on. */
export interface ClientExchangeOwner extends Ending {
  readonly limits: UpstreamLimits
  /** Something has come for a request. */
  heardOf(): void
  /** A final response has come. */
  answered(): void
  /** The exchange is over, and its stream is closed. */
  left(exchange: Http2ClientExchange): void
}

export class Http2ClientExchange
  implements UpstreamExchange, Swept, StreamOwner, RequestBodyOwner, ResponseBodyOwner
{
  readonly #owner: ClientExchangeOwner
  readonly #request: UpstreamRequest
  /** Who waits for the head of the response. */
  #observer: UpstreamObserver | undefined
  #stream: ClientHttp2Stream | undefined
  #outgoing: Http2RequestBody | undefined
  #incoming: Http2ResponseBody | undefined
  #informed = 0
  /** END_STREAM has come. */
  #ended = false
  /** Nothing more is told to anybody. */
  #over = false
  #closed = false
  /** What the platform said about the end of the stream. */
  #cause: unknown
  /** Whether the upstream has shown that it knows the request. */
  begun = false
  deadline: number = Number.POSITIVE_INFINITY

  constructor(owner: ClientExchangeOwner, request: UpstreamRequest, observer: UpstreamObserver) {
    this.#owner = owner
    this.#request = request
    this.#observer = observer
  }

  /** Whether all of the response has come. What was not read of it still can be. */
  get complete(): boolean {
    return this.#ended && !wasReset(this.#stream)
  }

  /** Sends the request. */
  begin(session: ClientHttp2Session): void {
    if (this.#over) return
    const { body, upgrade, expectsContinue } = this.#request
    const bodiless = body.length === 0 || upgrade !== undefined
    if (!bodiless && body.used && !body.inMemory) {
      this.refuse(new SluiceError('HTTP_BODY_USED', 'the body of the request has been read already'))
      return
    }
    const { limits } = this.#owner
    const outgoing = bodiless ? undefined : new Http2RequestBody(this.#request, limits.writeTimeout, this)
    let stream: ClientHttp2Stream
    try {
      stream = openStream(session, this.#request, {
        endStream: bodiless && upgrade === undefined,
        waitForTrailers: outgoing?.mayHaveTrailers === true,
      })
    } catch (cause) {
      const isClosed = session.closed || session.destroyed
      const code = isClosed ? 'HTTP_UPSTREAM_REFUSED' : 'INTERNAL'
      this.refuse(new SluiceError(code, 'the request could not be written', { cause }))
      return
    }
    this.#stream = stream
    own(stream, this)
    sweep.add(this)
    this.#outgoing = outgoing
    outgoing?.begin(stream, expectsContinue)
    this.#watch()
  }

  /** The body was asked for, or the upstream kept silent about it. */
  #sendHeld(): void {
    this.#outgoing?.release()
    this.#watch()
  }

  /** Sets the deadline for what is being waited for from here on. */
  #watch(): void {
    const { responseTimeout, bodyTimeout, writeTimeout } = this.#owner.limits
    if (this.#outgoing?.held === true) this.deadline = sweep.now + CONTINUE_TIMEOUT
    // While the request is being sent, it is the client's progress that counts, as that may be what the answer waits for.
    else if (this.#outgoing?.sending === true) this.deadline = Number.POSITIVE_INFINITY
    else if (this.#over) this.deadline = sweep.now + writeTimeout
    else if (this.#observer !== undefined) this.deadline = sweep.now + responseTimeout
    else this.deadline = this.#incoming?.wanted === true ? sweep.now + bodyTimeout : Number.POSITIVE_INFINITY
  }

  expire(): void {
    const { responseTimeout, bodyTimeout } = this.#owner.limits
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#outgoing?.held === true) {
      this.#sendHeld()
    } else if (this.#observer !== undefined) {
      const what = `the head of its answer did not come within ${responseTimeout} ms`
      this.#fail(new SluiceError('HTTP_UPSTREAM_TIMEOUT', what))
    } else if (!this.#over) {
      this.#fail(stoodStill(bodyTimeout, this.#incoming?.unread === true))
    } else {
      // The response is complete, and the request does not come to an end.
      this.#reset()
    }
  }

  cancel(): void {
    if (this.#over) {
      if (this.#outgoing?.sending === true) this.#reset()
      return
    }
    this.#observer = undefined
    this.#incoming?.drop()
    this.#end()
    if (this.#stream === undefined) this.onClose()
  }

  /** Fails it before anything was sent; not at once, as whoever sends it must have it in hand first. */
  refuse(error: SluiceError): void {
    queueMicrotask(() => {
      this.#fail(error)
      this.onClose()
    })
  }

  /** The session has ended, for a reason of ours or by what the platform says: what was to come does not. */
  fail(error: SluiceError | undefined, cause?: unknown): void {
    if (this.complete) return
    this.#cause ??= cause
    // Whoever has a tunnel sees it break.
    if (this.#over) this.#reset()
    else if (error === undefined) this.#fail(this.#reason())
    else this.#fail(this.#observer === undefined ? incomplete(error) : error)
  }

  /** The session is closed. */
  sessionClosed(): void {
    // Bun 1.4 leaves streams open that are complete, and were not read to their end.
    if (this.#stream?.destroyed === false && this.complete) return
    this.onClose()
  }

  bodySent(): void {
    this.#watch()
  }

  bodyFailed(error: unknown): void {
    if (this.#over) this.#reset()
    else this.#fail(failure(error, 'the body of the request failed'))
  }

  bodyWanted(): void {
    this.#watch()
  }

  bodyProgress(): void {
    this.#owner.heardOf()
    this.#watch()
  }

  bodyBroken(error?: SluiceError): void {
    this.#fail(error ?? this.#reason())
  }

  onInformation(ended: boolean, raw: readonly string[]): void {
    const observer = this.#observer
    if (observer === undefined) return
    this.begun = true
    this.#owner.heardOf()
    try {
      this.#informed++
      const { status, headers } = readInformation(raw, this.#owner.limits, ended, this.#informed)
      if (status !== 100) observer.informed(status, headers)
      else if (this.#outgoing?.held === true) this.#sendHeld()
    } catch (error) {
      this.#fail(failure(error, 'an informational response was not taken'))
    }
  }

  onResponse(ended: boolean, raw: readonly string[]): void {
    const stream = this.#stream
    if (this.#over || stream === undefined) return
    this.begun = true
    const observer = this.#observer
    let response: UpstreamResponse
    try {
      if (observer === undefined) throw malformed('it sent a second response')
      response = this.#read(readResponseHead(raw, this.#owner.limits), ended, stream)
    } catch (error) {
      this.#fail(failure(error, 'reading a response failed'))
      return
    }
    this.#observer = undefined
    if (!this.#over) this.#watch()
    this.#owner.answered()
    try {
      observer.responded(response)
    } catch (error) {
      logger('http').error({ error }, 'an observer of a request failed')
      response.stream?.reset()
      this.cancel()
    }
  }

  /** What the head of the response means for its body, and for what was not sent of the request. */
  #read(head: Http2ResponseHead, ended: boolean, stream: ClientHttp2Stream): UpstreamResponse {
    const { status, headers } = head
    const { method, upgrade } = this.#request
    const length = bodyLength(head, method, ended)
    this.deadline = Number.POSITIVE_INFINITY
    if (upgrade !== undefined) {
      if (status < 300) {
        this.#over = true
        return switched(headers, this.#request, stream)
      }
      stream.end()
    }
    // A body that waits to be asked for: it needs no asking any more, or is not wanted.
    if (status < 300) this.#outgoing?.release()
    else if (this.#outgoing?.held === true) this.#outgoing.cancel()
    if (length === 0) {
      if (!ended) read(stream)
      this.bodyRead()
      return { status, headers, body: Body.empty }
    }
    this.#incoming = new Http2ResponseBody(stream, length, this)
    return { status, headers, body: Body.of(this.#incoming, length) }
  }

  onEndStream(): void {
    this.#ended = true
  }

  onData(chunk: Buffer): void {
    // Where there can be no body, nothing but an end can follow.
    if (this.#incoming === undefined) this.#reset()
    else this.#incoming.data(chunk)
  }

  onEnd(): void {
    this.#incoming?.end()
  }

  onDrain(): void {
    this.#outgoing?.drained()
  }

  onTrailersWanted(): void {
    this.#outgoing?.sendTrailers()
  }

  onError(error: Error): void {
    this.#cause = error
  }

  onTrailers(raw: readonly string[]): void {
    const incoming = this.#incoming
    if (this.#over || incoming === undefined) return
    try {
      incoming.trailers = readResponseTrailers(raw, this.#owner.limits)
    } catch (error) {
      this.#fail(failure(error, 'trailers were not taken'))
    }
  }

  /** The response is complete. What is left of the request is sent, as long as the upstream takes it. */
  bodyRead(): void {
    this.#over = true
    this.#watch()
    const stream = this.#stream
    if (stream === undefined || stream.writableFinished) return
    // Closed by the upstream, with NO_ERROR (RFC 9113, 8.1): Node 22 and 24 would wait for writes that are never done.
    // Or open for a body that was not asked for.
    if (stream.closed || (this.#outgoing?.sending !== true && !stream.writableEnded)) this.#reset()
  }

  onClose(): void {
    if (this.#closed) return
    this.#closed = true
    sweep.delete(this)
    if (!this.#over && this.#incoming?.closed() !== true) this.#fail(this.#reason())
    this.#outgoing?.cancel()
    this.#owner.left(this)
  }

  /** Why the stream was closed. */
  #reason(): SluiceError {
    const isAnswered = this.#observer === undefined
    const { error, begun } = streamError(this.#stream, this.#cause, isAnswered, this.#owner)
    if (begun) this.begun = true
    return error
  }

  #fail(error: SluiceError): void {
    if (this.#over) return
    this.#end()
    const observer = this.#observer
    this.#observer = undefined
    if (observer === undefined) {
      this.#incoming?.fail(error)
      return
    }
    try {
      observer.failed(error)
    } catch (fault) {
      logger('http').error({ error: fault }, 'an observer of a request failed')
    }
  }

  #end(): void {
    this.#over = true
    this.deadline = Number.POSITIVE_INFINITY
    this.#reset()
  }

  /** RST_STREAM, at once. */
  #reset(): void {
    this.#outgoing?.cancel()
    if (this.#stream !== undefined) resetStream(this.#stream)
  }
}
