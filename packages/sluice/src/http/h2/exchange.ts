// One request and its answer on a stream of an HTTP/2 session (RFC 9113, section 8.1).
import { errorCode, isSluiceError, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body } from '../body.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import { firstKept } from '../kept-shape.ts'
import { type AnswerListener, ask } from '../late-answer.ts'
import type { HttpLimits } from '../limits.ts'
import type { Member } from '../members.ts'
import { discardBody, invalidResponse } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest, type RequestOwner } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { isInformational } from '../status.ts'
import { slowestTime, sweep } from '../sweep.ts'
import { checkTrailers } from '../trailers.ts'
import { WaitingChunks } from '../waiting-chunks.ts'
import { type AnswerOwner, Http2Answer } from './answer.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { HpackField } from './hpack/field.ts'
import { Http2IncomingBody, type IncomingOwner } from './incoming-body.ts'
import { otherFields } from './outgoing-fields.ts'
import { type RegularFieldsReader, readHttp2Trailers } from './regular-fields.ts'
import { readHttp2Head } from './request-head.ts'
import type { Http2Stream, StreamUser } from './stream.ts'
import { type Traffic, WEIGHTS } from './traffic.ts'
import { Http2Tunnel } from './tunnel.ts'
import { INTERNAL_ERROR, NO_ERROR } from './wire/frames.ts'

/** How long a client may go on with a request that is answered and that nobody reads. */
const LINGER = 5000

const keepShape = firstKept()

/** What waits for its turn waits for what others have, however little it has itself: as long as for so many bytes. */
const TURN = 64 * 1024

/** The session that an exchange takes place in. */
export interface ExchangeOwner<C extends Connection> {
  readonly connection: C
  readonly scheme: 'http' | 'https'
  readonly limits: HttpLimits
  readonly traffic: Traffic
  readonly encoder: HpackEncoder
  readonly fieldsReader: RegularFieldsReader
  /** The code of what ended the session, once something has. */
  readonly failure: string | undefined
}

export class Http2Exchange<C extends Connection>
  implements AnswerListener, AnswerOwner, IncomingOwner, RequestOwner, StreamUser, Member
{
  readonly #stream: Http2Stream
  readonly #owner: ExchangeOwner<C>
  readonly #answering: Http2Answer
  #request: ReceivedRequest<C> | undefined
  #incoming: Http2IncomingBody | undefined
  #tunnel: Http2Tunnel | undefined
  /** What is wrong with the head of the request, or why its stream is reset. */
  #fault: unknown
  /** The answer has been written, or never will be. */
  #over = false
  /** The answer is complete, and what still comes of the request is thrown away. */
  #discarding = false
  /** The rest of the request is refused as soon as all of the answer has been sent. */
  #refusing = false
  /** When the client must have taken what waits for it, however slow it is; 0 while that was not asked. */
  #latest = 0
  /** When the client must have done what is waited for. */
  #deadline = Number.POSITIVE_INFINITY
  place = -1

  constructor(stream: Http2Stream, owner: ExchangeOwner<C>) {
    this.#stream = stream
    this.#owner = owner
    this.#answering = new Http2Answer(stream, owner.encoder, owner.traffic, this)
  }

  /**
   * Reads the head of the request.
   *
   * @param overflowed whether there were more fields, which were not kept
   */
  begin(fields: readonly HpackField[], ends: boolean, overflowed: boolean): void {
    const { connection, fieldsReader, limits, scheme, traffic } = this.#owner
    // Before anything can be refused: what follows a refused head must go somewhere, too.
    const incoming = ends ? undefined : new Http2IncomingBody(this.#stream, limits, this)
    this.#incoming = incoming
    try {
      const head = readHttp2Head(fields, limits, overflowed, fieldsReader)
      traffic.received(head.size)
      this.#stream.expected = head.length
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
    } catch (error) {
      this.#fault = error
    }
  }

  /** Asks the service, unless the client has taken the request back meanwhile. */
  ask(service: Service<HttpRequest<C>, HttpResponse>): void {
    if (this.#stream.closed) return
    if (this.#request === undefined) this.onFailure(this.#fault)
    else ask(service, this.#request, this)
  }

  get isTunnel(): boolean {
    return this.#tunnel !== undefined
  }

  received(chunk: Buffer): void {
    if (this.#tunnel === undefined) this.#incoming?.push(chunk)
    else this.#tunnel.received(chunk)
  }

  receivedAll(trailers: readonly HpackField[] | undefined, overflowed: boolean): void {
    if (this.#tunnel !== undefined) {
      this.#tunnel.receivedAll(trailers !== undefined)
      return
    }
    const incoming = this.#incoming
    if (incoming === undefined || trailers === undefined) {
      incoming?.finish(undefined)
      return
    }
    try {
      const fields = readHttp2Trailers(trailers, this.#owner.limits, overflowed)
      checkTrailers(fields)
      incoming.finish(fields)
    } catch (error) {
      this.#owner.traffic.noise(WEIGHTS.malformed)
      incoming.fail(error as SluiceError)
    }
  }

  drained(): void {
    if (this.#tunnel === undefined) this.#answering.drained()
    else this.#tunnel.drained()
  }

  /** The client is being sent the last of the answer: the exchange is over, though the client may have more to send. */
  sentAll(): void {
    if (this.#tunnel !== undefined) return
    if (!this.#discarding) this.#deadline = Number.POSITIVE_INFINITY
    this.#endRecord(this.#incoming?.failure?.code)
    if (this.#refusing) this.#stream.reset(NO_ERROR)
  }

  /** The client broke the protocol: the stream is about to be reset. */
  break(error: SluiceError): void {
    this.#fault = error
  }

  closed(): void {
    const complete = this.#stream.localEnded
    this.#over = true
    this.#deadline = Number.POSITIVE_INFINITY
    this.#endRecord(this.#closedBy(complete))
    const incoming = this.#incoming
    if (incoming !== undefined && !incoming.over) incoming.fail()
    this.#tunnel?.closed()
    if (complete) return
    this.#request?.abort()
    this.#answering.cancel()
  }

  // What the request and its answer ask for.

  sendContinue(): void {
    if (!this.#over) this.#answering.inform(100, [])
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#over || this.#stream.headSent || this.#stream.closed) return
    if (!isInformational(status)) throw invalidResponse(`${status} is no informational status, 102 to 199`)
    this.#answering.inform(status, otherFields(headers))
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
    // Whether it took anything, of whichever stream, and whether that was enough for this one.
    const { limits, traffic } = this.#owner
    const { inLine, pending } = this.#stream
    if (this.#latest === 0) this.#latest = now + slowestTime(inLine ? Math.max(pending, TURN) : pending)
    if (now < this.#latest && traffic.takes(now)) return
    const what = `the client took nothing of the answer for ${limits.writeTimeout} ms, or too little`
    this.#cut(new SluiceError('HTTP_WRITE_TIMEOUT', what))
  }

  answerStreams(): void {
    // Behind the head of the answer, 100 can't be said any more.
    if (this.#incoming?.started === false) this.#incoming.sendContinue()
  }

  answerWaits(waiting: boolean): void {
    if (waiting) this.#watch()
    else this.#deadline = Number.POSITIVE_INFINITY
  }

  answerEnds(error?: unknown): void {
    if (error === undefined) this.#finish()
    else this.#cut(error)
  }

  onFailure(error: unknown): void {
    if (this.#over) return
    const refused = this.#request === undefined
    if (refused) this.#owner.traffic.noise(WEIGHTS.malformed)
    logFailure(this.#owner.connection, error, refused ? 'a request was refused' : 'a service failed')
    this.onAnswer(failureAnswer(error, this.#request, this.#owner.limits.development))
  }

  onAnswer(response: HttpResponse): void {
    if (this.#over || this.#stream.closed) {
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
    if (this.#stream.headSent) {
      this.#cut(error)
      return
    }
    logFailure(this.#owner.connection, error, 'a service answered with something that cannot be sent')
    try {
      this.#write(failureAnswer(error, this.#request, this.#owner.limits.development))
    } catch (error) {
      this.#cut(error)
    }
  }

  #write(response: HttpResponse): void {
    const tunnel = this.#answering.write(response, this.#request)
    if (this.#request !== undefined) keepShape(this, this.#request, response)
    if (tunnel === undefined) return
    // The stream is the tunnel's from here on, with its limits, until it is closed.
    this.#over = true
    const early = this.#incoming?.leave() ?? new WaitingChunks()
    this.#tunnel = new Http2Tunnel(this.#stream, early, this.#owner.traffic)
    try {
      tunnel(this.#tunnel)
    } catch (cause) {
      this.#cut(new SluiceError('INTERNAL', 'a tunnel could not begin', { cause }))
    }
  }

  #watch(): void {
    if (this.#stream.localEnded || this.#stream.closed) return
    this.#latest = 0
    this.#deadline = sweep.now + this.#owner.limits.writeTimeout
  }

  /** The answer has been written; the client may still have to take it. */
  #finish(): void {
    this.#over = true
    const incoming = this.#incoming
    if (incoming !== undefined) incoming.answered = true
    // While the body is read, its own limits hold.
    if (incoming?.reading === true) incoming.whenLeft = () => this.#dismiss()
    else this.#dismiss()
  }

  #dismiss(): void {
    this.#watch()
    const incoming = this.#incoming
    if (this.#stream.closed || incoming === undefined || this.#stream.remoteEnded) return
    // The rest is not wanted (RFC 9113, 8.1). A client that is told so at once can lose the answer (curl 7.88), so it
    // gets the time to stop by itself.
    this.#discarding = true
    this.#deadline = sweep.now + LINGER
    incoming.discard(() => this.#refuseRest())
  }

  #refuseRest(): void {
    if (!this.#discarding) return
    this.#discarding = false
    this.#refusing = true
    if (this.#stream.localEnded) this.#stream.reset(NO_ERROR)
    else this.#watch()
  }

  /**
   * The client has ended its side of the connection. An answer can still be written, but such clients have mostly gone;
   * nothing can come out of a tunnel any more, and what is missing of a body can't come.
   */
  clientEnded(): void {
    if (this.#tunnel !== undefined) {
      this.#tunnel.abandon()
      return
    }
    if (this.#stream.remoteEnded && this.#incoming?.ended === false) return
    const incoming = this.#incoming
    if (incoming !== undefined && !incoming.over) incoming.fail()
    this.#request?.abort()
  }

  /** The code of what closed the stream before the client had taken the answer, or of what is wrong with the request. */
  #closedBy(complete: boolean): string | undefined {
    const { connection, failure } = this.#owner
    if (complete || this.#tunnel !== undefined) return this.#incoming?.failure?.code
    if (isSluiceError(this.#fault)) return this.#fault.code
    return failure ?? (connection.socket.destroyed ? 'DOWNSTREAM_CLOSED' : 'DOWNSTREAM_RESET')
  }

  /** Ends the stream so that the client can't take what it got for the whole. */
  #cut(error: unknown): void {
    logFailure(this.#owner.connection, error, 'an answer was cut')
    this.#over = true
    this.#deadline = Number.POSITIVE_INFINITY
    this.#endRecord(errorCode(error))
    this.#answering.cancel()
    this.#stream.reset(INTERNAL_ERROR)
  }

  #endRecord(code: string | undefined): void {
    const record = this.#request?.record
    if (record === undefined) return
    record.received = this.#incoming?.received ?? 0
    record.sent = this.#answering.sent
    record.end(code)
  }
}
