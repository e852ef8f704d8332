// One request and its answer on an HTTP/1.1 connection (RFC 9112).
import { type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import { firstKept } from '../kept-shape.ts'
import { type AnswerListener, ask } from '../late-answer.ts'
import { CALL_TIMEOUT, type HttpLimits } from '../limits.ts'
import { discardBody, invalidResponse } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest, type RequestOwner } from '../request.ts'
import type { RequestRecord } from '../request-record.ts'
import type { HttpResponse, Tunnel } from '../response.ts'
import { isInformational, reasonPhrase } from '../status.ts'
import { sweep } from '../sweep.ts'
import { IncomingBody } from './incoming-body.ts'
import type { Outbox } from './outbox.ts'
import { OutgoingBody, type OutgoingOwner, writeWhole } from './outgoing-body.ts'
import type { RequestHead } from './request-head.ts'
import { responseHead } from './response-head.ts'

/** Bytes of a body that nobody wants that are thrown away to keep the connection. */
const WASTE_LIMIT = 256 * 1024

const keepShape = firstKept()

/** The connection that an exchange takes place on. */
export interface ExchangeOwner {
  readonly out: Outbox
  /** Whether no request can follow this one, whatever it is answered. */
  readonly last: boolean
  /** Whether bytes have come that nobody has looked at. */
  readonly unread: boolean
  /** What is waited for has changed: more of the body is wanted, or the socket has to take what was written. */
  waitsAnew(): void
  /** The answer has been written. */
  answered(keepAlive: boolean): void
  /** The answer can't be completed. */
  cut(error: unknown, logged?: boolean): void
  /** The 101 has been written: HTTP is over on this connection. */
  handOver(tunnel: Tunnel): void
}

export class Http1Exchange<C extends Connection> implements OutgoingOwner, RequestOwner, AnswerListener {
  readonly #owner: ExchangeOwner
  readonly #head: RequestHead
  readonly #request: ReceivedRequest<C>
  readonly #development: boolean
  /** The body of the request, until its end has come. */
  #incoming: IncomingBody | undefined
  /** The body of the answer, while it is being written. */
  #outgoing: OutgoingBody | undefined
  /** The head of the answer has been written. */
  #answering = false
  #answered = false
  #continued = false
  #keepAlive = false
  /** When something of the request came last, by the time of the sweep. */
  #heardAt: number = sweep.now
  /** Bytes of the request's body, once all have come. */
  #received = 0
  #closeDelimited = false
  /** The connection is gone. */
  #over = false
  /** Why the request can't be completed; the answer to it is the last. */
  #broken: SluiceError | undefined

  /** @throws {SluiceError} `HTTP_BODY_TOO_LARGE` if the body is announced to be */
  constructor(
    owner: ExchangeOwner,
    connection: C,
    scheme: 'http' | 'https',
    head: RequestHead,
    limits: HttpLimits,
  ) {
    this.#owner = owner
    this.#development = limits.development
    this.#head = head
    const { bodyLength } = head
    let body = Body.empty
    if (bodyLength !== 0) {
      const trailers = { bytes: limits.head, line: 0, fields: limits.fields }
      this.#incoming = new IncomingBody(bodyLength, { body: limits.body, trailers }, first =>
        this.#onWanted(first),
      )
      body = Body.of(this.#incoming, bodyLength < 0 ? undefined : bodyLength)
    }
    this.#request = new ReceivedRequest(head, scheme, body, connection, this)
  }

  /** Whether the body of the request is still to come. */
  get receiving(): boolean {
    return this.#incoming !== undefined
  }

  /** Whether bytes of it can be taken now. */
  get wanted(): boolean {
    return this.#incoming?.wanted === true
  }

  /** Whether it must come to its end although the answer is complete: somebody reads it on. */
  get reading(): boolean {
    return this.#incoming?.reading === true && !this.#closeDelimited
  }

  /** Whether so much of it was thrown away that the connection is not worth it. */
  get wasteful(): boolean {
    return this.#answered && this.#incoming !== undefined && this.#incoming.waste > WASTE_LIMIT
  }

  /** Whether the client has to take what was written of the answer. */
  get waiting(): boolean {
    return this.#outgoing?.waiting === true
  }

  /** Whether the answer has been written. */
  get answered(): boolean {
    return this.#answered
  }

  /** Whether both sides stream: a client that is silent may just have nothing to say. */
  get talking(): boolean {
    return (
      this.#incoming !== undefined &&
      this.#answering &&
      !this.#answered &&
      sweep.now - this.#heardAt < CALL_TIMEOUT
    )
  }

  get broken(): boolean {
    return this.#broken !== undefined
  }

  /** Asks the service. */
  ask(service: Service<HttpRequest<C>, HttpResponse>): void {
    ask(service, this.#request, this)
  }

  /**
   * Takes bytes of the body of the request.
   *
   * @returns how far it has come in `bytes`
   * @throws {SluiceError} what is wrong with the body
   */
  receive(bytes: Buffer, from: number): number {
    const incoming = this.#incoming
    if (incoming === undefined) return from
    this.#heardAt = sweep.now
    const end = incoming.push(bytes, from)
    if (incoming.done) {
      this.#received = incoming.received
      this.#incoming = undefined
    }
    return end
  }

  /** Throws away what is still to come of the body of the request. */
  discard(): void {
    this.#incoming?.discard()
  }

  /** The body of the request can't be completed; the service hears of it if it reads it. */
  breakBody(error: SluiceError): void {
    if (this.#broken !== undefined) return
    this.#broken = error
    logFailure(this.#request.connection, error, 'the body of a request broke off')
    const incoming = this.#incoming
    this.#incoming = undefined
    incoming?.fail(error)
  }

  /** The socket has taken what was written. */
  drained(): void {
    this.#outgoing?.drained()
  }

  /** The client has ended its side. An answer can still be written, but such clients have mostly gone. */
  abort(): void {
    this.#request.abort()
  }

  /**
   * The connection ends: in order, after the answer, or because the client has gone.
   *
   * @param code why, where it is known
   */
  close(code?: string): void {
    this.#over = true
    const { record } = this.#request
    if (record !== undefined)
      this.#endRecord(record, this.#answered ? undefined : (code ?? 'DOWNSTREAM_CLOSED'))
    this.#incoming?.fail(
      new SluiceError('HTTP_BODY_INCOMPLETE', 'the connection was closed before the body was complete'),
    )
    if (!this.#answered) this.#request.abort()
    this.#outgoing?.cancel()
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#over || this.#answering || this.#head.version === '1.0') return
    if (!isInformational(status)) throw invalidResponse(`${status} is no informational status, 102 to 199`)
    this.#owner.out.write(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${headers.toLines()}\r\n`)
  }

  bodyWaits(): void {
    this.#owner.waitsAnew()
  }

  bodyInvalid(what: string): SluiceError {
    return new SluiceError('HTTP_RESPONSE_INVALID', what)
  }

  bodyEnds(error?: unknown): void {
    const { record } = this.#request
    if (record !== undefined) record.sent = this.#outgoing?.sent ?? 0
    this.#outgoing = undefined
    if (error === undefined) this.#finish()
    else this.#owner.cut(error, this.#broken !== undefined)
  }

  /** The service wants bytes of the body. */
  #onWanted(first: boolean): void {
    if (this.#over) return
    if (first && !this.#answering) this.#sendContinue()
    this.#owner.waitsAnew()
  }

  /** Tells a client that waits for it to send its body, unless the body has begun to come by itself. */
  #sendContinue(): void {
    if (!this.#head.expectsContinue || this.#continued || this.#incoming === undefined) return
    this.#continued = true
    if (!this.#owner.unread) this.#owner.out.write('HTTP/1.1 100 Continue\r\n\r\n')
  }

  onFailure(error: unknown): void {
    if (this.#over) return
    // If the body broke off, that was logged, and it is the cause.
    if (this.#broken === undefined) logFailure(this.#request.connection, error, 'a service failed')
    this.onAnswer(failureAnswer(this.#broken ?? error, this.#request, this.#development))
  }

  onAnswer(response: HttpResponse): void {
    if (this.#over) {
      discardBody(response)
      return
    }
    try {
      this.#write(response)
    } catch (error) {
      if (this.#answering) {
        this.#owner.cut(error)
        return
      }
      const { connection } = this.#request
      logFailure(connection, error, 'a service answered with something that cannot be sent')
      discardBody(response)
      this.#write(failureAnswer(error, this.#request, this.#development))
    }
  }

  /** @throws {SluiceError} `HTTP_RESPONSE_INVALID`, `HTTP_BODY_USED`, before anything is written */
  #write(response: HttpResponse): void {
    // An answer that is still to come may be made from the body: after its head it would be too late to ask for that.
    if (response?.body instanceof Body && !response.body.inMemory && response.status < 300) {
      if (this.#incoming?.started === false) this.#sendContinue()
    }
    const { method, version, keepAlive } = this.#head
    const head = responseHead(response, {
      method,
      version,
      upgrade: this.#head.upgrade,
      keepAlive: keepAlive && this.#canContinue(response),
    })
    const { framing, length, text } = head
    const { body } = response
    keepShape(this, this.#request, response)
    if (framing !== 'none' && body.used && body.length !== 0) {
      throw new SluiceError('HTTP_BODY_USED', 'the body of the response has been read already')
    }
    this.#keepAlive = head.keepAlive
    this.#answering = true
    const { record } = this.#request
    record?.answer(response.status)
    if (framing === 'none') {
      body.discard()
      this.#owner.out.write(text)
      if (response.tunnel === undefined) {
        this.#finish()
      } else {
        this.#answered = true
        this.#owner.handOver(response.tunnel)
      }
      return
    }
    // What is longer goes out piece by piece.
    if (framing === 'length' && length <= PIECE && body.inMemory) {
      writeWhole(this.#owner.out, text, body)
      body.markUsed()
      if (record !== undefined) record.sent = length
      this.#finish()
      return
    }
    this.#closeDelimited = framing === 'close'
    this.#outgoing = new OutgoingBody(this.#owner.out, framing, length, this)
    this.#outgoing.begin(text, body)
    this.#owner.waitsAnew()
  }

  /** Whether another request can follow this one, as far as can be known before the answer is written. */
  #canContinue(response: HttpResponse): boolean {
    if (this.#owner.last || this.#broken !== undefined) return false
    const incoming = this.#incoming
    if (incoming === undefined || response.body === this.#request.body) return true
    // A client that waits for 100 may send its body after a final answer or not: nobody can tell what comes next.
    if (this.#head.expectsContinue && !this.#continued) return false
    return incoming.started || incoming.waste <= WASTE_LIMIT
  }

  #endRecord(record: RequestRecord, code: string | undefined): void {
    record.received = this.#incoming?.received ?? this.#received
    if (this.#outgoing !== undefined) record.sent = this.#outgoing.sent
    record.end(code)
  }

  #finish(): void {
    this.#answered = true
    const { record } = this.#request
    if (record !== undefined) this.#endRecord(record, this.#broken?.code)
    this.#owner.answered(this.#keepAlive && this.#broken === undefined)
  }
}

/** Writes the answer to a request that can't be asked of a service. The connection must be closed after it. */
export function writeRefusal(out: Outbox, error: unknown): void {
  const answer = failureAnswer(error)
  const { text } = responseHead(answer, { method: 'GET', version: '1.1', keepAlive: false })
  writeWhole(out, text, answer.body)
}
