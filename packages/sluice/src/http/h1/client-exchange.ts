// One request to an upstream and its response on an HTTP/1.1 connection (RFC 9112).
import { isSluiceError, SluiceError } from '../../core/index.ts'
import type { Stream } from '../../net/index.ts'
import { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { INFORMATION_LIMIT } from '../client/limits.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest } from '../client/upstream.ts'
import { Batch } from '../turn.ts'
import type { BodyLimits } from './body-decoder.ts'
import { requestHead } from './client-request.ts'
import { IncomingBody } from './incoming-body.ts'
import type { Outbox } from './outbox.ts'
import { OutgoingBody, type OutgoingOwner, writeWhole } from './outgoing-body.ts'
import type { ResponseHead } from './response-head-parser.ts'

/** The connection that an exchange takes place on. */
export interface ClientExchangeOwner {
  readonly out: Outbox
  /** What is waited for has changed: bytes of the body are wanted, or the upstream has to take what was written. */
  waitsAnew(): void
  /** The exchange can't be completed, or nobody waits for it: the connection must be closed at once. */
  abandon(): void
}

const complete = new Batch<Http1ClientExchange>(exchange => exchange.goOn())

export class Http1ClientExchange implements UpstreamExchange, OutgoingOwner {
  readonly #owner: ClientExchangeOwner
  readonly #request: UpstreamRequest
  readonly #observer: UpstreamObserver
  #incoming: IncomingBody | undefined
  /** A response that is complete, until it is handed on. */
  #head: ResponseHead | undefined
  #body: Body = Body.empty
  #outgoing: OutgoingBody | undefined
  /** The body waits for 100. */
  #held = false
  #informed = 0
  #begun = false
  #answered = false
  #over = false
  #keepAlive = false
  /** An informational response said that the connection ends with this exchange, or contradicted itself. */
  #last = false

  constructor(owner: ClientExchangeOwner, request: UpstreamRequest, observer: UpstreamObserver) {
    this.#owner = owner
    this.#request = request
    this.#observer = observer
  }

  get method(): string {
    return this.#request.method
  }

  /** Whether any byte of the response has come. */
  get begun(): boolean {
    return this.#begun
  }

  /** Whether the head of the final response has come. */
  get answered(): boolean {
    return this.#answered
  }

  /** Whether the request is still being sent. */
  get sending(): boolean {
    return this.#outgoing !== undefined || this.#held
  }

  /** Whether the body of the request is on its way. */
  get uploading(): boolean {
    return this.#outgoing !== undefined
  }

  /** Whether the body waits for 100. */
  get held(): boolean {
    return this.#held
  }

  /** Whether the upstream has to take what was written of the request. */
  get waiting(): boolean {
    return this.#outgoing?.waiting === true
  }

  /** Whether bytes of the response's body can be taken now. */
  get wanted(): boolean {
    return this.#incoming?.wanted === true
  }

  /** Whether a body is coming that nobody has begun to read. */
  get unread(): boolean {
    return this.#incoming?.started === false
  }

  /** Whether a body is coming that nobody wants now. */
  get stalled(): boolean {
    return this.#incoming?.wanted === false
  }

  /** Whether the connection can be used again after this exchange, which is complete. */
  get reusable(): boolean {
    return this.#keepAlive && !this.#last && !this.sending
  }

  /**
   * Writes the request.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`
   */
  begin(): void {
    const { body, expectsContinue } = this.#request
    const head = requestHead(this.#request)
    if (body.length === 0) {
      this.#owner.out.write(head)
      return
    }
    if (expectsContinue) {
      this.#held = true
      this.#owner.out.write(head)
    } else if (body.inMemory && (body.length ?? 0) <= PIECE) {
      writeWhole(this.#owner.out, head, body)
    } else {
      this.#sendBody(head)
    }
  }

  /** Sends the body that waited for 100: it was asked for, or the upstream kept silent. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#sendBody('')
    this.#owner.waitsAnew()
  }

  #sendBody(head: string): void {
    const { body } = this.#request
    const framing = body.length === undefined ? 'chunked' : 'length'
    this.#outgoing = new OutgoingBody(this.#owner.out, framing, body.length ?? 0, this)
    // One that is in memory can be sent again.
    this.#outgoing.begin(head, body.inMemory ? Body.from(body.whole) : body)
  }

  /** The first byte of the response has come. */
  markBegun(): void {
    this.#begun = true
  }

  /** @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED` */
  inform(head: ResponseHead): void {
    this.#informed++
    if (this.#informed > INFORMATION_LIMIT) {
      const what = `it sent more than ${INFORMATION_LIMIT} informational responses`
      throw new SluiceError('HTTP_UPSTREAM_MALFORMED', what)
    }
    if (!head.keepAlive) this.#last = true
    if (head.status === 100) this.release()
    else this.#observer.informed(head.status, head.headers)
  }

  /**
   * The connection has changed its protocol.
   *
   * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`
   */
  switch(head: ResponseHead, stream: () => Stream): void {
    if (this.#request.upgrade === undefined || head.upgrade !== this.#request.upgrade) {
      throw new SluiceError('HTTP_UPSTREAM_MALFORMED', 'it changes to a protocol that it was not asked for')
    }
    this.#over = true
    this.#observer.responded({ status: 101, headers: head.headers, body: Body.empty, stream: stream() })
  }

  /** The head of the final response has come. */
  answer(head: ResponseHead): void {
    this.#answered = true
    this.#keepAlive = head.keepAlive
  }

  /** The body of the response is still to come. */
  expectBody(length: number, limits: BodyLimits): IncomingBody {
    const incoming = new IncomingBody(length, limits, () => this.#onWanted())
    this.#incoming = incoming
    return incoming
  }

  /** Tells of the final response, whose body is here, or still to come. */
  respond({ status, headers }: ResponseHead, body: Body): void {
    this.#observer.responded({ status, headers, body })
  }

  /**
   * The same at the end of the turn, for a response that is complete: the next ones that have come are read first, and
   * then all are handed on (−8 % of a request over HTTP/2).
   */
  respondLater(head: ResponseHead, body: Body): void {
    this.#head = head
    this.#body = body
    complete.add(this)
  }

  goOn(): void {
    if (this.#head !== undefined) this.respond(this.#head, this.#body)
  }

  /** Bytes of the response's body. */
  receive(bytes: Buffer, from: number, lent: boolean): number {
    const incoming = this.#incoming
    if (incoming === undefined) return from
    const end = incoming.push(bytes, from, lent)
    if (incoming.done) this.#incoming = undefined
    return end
  }

  /** Whether the body of the response is still to come. */
  get receiving(): boolean {
    return this.#incoming !== undefined
  }

  /** The upstream has ended its side in order: whether the response is complete with that. */
  endOfInput(): boolean {
    if (this.#incoming?.end() !== true) return false
    this.#incoming = undefined
    return true
  }

  /** The response is complete. What is left of the request is not sent any more. */
  complete(): void {
    this.#over = true
    this.#held = false
    this.#cancelOutgoing()
  }

  /** It can't be completed. */
  fail(error: SluiceError): void {
    if (this.#over) return
    this.#over = true
    this.#cancelOutgoing()
    const incoming = this.#incoming
    this.#incoming = undefined
    if (!this.#answered) this.#observer.failed(error)
    else incoming?.fail(error)
  }

  cancel(): void {
    this.#head = undefined
    if (this.#over) return
    this.#over = true
    this.#cancelOutgoing()
    this.#owner.abandon()
  }

  /** The upstream has taken what was written. */
  drained(): void {
    this.#outgoing?.drained()
  }

  bodyInvalid(what: string): SluiceError {
    return new SluiceError('HTTP_BODY_INVALID', what)
  }

  bodyWaits(): void {
    this.#owner.waitsAnew()
  }

  bodyEnds(error?: unknown): void {
    this.#outgoing = undefined
    if (error === undefined) {
      this.#owner.waitsAnew()
      return
    }
    // It must not take what it got for the whole. What it has answered so far is not an answer to that, either.
    this.fail(isSluiceError(error) ? error : new SluiceError('INTERNAL', 'the body failed', { cause: error }))
    this.#owner.abandon()
  }

  #cancelOutgoing(): void {
    const outgoing = this.#outgoing
    this.#outgoing = undefined
    outgoing?.cancel()
  }

  /** More of the response's body is wanted, or nothing of it any more. */
  #onWanted(): void {
    if (this.#incoming?.reading === true) this.#owner.waitsAnew()
    else this.cancel()
  }
}
