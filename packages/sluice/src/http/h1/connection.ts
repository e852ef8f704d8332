// One HTTP/1.1 connection of a server (RFC 9112): reads requests one after the other, asks the service, writes the
// answers in order. What follows a request waits unread until that request has been answered.
import type { Socket } from 'node:net'
import { type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import type { Drainable } from '../active.ts'
import { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HttpLimits } from '../limits.ts'
import { discardBody, isPromise } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { type Swept, sweep } from '../sweep.ts'
import type { BodyLimits } from './body-decoder.ts'
import { IncomingBody } from './incoming-body.ts'
import { OutgoingBody, type OutgoingOwner } from './outgoing-body.ts'
import { type RequestHead, RequestHeadParser } from './request-head.ts'
import { responseHead } from './response-head.ts'

/** Between requests, or inside a head. */
const HEAD = 0
/** The head is complete, the body is not. */
const BODY = 1
/** The request is complete, the answer is not. */
const ANSWER = 2
/** The answer is complete, but the client has not taken enough of it yet. */
const TAKING = 3
/** Nothing more will be read or written; the client gets time to read what was written. */
const CLOSING = 4
const CLOSED = 5

/** Bytes of a body that nobody wanted that are thrown away to keep the connection. */
const WASTE_LIMIT = 256 * 1024

/** After the last byte was written: how long, and for how many bytes, the client is listened to before it is closed. */
const LINGER = 5000
const LINGER_BYTES = 1024 * 1024

/** The slowest a body may come, in bytes a millisecond, once `bodyTimeout` has been used up (240 bytes a second). */
const SLOWEST = 0.24

const NOTHING = Buffer.alloc(0)

export class Http1Connection<C extends Connection> implements Swept, Drainable, OutgoingOwner {
  readonly #connection: C
  readonly #socket: Socket
  readonly #service: Service<HttpRequest<C>, HttpResponse>
  readonly #limits: HttpLimits
  readonly #bodyLimits: BodyLimits
  readonly #parser: RequestHeadParser
  readonly #scheme: 'http' | 'https'
  readonly #done = Promise.withResolvers<void>()

  #state = HEAD
  #draining = false
  /** The client has ended its side. */
  #ended = false
  /** Bytes that came and have not been looked at: `#input` from `#at` on. */
  #input: Buffer = NOTHING
  #at = 0
  #advancing = false
  #paused = false
  #lingered = 0

  #head: RequestHead | undefined
  #request: ReceivedRequest<C> | undefined
  #incoming: IncomingBody | undefined
  #outgoing: OutgoingBody | undefined
  /** The head of the answer has been written, and then all of it. */
  #answering = false
  #answered = false
  #continued = false
  /** Whether another request can follow the answer that is being written. */
  #keepAlive = false
  /** Why the request can't be completed; the answer to it is the last. */
  #broken: SluiceError | undefined

  deadline: number

  constructor(
    connection: C,
    scheme: 'http' | 'https',
    service: Service<HttpRequest<C>, HttpResponse>,
    limits: HttpLimits,
  ) {
    this.#connection = connection
    this.#socket = connection.socket
    this.#scheme = scheme
    this.#service = service
    this.#limits = limits
    this.#bodyLimits = {
      body: limits.body,
      trailers: { bytes: limits.head, line: 0, fields: limits.fields },
    }
    this.#parser = new RequestHeadParser(limits)
    this.deadline = sweep.now + limits.headTimeout
  }

  /** Serves the connection; settled when it has ended. */
  serve(): Promise<void> {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => this.#onDrain())
    // What went wrong is seen by 'close', which always follows.
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    sweep.add(this)
    if (socket.destroyed) this.#onClose()
    else socket.resume()
    return this.#done.promise
  }

  drain(): void {
    this.#draining = true
    if (this.#state === HEAD && !this.#parser.begun && this.#at === this.#input.length) this.#close()
  }

  /** A limit in time has passed: which one, the state tells. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#state === HEAD) {
      if (this.#parser.begun) {
        this.#refuse(
          new SluiceError('HTTP_HEAD_TIMEOUT', `the head did not come within ${this.#limits.headTimeout} ms`),
        )
      } else {
        this.#close()
      }
    } else if (this.#state === CLOSING) {
      this.#socket.destroy()
    } else if (this.#state === TAKING || this.#outgoing?.waiting === true) {
      this.#cut(
        new SluiceError(
          'HTTP_WRITE_TIMEOUT',
          `the client took nothing of the answer for ${this.#limits.writeTimeout} ms`,
        ),
      )
    } else if (this.#state === BODY) {
      this.#breakBody(new SluiceError('HTTP_BODY_TIMEOUT', 'the body of the request came too slowly'))
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#state === CLOSING) {
      this.#lingered += chunk.length
      if (this.#lingered > LINGER_BYTES) this.#socket.pause()
      return
    }
    const left = this.#input.length - this.#at
    // Only what was on its way while the socket was being paused finds something waiting.
    this.#input = left === 0 ? chunk : Buffer.concat([this.#input.subarray(this.#at), chunk])
    this.#at = 0
    this.#advance()
  }

  #onEnd(): void {
    this.#ended = true
    // An answer can still be written, but clients that end their side have mostly gone.
    if (this.#state === ANSWER) this.#request?.abort()
    this.#advance()
  }

  #onDrain(): void {
    if (this.#state === TAKING) this.#next()
    else this.#outgoing?.drained()
    if (this.#outgoing?.waiting === false) this.#watch()
    this.#advance()
  }

  #onClose(): void {
    if (this.#state === CLOSED) return
    const finished = this.#state === CLOSING
    this.#state = CLOSED
    sweep.delete(this)
    this.#input = NOTHING
    this.#at = 0
    if (!finished) {
      this.#incoming?.fail(
        new SluiceError(
          'HTTP_BODY_INCOMPLETE',
          'the client closed the connection before the body was complete',
        ),
      )
      this.#request?.abort()
    }
    this.#outgoing?.cancel()
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
    if (this.#at < this.#input.length) {
      if (!this.#paused) this.#socket.pause()
      this.#paused = true
    } else {
      this.#input = NOTHING
      this.#at = 0
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
      const end = this.#parser.push(input, this.#at)
      this.#at = end < 0 ? input.length : end
      if (end < 0) return false
      this.#begin(this.#parser.take())
      return true
    }
    const incoming = this.#incoming
    if (this.#state !== BODY || incoming === undefined || !incoming.wanted) return false
    const before = this.#at
    const end = incoming.push(input, before)
    // Who reads the body may have ended the answer, and with it the connection.
    if (this.#state !== BODY) return false
    this.#at = end
    this.#progress(end - before)
    if (incoming.done) this.#bodyDone()
    else if (this.#answered && incoming.waste > WASTE_LIMIT) this.#close()
    return true
  }

  /** A head is complete: asks the service. */
  #begin(head: RequestHead): void {
    this.#head = head
    this.#answering = false
    this.#answered = false
    this.#continued = false
    this.deadline = Number.POSITIVE_INFINITY
    let body = Body.empty
    if (head.bodyLength === 0) {
      this.#state = ANSWER
    } else {
      const incoming = new IncomingBody(head.bodyLength, this.#bodyLimits, first => this.#onWanted(first))
      this.#incoming = incoming
      this.#state = BODY
      body = Body.of(incoming, head.bodyLength < 0 ? undefined : head.bodyLength)
    }
    const request = new ReceivedRequest(
      head.method,
      head.target,
      head.version,
      this.#scheme,
      head.authority,
      head.headers,
      body,
      this.#connection,
    )
    this.#request = request
    try {
      const answer = this.#service(request)
      if (isPromise(answer)) answer.then(this.#onAnswer, this.#onFailure)
      else this.#answer(answer)
    } catch (error) {
      this.#onFailure(error)
    }
  }

  /** The service wants bytes of the body. */
  #onWanted(first: boolean): void {
    if (this.#state !== BODY) return
    if (first && !this.#answering) this.#sendContinue()
    this.#watch()
    this.#advance()
  }

  /** Tells a client that waits for it to send its body, unless the body has begun to come by itself. */
  #sendContinue(): void {
    if (this.#head?.expectsContinue !== true || this.#continued) return
    this.#continued = true
    if (this.#at === this.#input.length) this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
  }

  /** Bytes of the body came: each brings the deadline the time that it may take at the slowest. */
  #progress(count: number): void {
    if (this.#outgoing?.waiting === true) return
    if (this.#incoming?.wanted !== true) {
      this.#watch()
      return
    }
    const latest = sweep.now + this.#limits.bodyTimeout
    this.deadline = Math.min(latest, Math.max(this.deadline, sweep.now) + count / SLOWEST)
  }

  /** Sets the deadline for what is being waited for from here on. */
  #watch(): void {
    if (this.#outgoing?.waiting === true) {
      this.deadline = sweep.now + this.#limits.writeTimeout
    } else if (this.#state === BODY && (this.#answered || this.#incoming?.wanted === true)) {
      this.deadline = sweep.now + this.#limits.bodyTimeout
    } else if (this.#state === BODY || this.#state === ANSWER) {
      this.deadline = Number.POSITIVE_INFINITY
    }
  }

  #bodyDone(): void {
    this.#incoming = undefined
    this.#state = ANSWER
    if (this.#answered) this.#next()
    else this.#watch()
  }

  readonly #onAnswer = (response: HttpResponse): void => {
    this.#answer(response)
    this.#advance()
  }

  readonly #onFailure = (error: unknown): void => {
    if (this.#state >= CLOSING) return
    if (error !== this.#broken) logFailure(this.#connection.id, error, 'a service failed')
    this.#answer(failureAnswer(error))
    this.#advance()
  }

  #answer(response: HttpResponse): void {
    if (this.#state >= CLOSING) {
      discardBody(response)
      return
    }
    try {
      this.#write(response)
    } catch (error) {
      logFailure(this.#connection.id, error, 'a service answered with something that cannot be sent')
      discardBody(response)
      this.#write(failureAnswer(error))
    }
  }

  /** @throws {SluiceError} `HTTP_RESPONSE_INVALID`, `HTTP_BODY_USED`, before anything is written */
  #write(response: HttpResponse): void {
    const head = this.#head as RequestHead
    // An answer that is still to come may be made from the body: after its head it would be too late to ask for that.
    if (response?.body instanceof Body && !response.body.inMemory && response.status < 300)
      this.#sendContinue()
    const { text, framing, length, keepAlive } = responseHead(response, {
      method: head.method,
      version: head.version,
      keepAlive: head.keepAlive && this.#canContinue(response),
    })
    this.#answering = true
    if (framing === 'none') {
      response.body.discard()
      this.#socket.write(text, 'latin1')
      this.#finish(keepAlive)
      return
    }
    // What is longer goes out piece by piece.
    const whole = framing === 'length' && length <= PIECE ? response.body.takeWhole() : undefined
    if (whole !== undefined) {
      this.#writeWhole(text, whole, length)
      this.#finish(keepAlive)
      return
    }
    this.#keepAlive = keepAlive
    this.#outgoing = new OutgoingBody(this.#socket, framing, length, this)
    this.#outgoing.begin(text, response.body)
    this.#watch()
  }

  bodyWaits(): void {
    this.#watch()
  }

  bodyEnds(error?: unknown): void {
    this.#outgoing = undefined
    if (error === undefined) {
      this.#finish(this.#keepAlive)
      this.#advance()
    } else {
      this.#cut(error)
    }
  }

  /** One write for the head and a body that is in memory. */
  #writeWhole(head: string, body: string | Buffer, length: number): void {
    if (body.length === length && typeof body === 'string') {
      // As many bytes as characters: ASCII, which Latin-1 writes as it is.
      this.#socket.write(head + body, 'latin1')
      return
    }
    const bytes = Buffer.allocUnsafe(head.length + length)
    bytes.write(head, 0, 'latin1')
    if (typeof body === 'string') bytes.write(body, head.length, 'utf8')
    else body.copy(bytes, head.length)
    this.#socket.write(bytes)
  }

  /** Whether another request can follow this one, as far as can be known before the answer is written. */
  #canContinue(response: HttpResponse): boolean {
    if (this.#draining || this.#ended || this.#broken !== undefined) return false
    const incoming = this.#incoming
    if (incoming === undefined || incoming.started || response.body === this.#request?.body) return true
    // A client that waits for 100 may send its body after a final answer or not: nobody can tell what comes next.
    return (this.#head?.expectsContinue !== true || this.#continued) && incoming.waste <= WASTE_LIMIT
  }

  /** The answer has been written. */
  #finish(keepAlive: boolean): void {
    this.#answered = true
    if (!keepAlive || this.#broken !== undefined) {
      this.#close()
    } else if (this.#incoming === undefined) {
      this.#next()
    } else {
      this.#incoming.discard()
      this.#watch()
    }
  }

  /** Makes ready for the next request. */
  #next(): void {
    this.#head = undefined
    this.#request = undefined
    if (this.#socket.writableNeedDrain) {
      this.#state = TAKING
      this.deadline = sweep.now + this.#limits.writeTimeout
    } else {
      this.#state = HEAD
      this.deadline = sweep.now + this.#limits.keepAliveTimeout
      if (this.#draining && this.#at === this.#input.length) this.#close()
    }
  }

  /** What came is not HTTP as it must be. */
  #onError(error: unknown): void {
    const failure =
      error instanceof SluiceError
        ? error
        : new SluiceError('INTERNAL', 'serving an HTTP connection failed', { cause: error })
    if (this.#state === HEAD) this.#refuse(failure)
    else this.#breakBody(failure)
  }

  /** Answers a request that has no service, and closes. */
  #refuse(error: SluiceError): void {
    logFailure(this.#connection.id, error, 'a request was refused')
    const answer = failureAnswer(error)
    const { text, length } = responseHead(answer, { method: 'GET', version: '1.1', keepAlive: false })
    this.#writeWhole(text, answer.body.takeWhole() ?? '', length)
    this.#close()
  }

  /** The body of the request can't be completed; the service hears of it if it reads it. */
  #breakBody(error: SluiceError): void {
    if (this.#broken !== undefined || this.#state >= CLOSING) return
    this.#broken = error
    this.#at = this.#input.length
    logFailure(this.#connection.id, error, 'the body of a request broke off')
    const incoming = this.#incoming
    this.#incoming = undefined
    this.#state = ANSWER
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#answered) this.#close()
    else incoming?.fail(error)
  }

  /** The client has ended its side and everything that it sent has been looked at. */
  #endOfInput(): void {
    if (this.#state === BODY) {
      if (this.#incoming?.wanted === true) {
        this.#breakBody(
          new SluiceError('HTTP_BODY_INCOMPLETE', 'the client ended the connection inside the body'),
        )
      }
    } else if (this.#state === HEAD) {
      if (this.#parser.begun) {
        logFailure(
          this.#connection.id,
          new SluiceError('DOWNSTREAM_CLOSED', 'the client ended the connection inside a head'),
          'a request broke off',
        )
      }
      this.#close()
    }
  }

  /** Ends in order: what was written is sent, the client may read it, then the connection goes. */
  #close(): void {
    if (this.#state >= CLOSING) return
    this.#state = CLOSING
    this.#input = NOTHING
    this.#at = 0
    this.deadline = sweep.now + this.#limits.writeTimeout
    const socket = this.#socket
    if (this.#ended) {
      socket.end(() => socket.destroy())
    } else {
      // Bytes that are unread at the end would make it a reset, which can take the answer away from the client.
      socket.end(() => {
        this.deadline = sweep.now + LINGER
      })
      socket.resume()
    }
  }

  /** Ends at once, so that the client can't take what it got for the whole. */
  #cut(error: unknown): void {
    if (this.#state >= CLOSING) return
    logFailure(this.#connection.id, error, 'an answer was cut')
    this.#outgoing?.cancel()
    this.#connection.reset()
  }
}

function ignore(): void {}
