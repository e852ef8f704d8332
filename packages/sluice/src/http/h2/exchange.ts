// One request and its answer on a stream of an HTTP/2 session (RFC 9113, section 8.1).
import { constants, type ServerHttp2Stream } from 'node:http2'
import { logger, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body, type BodySink, type BodySource } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import { checkResponse, discardBody, invalidResponse, isPromise, lengthOf } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest, type RequestOwner } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { isBodiless, isInformational } from '../status.ts'
import { type Swept, sweep } from '../sweep.ts'
import { Http2IncomingBody } from './incoming-body.ts'
import { outgoingHeaders, outgoingTrailers } from './outgoing-fields.ts'
import { readHttp2Head } from './request-head.ts'

/** END_STREAM on the HEADERS frame: no body follows. */
const END_STREAM = constants.NGHTTP2_FLAG_END_STREAM

/** How long a client may go on with a request that is answered and that nobody reads. */
const LINGER = 5000

export class Http2Exchange<C extends Connection> implements BodySink, Swept, RequestOwner {
  readonly #stream: ServerHttp2Stream
  readonly #connection: C
  readonly #limits: HttpLimits
  readonly #onClosed: (exchange: Http2Exchange<C>) => void
  #request: ReceivedRequest<C> | undefined
  #incoming: Http2IncomingBody | undefined
  #source: BodySource | undefined
  #trailers: HeaderList | undefined
  /** Bytes that are missing from the declared length of the answer; undefined if none was declared. */
  #left: number | undefined
  #waiting = false
  #over = false
  #closed = false
  /** The answer is complete, and what still comes of the request is thrown away. */
  #discarding = false
  deadline: number = Number.POSITIVE_INFINITY

  constructor(
    stream: ServerHttp2Stream,
    connection: C,
    limits: HttpLimits,
    onClose: (exchange: Http2Exchange<C>) => void,
  ) {
    this.#stream = stream
    this.#onClosed = onClose
    this.#connection = connection
    this.#limits = limits
    // What went wrong is seen by 'close', which always follows.
    stream.on('error', ignore)
    stream.on('close', () => this.close())
  }

  /** Reads the request and asks the service. */
  begin(
    raw: readonly string[],
    flags: number,
    scheme: 'http' | 'https',
    service: Service<HttpRequest<C>, HttpResponse>,
  ): void {
    try {
      const request = this.#read(raw, flags, scheme)
      const answer = service(request)
      if (isPromise(answer)) answer.then(this.#onAnswer, this.#onFailure)
      else this.#answer(answer)
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #read(raw: readonly string[], flags: number, scheme: 'http' | 'https'): HttpRequest<C> {
    const { body: limit, bodyTimeout, target: targetLimit } = this.#limits
    // Before anything can be refused: what follows a refused head must go somewhere, too.
    const incoming =
      (flags & END_STREAM) === 0 ? new Http2IncomingBody(this.#stream, limit, bodyTimeout) : undefined
    this.#incoming = incoming
    const head = readHttp2Head(raw, targetLimit)
    let body = Body.empty
    if (incoming !== undefined) {
      if (head.length !== undefined && head.length > limit) {
        throw new SluiceError('HTTP_BODY_TOO_LARGE', `the body is longer than the limit of ${limit} bytes`)
      }
      incoming.expectsContinue = head.expectsContinue
      body = Body.of(incoming, head.length)
    }
    this.#request = new ReceivedRequest(head, scheme, body, this.#connection, this)
    return this.#request
  }

  inform(status: number, headers: HeaderList): void {
    const stream = this.#stream
    if (this.#over || stream.headersSent || stream.closed || stream.destroyed) return
    if (!isInformational(status)) throw invalidResponse(`${status} is no informational status, 102 to 199`)
    stream.additionalHeaders({ ...outgoingTrailers(headers), ':status': status })
  }

  /** The client has taken nothing of the answer for too long. */
  expire(): void {
    if (this.#discarding) {
      this.#refuseRest()
      return
    }
    this.#cut(
      new SluiceError(
        'HTTP_WRITE_TIMEOUT',
        `the client took nothing of the answer for ${this.#limits.writeTimeout} ms`,
      ),
    )
  }

  data(chunk: Buffer): void {
    if (this.#over) return
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#cut(new SluiceError('HTTP_RESPONSE_INVALID', 'the body is longer than its Content-Length'))
        return
      }
    }
    if (!this.#stream.write(chunk) && !this.#waiting) {
      this.#waiting = true
      this.#source?.pause()
      this.#watch()
    }
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    if (this.#left !== undefined && this.#left > 0) {
      this.#cut(
        new SluiceError(
          'HTTP_RESPONSE_INVALID',
          `the body is ${this.#left} bytes shorter than its Content-Length`,
        ),
      )
      return
    }
    this.#trailers = trailers
    this.#stream.end()
    this.#finish()
  }

  fail(error: unknown): void {
    if (!this.#over) this.#cut(error)
  }

  readonly #onAnswer = (response: HttpResponse): void => this.#answer(response)

  readonly #onFailure = (error: unknown): void => {
    if (this.#over) return
    logFailure(
      this.#connection,
      error,
      this.#request === undefined ? 'a request was refused' : 'a service failed',
    )
    this.#answer(failureAnswer(error, this.#request, this.#limits.development))
  }

  #answer(response: HttpResponse): void {
    if (this.#over || this.#stream.closed || this.#stream.destroyed) {
      discardBody(response)
      return
    }
    try {
      this.#write(response)
    } catch (error) {
      discardBody(response)
      this.#answerUnsendable(error)
    }
  }

  #answerUnsendable(error: unknown): void {
    if (this.#stream.headersSent) {
      this.#cut(error)
      return
    }
    logFailure(this.#connection, error, 'a service answered with something that cannot be sent')
    try {
      this.#write(failureAnswer(error, this.#request, this.#limits.development))
    } catch (error) {
      this.#cut(error)
    }
  }

  #write(response: HttpResponse): void {
    checkResponse(response, this.#request?.upgrade)
    const { status, body } = response
    const stream = this.#stream
    const bodiless = isBodiless(status) || this.#request?.method === 'HEAD'
    const headers = outgoingHeaders(response)
    const declared = headers['content-length']
    const length = lengthOf(declared === undefined ? undefined : String(declared), body.length, bodiless)
    if (length !== undefined && status !== 204 && (status !== 304 || declared !== undefined)) {
      headers['content-length'] = String(length)
    } else {
      delete headers['content-length']
    }
    if (bodiless || body.length === 0) {
      body.discard()
      stream.respond(headers, { endStream: true })
      this.#finish()
      return
    }
    const whole = length !== undefined && length <= PIECE ? body.takeWhole() : undefined
    if (whole !== undefined) {
      stream.respond(headers)
      stream.end(whole)
      this.#finish()
      return
    }
    if (body.used) throw new SluiceError('HTTP_BODY_USED', 'the body of the response has been read already')
    this.#left = length
    stream.once('wantTrailers', () => this.#sendTrailers())
    stream.respond(headers, { waitForTrailers: true })
    stream.on('drain', () => this.#onDrain())
    this.#source = body.pipe(this)
  }

  #onDrain(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.deadline = Number.POSITIVE_INFINITY
    try {
      this.#source?.resume()
    } catch (error) {
      this.fail(error)
    }
  }

  #watch(): void {
    if (this.#closed) return
    this.deadline = sweep.now + this.#limits.writeTimeout
    sweep.add(this)
  }

  /** The answer has been written; the client may still have to take it. */
  #finish(): void {
    this.#over = true
    if (this.#incoming !== undefined) this.#incoming.answered = true
    if (this.#incoming?.reading !== true) this.#watch()
    // While the body is read, its own limits hold; afterwards the client has to take the answer.
    else this.#incoming.whenLeft = () => this.#watch()
    if (this.#incoming?.over === false && !this.#incoming.reading) {
      // The rest is not wanted (RFC 9113, 8.1). A client that is told so at once can lose the answer (curl 7.88), so it
      // gets the time to stop by itself.
      this.#discarding = true
      this.deadline = sweep.now + LINGER
      this.#incoming.discard(() => this.#refuseRest())
    }
  }

  #refuseRest(): void {
    if (!this.#discarding) return
    this.#discarding = false
    this.#watch()
    this.#stream.close(constants.NGHTTP2_NO_ERROR)
  }

  #sendTrailers(): void {
    try {
      this.#stream.sendTrailers(outgoingTrailers(this.#trailers))
    } catch (error) {
      this.#cut(new SluiceError('HTTP_RESPONSE_INVALID', 'the trailers can not be sent', { cause: error }))
    }
  }

  /** The stream is closed, or its session. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    sweep.delete(this)
    const complete = this.#over
    this.#over = true
    this.#incoming?.fail()
    if (!complete) {
      this.#request?.abort()
      this.#cancelSource()
    }
    this.#onClosed(this)
  }

  /** Ends the stream so that the client can't take what it got for the whole. */
  #cut(error: unknown): void {
    logFailure(this.#connection, error, 'an answer was cut')
    this.#over = true
    this.deadline = Number.POSITIVE_INFINITY
    this.#cancelSource()
    // Not `close`, which Bun 1.4 takes for an end in order, whatever the code.
    this.#stream.destroy(new SluiceError('INTERNAL', 'the answer was cut'))
  }

  #cancelSource(): void {
    try {
      this.#source?.cancel()
    } catch (error) {
      logger('http').error({ error }, 'a body failed while it was cancelled')
    }
  }
}

function ignore(): void {}
