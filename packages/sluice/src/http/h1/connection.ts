// One HTTP/1.1 connection of a server (RFC 9112): reads requests one after the other and has them answered in order.
// What follows a request waits unread until that request has been answered.
import type { Socket } from 'node:net'
import { errorCode, isSluiceError, type Service, SluiceError } from '../../core/index.ts'
import { type Connection, readDirectly, stopDirectReads } from '../../net/index.ts'
import { DRAIN_GRACE, type Drainable } from '../active.ts'
import { logFailure } from '../failure.ts'
import type { HttpLimits } from '../limits.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse, Tunnel } from '../response.ts'
import { bodyDeadline, type Swept, sweep } from '../sweep.ts'
import { Batch } from '../turn.ts'
import { Closing, LINGER } from './closing.ts'
import { CLOSED, CLOSING, EXCHANGE, HEAD, TAKING, TUNNEL } from './connection-state.ts'
import { type ExchangeOwner, Http1Exchange, writeRefusal } from './exchange.ts'
import { leaveSocket } from './leave-socket.ts'
import { Outbox } from './outbox.ts'
import { type RequestHead, RequestHeadParser } from './request-head.ts'
import { Taking } from './taking.ts'

const NOTHING = Buffer.alloc(0)
const ignore = (): void => {}
const reading = new Batch<ExchangeOwner>(connection => connection.waitsAnew())

export class Http1Connection<C extends Connection> implements Swept, Drainable, ExchangeOwner {
  readonly #connection: C
  readonly #socket: Socket
  readonly #service: Service<HttpRequest<C>, HttpResponse>
  readonly #limits: HttpLimits
  readonly #parser: RequestHeadParser
  readonly #taking: Taking
  readonly #scheme: 'http' | 'https'
  readonly #done = Promise.withResolvers<void>()
  #state = HEAD
  #draining = false
  /** The client has ended its side. */
  #ended = false
  /** Bytes that came and were not looked at: `#input` from `#at` on. */
  #input: Buffer = NOTHING
  #at = 0
  #advancing = false
  #paused = false
  #exchange: Http1Exchange<C> | undefined
  #closing: Closing | undefined
  /** Whether another request can follow the one that was answered. */
  #keepAlive = true
  #idleSince = sweep.now
  readonly out: Outbox
  deadline: number

  constructor(
    connection: C,
    scheme: 'http' | 'https',
    service: Service<HttpRequest<C>, HttpResponse>,
    limits: HttpLimits,
  ) {
    this.#connection = connection
    this.#socket = connection.socket
    this.out = new Outbox(connection.socket)
    this.#scheme = scheme
    this.#service = service
    this.#limits = limits
    this.#parser = new RequestHeadParser(limits)
    this.#taking = new Taking(connection, limits.writeTimeout)
    this.deadline = this.#idleSince + limits.headTimeout
  }

  /** Serves the connection; settled when it has ended. */
  serve(): Promise<void> {
    const socket = this.#socket
    readDirectly(socket, this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    // What went wrong is seen by 'close', which always follows.
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    sweep.add(this)
    if (socket.destroyed) this.#onClose()
    else if (socket.readableEnded) this.#onEnd()
    else socket.resume()
    return this.#done.promise
  }

  get last(): boolean {
    return this.#draining || this.#ended
  }

  get unread(): boolean {
    return this.#at < this.#input.length
  }

  drain(): void {
    this.#draining = true
    if (this.#state !== HEAD || this.#parser.begun || this.unread) return
    this.deadline = Math.min(this.deadline, this.#idleSince + DRAIN_GRACE)
    if (this.deadline < sweep.now) this.#close()
  }

  /** A limit in time has passed: which one, the state tells. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY
    const { headTimeout, writeTimeout } = this.#limits
    const isTaking = this.#state >= TAKING || this.#exchange?.waiting === true
    if (isTaking && this.#taking.goesOn) {
      this.deadline = this.#taking.watch()
    } else if (this.#state === HEAD && this.#parser.begun) {
      this.#refuse(new SluiceError('HTTP_HEAD_TIMEOUT', `the head did not come within ${headTimeout} ms`))
    } else if (this.#state === HEAD) {
      this.#close()
    } else if (this.#state === CLOSING) {
      this.#socket.destroy()
    } else if (isTaking) {
      const what = `the client took nothing of the answer for ${writeTimeout} ms`
      this.cut(new SluiceError('HTTP_WRITE_TIMEOUT', what))
    } else if (this.#exchange?.talking === true) {
      this.#watch()
    } else if (this.#exchange?.receiving === true) {
      this.#breakBody(new SluiceError('HTTP_BODY_TIMEOUT', 'the body of the request came too slowly'))
    } else if (this.#ended) {
      this.cut(new SluiceError('DOWNSTREAM_CLOSED', 'the client has gone'), true)
    }
  }

  /** Sets the deadline for what is being waited for from here on, and goes on. */
  waitsAnew(): void {
    this.#watch()
    this.#advance()
  }

  answered(keepAlive: boolean): void {
    this.#keepAlive = keepAlive
    const exchange = this.#exchange
    if (exchange?.receiving !== true) this.#next()
    else if (!exchange.reading && !keepAlive) this.#close()
    else {
      if (!exchange.reading) exchange.discard()
      this.#watch()
    }
    this.#advance()
  }

  /** Ends at once, so that the client can't take what it got for the whole. */
  cut(error: unknown, logged: boolean = false): void {
    if (this.#state === CLOSING || this.#state === CLOSED) return
    if (!logged) logFailure(this.#connection, error, 'an answer was cut')
    this.#exchange?.close(errorCode(error))
    // Answers before this one may be complete.
    this.out.flush()
    this.#connection.reset()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === CLOSING) {
      this.#closing?.ignore(chunk.length)
      return
    }
    const { unread } = this
    this.#input = unread ? Buffer.concat([this.#input.subarray(this.#at), chunk]) : chunk
    this.#at = 0
    // All sockets are read before the first request is asked (−5 % of it), but no more is let pile up.
    if (this.#state === HEAD && !unread) reading.add(this)
    else this.#advance()
  }

  readonly #onEnd = (): void => {
    this.#advance()
    if (this.#state === TUNNEL) return
    this.#ended = true
    if (this.#exchange?.receiving === false) this.#exchange.abort()
    this.waitsAnew()
  }

  readonly #onDrain = (): void => {
    if (this.#state === TAKING) this.#next()
    else this.#exchange?.drained()
    this.waitsAnew()
  }

  /** What was read ahead of the 101 belongs to the tunnel, which has the socket from here on. */
  handOver(tunnel: Tunnel): void {
    this.#state = TUNNEL
    this.deadline = Number.POSITIVE_INFINITY
    this.out.flush()
    stopDirectReads(this.#socket, this.#onData)
    leaveSocket(this.#socket, { end: this.#onEnd, drain: this.#onDrain }, this.#input.subarray(this.#at))
    this.#drop()
    try {
      tunnel(this.#connection)
    } catch (cause) {
      this.cut(new SluiceError('INTERNAL', 'a tunnel could not begin', { cause }))
    }
  }

  #drop(): void {
    this.#input = NOTHING
    this.#at = 0
  }

  #onClose(): void {
    if (this.#state === CLOSED) return
    this.#advance()
    this.#state = CLOSED
    sweep.delete(this)
    this.#drop()
    this.#exchange?.close()
    this.#exchange = undefined
    this.#done.resolve()
  }

  /** Goes through what has come as far as it can; then asks for more, or for a pause. */
  #advance(): void {
    if (this.#advancing) return
    this.#advancing = true
    try {
      while (this.#step());
    } catch (error) {
      this.#onError(error)
    }
    this.#advancing = false
    if (this.#state >= CLOSING) return
    if (this.unread) {
      if (!this.#paused) this.#socket.pause()
      this.#paused = true
    } else {
      this.#drop()
      if (this.#paused) this.#socket.resume()
      this.#paused = false
      if (this.#ended) this.#endOfInput()
    }
  }

  /** One step forward; whether there may be another. */
  #step(): boolean {
    const input = this.#input
    if (this.#at === input.length) return false
    if (this.#state === HEAD) {
      if (!this.#parser.begun) this.deadline = sweep.now + this.#limits.headTimeout
      const head = this.#parser.read(input, this.#at)
      this.#at = this.#parser.end
      if (head === undefined) return false
      this.#begin(head)
      return true
    }
    const exchange = this.#exchange
    if (exchange === undefined || !exchange.wanted) return false
    const before = this.#at
    const end = exchange.receive(input, before)
    // Who reads the body may have ended the answer, and with it the connection.
    if (this.#state !== EXCHANGE) return false
    this.#at = end
    if (!exchange.waiting && !exchange.wanted) this.#watch()
    else if (!exchange.waiting)
      this.deadline = bodyDeadline(this.deadline, end - before, this.#limits.bodyTimeout)
    if (!exchange.receiving && exchange.answered) this.#next()
    else if (exchange.wasteful) this.#close()
    return true
  }

  /** A head is complete. */
  #begin(head: RequestHead): void {
    const exchange = new Http1Exchange(this, this.#connection, this.#scheme, head, this.#limits)
    this.#exchange = exchange
    this.#state = EXCHANGE
    this.deadline = Number.POSITIVE_INFINITY
    exchange.ask(this.#service)
  }

  /** Makes ready for the next request, if there can be one. */
  #next(): void {
    this.#exchange = undefined
    if (!this.#keepAlive) {
      this.#close()
    } else if (this.#socket.writableNeedDrain) {
      this.#state = TAKING
      this.deadline = this.#taking.watch()
    } else {
      this.#state = HEAD
      this.#idleSince = sweep.now
      this.deadline = this.#idleSince + this.#limits.keepAliveTimeout
      if (this.#draining) this.drain()
    }
  }

  #watch(): void {
    const exchange = this.#exchange
    if (this.#state !== EXCHANGE || exchange === undefined) return
    const { bodyTimeout } = this.#limits
    if (exchange.waiting) {
      this.deadline = this.#taking.watch()
    } else if (exchange.receiving && (exchange.answered || exchange.wanted)) {
      this.deadline = sweep.now + bodyTimeout
    } else {
      this.deadline = this.#ended ? sweep.now + LINGER : Number.POSITIVE_INFINITY
    }
  }

  /** What came is not HTTP as it must be. */
  #onError(error: unknown): void {
    const what = 'serving an HTTP connection failed'
    const failure = isSluiceError(error) ? error : new SluiceError('INTERNAL', what, { cause: error })
    if (this.#state === HEAD) this.#refuse(failure)
    else if (this.#exchange?.receiving === true) this.#breakBody(failure)
    else this.cut(failure)
  }

  /** Answers a request that has no service, and closes. */
  #refuse(error: SluiceError): void {
    logFailure(this.#connection, error, 'a request was refused')
    writeRefusal(this.out, error)
    this.#close()
  }

  /** The body of the request can't be completed: whatever it is answered, the connection ends. */
  #breakBody(error: SluiceError): void {
    const exchange = this.#exchange
    if (this.#state !== EXCHANGE || exchange === undefined || exchange.broken) return
    this.#at = this.#input.length
    this.deadline = Number.POSITIVE_INFINITY
    exchange.breakBody(error)
    if (exchange.answered) this.#close()
  }

  /** The client has ended its side and everything that it sent has been looked at. */
  #endOfInput(): void {
    if (this.#exchange?.wanted === true) {
      this.#breakBody(new SluiceError('HTTP_BODY_INCOMPLETE', 'the client ended its side inside the body'))
    } else if (this.#state === HEAD) {
      if (this.#parser.begun) {
        const what = 'the client ended the connection inside a head'
        logFailure(this.#connection, new SluiceError('DOWNSTREAM_CLOSED', what), 'a request broke off')
      }
      this.#close()
    }
  }

  /** Ends in order. */
  #close(): void {
    if (this.#state >= CLOSING) return
    this.#state = CLOSING
    this.#drop()
    this.deadline = this.#taking.watch()
    this.#exchange?.close()
    this.#exchange = undefined
    this.#closing = new Closing(this.out.direct(), this.#ended, () => {
      this.#taking.watch()
      this.deadline = sweep.now + LINGER
    })
  }
}
