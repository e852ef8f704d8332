// One HTTP/1.1 connection to an upstream (RFC 9112): one request after the other, each when the one before has been
// answered. It can be used again only if a message ended exactly; whatever comes unasked closes it.
import type { Socket } from 'node:net'
import { SluiceError } from '../../core/index.ts'
import { type Connected, isResetTakenForEnd, type Stream } from '../../net/index.ts'
import { Body } from '../body.ts'
import { CONTINUE_TIMEOUT, type UpstreamLimits } from '../client/limits.ts'
import { stoodStill } from '../client/stood-still.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest } from '../client/upstream.ts'
import { type Swept, sweep } from '../sweep.ts'
import type { BodyLimits } from './body-decoder.ts'
import { closedEarly, malformed } from './client-errors.ts'
import { type ClientExchangeOwner, Http1ClientExchange } from './client-exchange.ts'
import { leaveSocket } from './leave-socket.ts'
import { Outbox } from './outbox.ts'
import { type ResponseHead, ResponseHeadParser } from './response-head-parser.ts'

/** Who lends the connection for requests. */
export interface ClientConnectionOwner {
  /** The exchange is complete: the connection is free for another. */
  released(connection: Http1ClientConnection): void
  /** It is closed, or was handed over after a 101: it will not be free again. */
  lost(connection: Http1ClientConnection): void
}

const NOTHING = Buffer.alloc(0)

/** A body up to this size costs less as text than as a buffer. */
const SMALL = 4096

export class Http1ClientConnection implements Swept, ClientExchangeOwner {
  readonly #connected: Connected
  readonly #socket: Socket
  readonly #limits: UpstreamLimits
  readonly #bodyLimits: BodyLimits
  readonly #owner: ClientConnectionOwner
  readonly #parser: ResponseHeadParser
  #exchange: Http1ClientExchange | undefined
  /** Bytes that came and were not looked at, as the body is not wanted now: `#input` from `#at` on. */
  #input: Buffer = NOTHING
  #at = 0
  #lent = false
  #advancing = false
  #paused = false
  #ended = false
  #lost = false
  #used = false
  /** How long the upstream keeps it while it is idle, in seconds, if it said so. */
  idleHint: number | undefined
  readonly out: Outbox
  deadline: number = Number.POSITIVE_INFINITY

  constructor(connected: Connected, limits: UpstreamLimits, owner: ClientConnectionOwner) {
    this.#connected = connected
    this.#socket = connected.socket
    this.out = new Outbox(connected.socket)
    this.#limits = limits
    this.#bodyLimits = {
      body: Number.POSITIVE_INFINITY,
      trailers: { bytes: limits.head, line: 0, fields: limits.fields },
    }
    this.#owner = owner
    this.#parser = new ResponseHeadParser(limits)
    const socket = this.#socket
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    socket.on('close', this.#onClose)
    // What went wrong is seen by 'close', which always follows.
    socket.on('error', ignore)
    if (connected.readInto?.(this.#take) !== true) socket.on('data', this.#onData)
    sweep.add(this)
    if (socket.destroyed) this.#lose()
    else socket.resume()
  }

  /** Whether it can't be used any more. */
  get closed(): boolean {
    return this.#lost
  }

  /** Whether requests were sent on it before. */
  get reused(): boolean {
    return this.#used
  }

  /**
   * Sends a request. The connection must be free.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`; the connection is closed then
   */
  send(request: UpstreamRequest, observer: UpstreamObserver): UpstreamExchange & { readonly begun: boolean } {
    this.#used = true
    const exchange = new Http1ClientExchange(this, request, observer)
    this.#exchange = exchange
    try {
      exchange.begin()
    } catch (error) {
      this.abandon()
      throw error
    }
    this.#watch()
    return exchange
  }

  /** Closes it: in order if it is idle and the upstream has taken what was written, else as an abort. */
  close(): void {
    // An upstream that answers early need not ever read the rest: the end would wait behind it, for ever.
    const socket = this.out.direct()
    if (this.#exchange === undefined && socket.writableLength === 0) {
      this.#lose()
      socket.end()
      socket.destroySoon()
    } else {
      this.abandon()
    }
  }

  abandon(): void {
    this.#lose()
    this.#connected.reset()
  }

  waitsAnew(): void {
    this.#watch()
    this.#advance()
  }

  /** A limit in time has passed: which one, the state tells. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY
    const exchange = this.#exchange
    const { responseTimeout, bodyTimeout, writeTimeout } = this.#limits
    if (exchange === undefined) {
      this.close()
    } else if (exchange.held && !exchange.answered) {
      exchange.release()
    } else if (exchange.waiting) {
      const what = `it took nothing of the request for ${writeTimeout} ms`
      this.#fail(new SluiceError('HTTP_UPSTREAM_WRITE_TIMEOUT', what))
    } else if (exchange.wanted || exchange.unread) {
      this.#fail(stoodStill(bodyTimeout, exchange.unread))
    } else if (!exchange.answered) {
      const what = `the head of its answer did not come within ${responseTimeout} ms`
      this.#fail(new SluiceError('HTTP_UPSTREAM_TIMEOUT', what))
    }
  }

  /** Sets the deadline for what is being waited for from here on. */
  #watch(): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    const { responseTimeout, bodyTimeout, writeTimeout } = this.#limits
    let limit = Number.POSITIVE_INFINITY
    if (exchange.held && !exchange.answered) limit = CONTINUE_TIMEOUT
    else if (exchange.waiting) limit = writeTimeout
    // While the request is being sent, it is the client's progress that counts, as that may be what the answer waits for.
    else if (exchange.uploading) limit = Number.POSITIVE_INFINITY
    else if (exchange.wanted || exchange.unread) limit = bodyTimeout
    else if (!exchange.answered) limit = responseTimeout
    this.deadline = sweep.now + limit
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#receive(chunk, false)
    if (this.#paused) this.#socket.pause()
  }

  /** Bytes in the shared buffer of all upstreams; whether more may come. */
  readonly #take = (bytes: Buffer): boolean => {
    this.#receive(bytes, true)
    return !this.#paused
  }

  #receive(bytes: Buffer, lent: boolean): void {
    if (this.#lost) return
    if (this.#at < this.#input.length) {
      this.#input = Buffer.concat([this.#input.subarray(this.#at), bytes])
      this.#lent = false
    } else {
      this.#input = bytes
      this.#lent = lent
    }
    this.#at = 0
    this.#exchange?.markBegun()
    this.#advance()
    // What is left of a buffer that is read into again must be kept.
    if (this.#lent && this.#at < this.#input.length) this.#input = Buffer.from(this.#input)
    this.#lent = false
  }

  /** Goes through what has come as far as it can; then asks for more, or for a pause. */
  #advance(): void {
    if (this.#advancing || this.#lost) return
    this.#advancing = true
    try {
      while (this.#step());
    } catch (error) {
      this.#fail(malformed(error))
    }
    this.#advancing = false
    if (this.#lost) return
    const isUnread = this.#at < this.#input.length
    const wasPaused = this.#paused
    // Before more comes that is not wanted: what comes into the shared buffer then would have to be copied.
    this.#paused = isUnread || this.#exchange?.stalled === true
    if (isUnread) return
    this.#input = NOTHING
    this.#at = 0
    if (wasPaused && !this.#paused) this.#socket.resume()
    if (this.#ended) this.#endOfInput()
  }

  /** One step forward; whether there may be another. */
  #step(): boolean {
    const input = this.#input
    if (this.#at === input.length || this.#lost) return false
    const exchange = this.#exchange
    if (exchange === undefined) {
      // Nothing was asked: what comes now could be taken for an answer to the next request.
      this.close()
      return false
    }
    if (!exchange.answered) {
      const head = this.#parser.read(input, this.#at, exchange.method)
      this.#at = this.#parser.end
      if (head !== undefined) this.#onHead(exchange, head)
      return head !== undefined
    }
    if (!exchange.wanted) return false
    this.#at = exchange.receive(input, this.#at, this.#lent)
    if (this.#lost) return false
    if (!exchange.receiving) this.#complete(exchange)
    else this.#watch()
    return true
  }

  #onHead(exchange: Http1ClientExchange, head: ResponseHead): void {
    if (head.status === 101) {
      exchange.switch(head, () => this.#handOver())
      return
    }
    if (head.status < 200) {
      exchange.inform(head)
      return
    }
    this.idleHint = head.idleHint
    exchange.answer(head)
    const length = head.bodyLength
    if (length >= 0 && length <= this.#input.length - this.#at) {
      // All of it is here: as one piece it costs its readers the least.
      const body = length === 0 ? Body.empty : this.#bodyHere(length)
      this.#at += length
      this.#complete(exchange)
      exchange.respondLater(head, body)
      return
    }
    const incoming = exchange.expectBody(length, this.#bodyLimits)
    this.#watch()
    exchange.respond(head, Body.of(incoming, length < 0 ? undefined : length))
  }

  #bodyHere(length: number): Body {
    const start = this.#at
    if (length <= SMALL) return Body.latin1(this.#input.toString('latin1', start, start + length))
    const bytes = this.#input.subarray(start, start + length)
    return Body.from(this.#lent ? Buffer.from(bytes) : bytes)
  }

  /** The response is complete: the connection is free again if everything ended exactly where it should. */
  #complete(exchange: Http1ClientExchange): void {
    const reusable = exchange.reusable && !this.#ended && this.#at === this.#input.length
    this.#exchange = undefined
    this.deadline = Number.POSITIVE_INFINITY
    exchange.complete()
    if (reusable) this.#owner.released(this)
    else this.close()
  }

  /** HTTP is over on this connection: what was read ahead goes back. */
  #handOver(): Stream {
    const rest = this.#input.subarray(this.#at)
    this.#lose()
    this.#connected.readInto?.(undefined)
    const listeners = { data: this.#onData, end: this.#onEnd, drain: this.#onDrain, close: this.#onClose }
    leaveSocket(this.#socket, listeners, rest)
    return this.#connected
  }

  readonly #onEnd = (): void => {
    this.#ended = !isResetTakenForEnd(this.#socket)
    if (this.#ended) this.#advance()
    else this.#socket.destroy()
  }

  readonly #onDrain = (): void => {
    this.#exchange?.drained()
    this.waitsAnew()
  }

  readonly #onClose = (): void => {
    if (this.#lost) return
    this.#fail(this.#closedEarly())
  }

  /** The upstream has ended its side, and everything that it sent has been looked at. */
  #endOfInput(): void {
    const exchange = this.#exchange
    if (exchange === undefined) {
      this.close()
    } else if (!exchange.answered || exchange.wanted) {
      if (exchange.answered && exchange.endOfInput()) this.#complete(exchange)
      else this.#fail(this.#closedEarly())
    }
  }

  #closedEarly(): SluiceError {
    const answered = this.#exchange?.answered === true
    return closedEarly(answered, this.#parser.begun, this.#socket.errored ?? undefined)
  }

  #fail(error: SluiceError): void {
    const exchange = this.#exchange
    this.abandon()
    exchange?.fail(error)
  }

  #lose(): void {
    if (this.#lost) return
    this.#lost = true
    this.#exchange = undefined
    this.#input = NOTHING
    this.#at = 0
    sweep.delete(this)
    this.#owner.lost(this)
  }
}

function ignore(): void {}
