// One request and its answer on a stream of an HTTP/2 session (RFC 9113, section 8.1).
import { constants, type ServerHttp2Stream } from 'node:http2'
import { errorCode, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import type { Member } from '../members.ts'
import { checkResponse, discardBody, invalidResponse, isPromise } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest, type RequestOwner } from '../request.ts'
import type { HttpResponse, Tunnel } from '../response.ts'
import { isInformational } from '../status.ts'
import { slowestTime, sweep } from '../sweep.ts'
import { Http2IncomingBody } from './incoming-body.ts'
import { Http2OutgoingBody, type OutgoingOwner } from './outgoing-body.ts'
import { endWith, frame, otherFields, outgoingHead, sendHead } from './outgoing-fields.ts'
import { readHttp2Head } from './request-head.ts'
import { type Traffic, WEIGHTS } from './traffic.ts'
import { tunnelOver } from './tunnel.ts'

/** END_STREAM on the HEADERS frame: no body follows. */
const END_STREAM = constants.NGHTTP2_FLAG_END_STREAM

/** How long a client may go on with a request that is answered and that nobody reads. */
const LINGER = 5000

/** The session that an exchange takes place in. */
export interface ExchangeOwner<C extends Connection> {
  readonly connection: C
  readonly scheme: 'http' | 'https'
  readonly limits: HttpLimits
  readonly traffic: Traffic
  /** The code of what ended the session, once something has. */
  readonly failure: string | undefined
  /** The stream is closed. */
  exchangeClosed(exchange: Http2Exchange<C>): void
}

export class Http2Exchange<C extends Connection> implements OutgoingOwner, RequestOwner, Member {
  readonly #stream: ServerHttp2Stream
  readonly #owner: ExchangeOwner<C>
  #request: ReceivedRequest<C> | undefined
  #incoming: Http2IncomingBody | undefined
  #outgoing: Http2OutgoingBody | undefined
  /** Bytes of an answer that went out in one piece. */
  #sent = 0
  /** The answer has been written, or never will be. */
  #over = false
  #closed = false
  #tunnelled = false
  /** The answer is complete, and what still comes of the request is thrown away. */
  #discarding = false
  /** When the client must have taken what waits for it, however slow it is; 0 while that was not asked. */
  #latest = 0
  /** When the client must have done what is waited for. */
  #deadline = Number.POSITIVE_INFINITY
  place = -1

  constructor(stream: ServerHttp2Stream, owner: ExchangeOwner<C>) {
    this.#stream = stream
    this.#owner = owner
    stream.on('close', () => this.close())
  }

  /** Bytes of the request that have come and that nobody has read. */
  get unread(): number {
    return this.#incoming === undefined ? 0 : this.#stream.readableLength
  }

  /** Reads the request and asks the service. */
  begin(raw: readonly string[], flags: number, service: Service<HttpRequest<C>, HttpResponse>): void {
    try {
      const answer = service(this.#read(raw, flags))
      if (isPromise(answer)) answer.then(this.#onAnswer, this.#onFailure)
      else this.#answer(answer)
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #read(raw: readonly string[], flags: number): HttpRequest<C> {
    const { connection, limits, scheme, traffic } = this.#owner
    // Before anything can be refused: what follows a refused head must go somewhere, too.
    const incoming =
      (flags & END_STREAM) === 0 ? new Http2IncomingBody(this.#stream, limits, traffic) : undefined
    this.#incoming = incoming
    const head = readHttp2Head(raw, limits)
    traffic.received(head.size)
    let body = Body.empty
    // What follows a request for a tunnel is no body.
    if (incoming !== undefined && head.upgrade === undefined) {
      if (head.length !== undefined && head.length > limits.body) {
        throw new SluiceError(
          'HTTP_BODY_TOO_LARGE',
          `the body is longer than the limit of ${limits.body} bytes`,
        )
      }
      incoming.expectsContinue = head.expectsContinue
      body = Body.of(incoming, head.length)
    }
    this.#request = new ReceivedRequest(head, scheme, body, connection, this)
    return this.#request
  }

  inform(status: number, headers: HeaderList): void {
    const stream = this.#stream
    if (this.#over || stream.headersSent || stream.closed || stream.destroyed) return
    if (!isInformational(status)) throw invalidResponse(`${status} is no informational status, 102 to 199`)
    stream.additionalHeaders({ ...otherFields(headers), ':status': status })
  }

  /** A step of the sweep. */
  step(now: number): void {
    const incoming = this.#incoming
    if (incoming !== undefined && incoming.deadline <= now) incoming.expire()
    if (this.#deadline > now) return
    if (this.#discarding) this.#refuseRest()
    else this.#expire(now)
  }

  /** The client has taken nothing of the answer for too long, or too little. */
  #expire(now: number): void {
    // How much it took of one stream can't be seen: whether it took anything, and whether that was enough for this one.
    const { limits, traffic } = this.#owner
    if (this.#latest === 0) this.#latest = now + slowestTime(this.#stream.writableLength)
    if (now < this.#latest && traffic.takes(now)) return
    const what = `the client took nothing of the answer for ${limits.writeTimeout} ms, or too little`
    this.#cut(new SluiceError('HTTP_WRITE_TIMEOUT', what))
  }

  bodyWaits(waiting: boolean): void {
    if (waiting) this.#watch()
    else this.#deadline = Number.POSITIVE_INFINITY
  }

  bodyEnds(error?: unknown): void {
    if (error === undefined) this.#finish()
    else this.#cut(error)
  }

  readonly #onAnswer = (response: HttpResponse): void => this.#answer(response)

  readonly #onFailure = (error: unknown): void => {
    if (this.#over) return
    const refused = this.#request === undefined
    if (refused) this.#owner.traffic.noise(WEIGHTS.malformed)
    logFailure(this.#owner.connection, error, refused ? 'a request was refused' : 'a service failed')
    this.#answer(this.#failureAnswer(error))
  }

  #failureAnswer(error: unknown): HttpResponse {
    return failureAnswer(error, this.#request, this.#owner.limits.development)
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
    logFailure(this.#owner.connection, error, 'a service answered with something that cannot be sent')
    try {
      this.#write(this.#failureAnswer(error))
    } catch (error) {
      this.#cut(error)
    }
  }

  /** @throws {SluiceError} `HTTP_RESPONSE_INVALID`, `HTTP_BODY_USED`, `HTTP_UPGRADE_REFUSED`, before anything is sent */
  #write(response: HttpResponse): void {
    const request = this.#request
    checkResponse(response, request?.upgrade)
    const { status, body, tunnel } = response
    if (request?.upgrade !== undefined && tunnel === undefined && status < 300) {
      const what = `a request for a tunnel was answered ${status}, which would mean that there is one`
      throw new SluiceError('HTTP_UPGRADE_REFUSED', what)
    }
    const stream = this.#stream
    const { fields, declared, announcesTrailers } = outgoingHead(response)
    if (tunnel !== undefined) {
      body.discard()
      request?.record?.answer(status)
      sendHead(stream, fields, 'body')
      this.#handOver(tunnel)
      return
    }
    const { ends, length } = frame(fields, declared, response, request?.method)
    if (!ends && body.used) {
      throw new SluiceError('HTTP_BODY_USED', 'the body of the response has been read already')
    }
    request?.record?.answer(status)
    if (ends) {
      body.discard()
      sendHead(stream, fields, 'nothing')
      this.#finish()
    } else if (body.inMemory && (length ?? 0) <= PIECE) {
      sendHead(stream, fields, 'body')
      this.#writeWhole(body, length ?? 0)
    } else {
      // An answer that is still to come may be made from the body: behind its head, 100 can't be said any more.
      if (!body.inMemory && status < 300 && this.#incoming?.started === false) this.#incoming.sendContinue()
      // Where the length is known and none are announced, there are no trailers: waiting for them costs a frame.
      const trailers = length === undefined || announcesTrailers
      sendHead(stream, fields, trailers ? 'body and trailers' : 'body')
      this.#outgoing = new Http2OutgoingBody(stream, length, trailers, this, this.#owner.traffic)
      // Node (22 to 26) resets a stream whose request nobody reads once all of its answer is handed over. Where the end of
      // that has to wait for the window of the session, it would be lost: to the client, the answer would be incomplete.
      if (this.#incoming === undefined) stream.resume()
      this.#outgoing.begin(body)
    }
  }

  #writeWhole(body: Body, length: number): void {
    this.#sent = length
    this.#owner.traffic.sent(length)
    endWith(this.#stream, body)
    this.#finish()
  }

  /** The stream is the tunnel's from here on, with its limits, until it is closed. */
  #handOver(tunnel: Tunnel): void {
    this.#over = true
    this.#tunnelled = true
    this.#incoming?.leave()
    const stream = tunnelOver(this.#stream, this.#owner.traffic)
    try {
      tunnel(stream)
    } catch (cause) {
      this.#cut(new SluiceError('INTERNAL', 'a tunnel could not begin', { cause }))
    }
  }

  #watch(): void {
    if (this.#closed) return
    this.#latest = 0
    this.#deadline = sweep.now + this.#owner.limits.writeTimeout
  }

  /** The answer has been written; the client may still have to take it. */
  #finish(): void {
    this.#over = true
    // When it has, the exchange is over, though the client may have more to send.
    if (this.#request?.record !== undefined) {
      this.#stream.once('finish', () => this.#endRecord(this.#incoming?.failure?.code))
    }
    const incoming = this.#incoming
    if (incoming !== undefined) incoming.answered = true
    if (incoming?.reading === true) {
      // While the body is read, its own limits hold; afterwards the client has to take the answer.
      incoming.whenLeft = () => this.#watch()
      return
    }
    this.#watch()
    if (incoming === undefined || incoming.ended) return
    // The rest is not wanted (RFC 9113, 8.1). A client that is told so at once can lose the answer (curl 7.88), so it
    // gets the time to stop by itself.
    this.#discarding = true
    this.#deadline = sweep.now + LINGER
    incoming.discard(() => this.#refuseRest())
  }

  #refuseRest(): void {
    if (!this.#discarding) return
    this.#discarding = false
    this.#watch()
    this.#stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /**
   * The client has ended its side of the connection. An answer can still be written, but such clients have mostly gone;
   * nothing can come out of a tunnel any more, and what is missing of a body can't come.
   */
  clientEnded(): void {
    if (this.#tunnelled) {
      this.#stream.destroy()
      return
    }
    const incoming = this.#incoming
    if (incoming !== undefined && !incoming.over) {
      // All of it may be here, and not be read yet.
      if (this.#stream.state.remoteClose === 1) return
      incoming.fail()
    }
    this.#request?.abort()
  }

  /** The stream is closed, or its session. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const complete = this.#over
    this.#over = true
    this.#endRecord(this.#closedBy(complete))
    this.#incoming?.fail()
    if (!complete) {
      this.#request?.abort()
      this.#outgoing?.cancel()
    }
    this.#owner.exchangeClosed(this)
  }

  /** The code of what closed the stream before the client had taken the answer, or of what is wrong with the request. */
  #closedBy(complete: boolean): string | undefined {
    const { connection, failure } = this.#owner
    const { aborted, rstCode, writableFinished } = this.#stream
    // The platform does not say 'finish' where the request had ended before.
    const taken = writableFinished || (rstCode === constants.NGHTTP2_NO_ERROR && !aborted)
    if (complete && (this.#tunnelled || taken)) return this.#incoming?.failure?.code
    return failure ?? (connection.socket.destroyed ? 'DOWNSTREAM_CLOSED' : 'DOWNSTREAM_RESET')
  }

  /** Ends the stream so that the client can't take what it got for the whole. */
  #cut(error: unknown): void {
    logFailure(this.#owner.connection, error, 'an answer was cut')
    this.#over = true
    this.#deadline = Number.POSITIVE_INFINITY
    this.#endRecord(errorCode(error))
    this.#outgoing?.cancel()
    // Not `close`, which Bun 1.4 takes for an end in order, whatever the code.
    this.#stream.destroy(new SluiceError('INTERNAL', 'the answer was cut'))
  }

  #endRecord(code: string | undefined): void {
    const record = this.#request?.record
    if (record === undefined) return
    record.received = this.#incoming?.received ?? 0
    record.sent = this.#outgoing?.sent ?? this.#sent
    record.end(code)
  }
}
