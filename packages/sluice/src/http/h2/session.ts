// One HTTP/2 session of a server (RFC 9113): its life, its requests, and what it is watched for.
import { errorFields, logger, type Service, SluiceError } from '../../core/index.ts'
import { type Connection, readDirectly } from '../../net/index.ts'
import type { Drainable } from '../active.ts'
import { logFailure } from '../failure.ts'
import type { HttpLimits } from '../limits.ts'
import { Members } from '../members.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { type Swept, sweep } from '../sweep.ts'
import { type ExchangeOwner, Http2Exchange } from './exchange.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { HpackField } from './hpack/field.ts'
import { Output } from './output.ts'
import { Receiver, type ReceiverOwner } from './receiver.ts'
import { RegularFieldsReader } from './regular-fields.ts'
import { type Http2Stream, STREAM_WINDOW } from './stream.ts'
import { Traffic } from './traffic.ts'
import { FrameReader } from './wire/frame-reader.ts'
import {
  ConnectionError,
  ENABLE_CONNECT_PROTOCOL,
  ENHANCE_YOUR_CALM,
  goawayFrame,
  INITIAL_WINDOW_SIZE,
  INTERNAL_ERROR,
  LARGEST_WINDOW,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  pingFrame,
  settingsFrame,
} from './wire/frames.ts'
import { PrefaceReader } from './wire/preface.ts'

/** The largest value of a setting (RFC 9113, 6.5.1). */
const LARGEST = 2 ** 32 - 1

/** Bytes that wait for the client beyond which nothing more is read from it: it might ask without end and take nothing. */
const MOST_WAITING = 1024 * 1024

/** How long a client that is told to leave may still open streams, if it does not say before that it has heard. */
const NOTICE = 1000

/** Two steps of the sweep. */
const AHEAD = 1000

/** The payload of the PING that asks for that. */
const DRAINED = 'drained?'

/** A client gets this long to close what is over, and to take the last of it. */
const LINGER = 5000
/** What it may send meanwhile, which nobody looks at. */
const LINGER_BYTES = 1024 * 1024

export class Http2Session<C extends Connection> implements Swept, Drainable, ExchangeOwner<C>, ReceiverOwner {
  readonly connection: C
  readonly scheme: 'http' | 'https'
  readonly limits: HttpLimits
  readonly traffic: Traffic
  readonly encoder: HpackEncoder
  readonly fieldsReader: RegularFieldsReader = new RegularFieldsReader()
  /** Every step of the sweep looks at what has moved. */
  readonly deadline = 0
  readonly #service: Service<HttpRequest<C>, HttpResponse>
  readonly #done = Promise.withResolvers<void>()
  readonly #output: Output
  readonly #receiver: Receiver
  readonly #reader: FrameReader
  readonly #exchanges = new Members<Http2Exchange<C>>()
  /** Those whose service has not been asked: the client may have taken them back in the same breath. */
  #fresh: Http2Exchange<C>[] = []
  readonly #preface = new PrefaceReader()
  /** Whether all is written, and our side has ended. */
  #closing = false
  #lingered = 0
  #clientEnded = false
  #draining = false
  /** Whether GOAWAY has said which stream is the last. */
  #left = false
  /** When streams are no longer taken, while the client has been told of it. */
  #noticeUntil = Number.POSITIVE_INFINITY
  #failure: string | undefined
  /** Whether it was logged that the client broke the protocol on a stream. */
  #hasBroken = false
  /** When it has been idle for too long, and when the fields that are under way must be complete. */
  #idleAt: number
  #fieldsBy = Number.POSITIVE_INFINITY
  /** When the client must have taken something, as there is something for it; Infinity while there is nothing. */
  #takesBy = Number.POSITIVE_INFINITY

  constructor(
    connection: C,
    scheme: 'http' | 'https',
    service: Service<HttpRequest<C>, HttpResponse>,
    limits: HttpLimits,
  ) {
    const { now } = sweep
    this.connection = connection
    this.scheme = scheme
    this.limits = limits
    this.#service = service
    this.#idleAt = now + limits.headTimeout
    this.traffic = new Traffic(connection, limits.writeTimeout, now)
    this.#output = new Output(connection.socket)
    this.#output.write(
      settingsFrame([
        ...[MAX_CONCURRENT_STREAMS, Math.min(limits.streams, LARGEST)],
        ...[INITIAL_WINDOW_SIZE, STREAM_WINDOW],
        ...[MAX_HEADER_LIST_SIZE, Math.min(limits.head, LARGEST)],
        ...[ENABLE_CONNECT_PROTOCOL, 1],
      ]),
    )
    this.#receiver = new Receiver(this.#output, this, limits, this.traffic)
    this.encoder = this.#receiver.encoder
    this.#reader = new FrameReader(this.#receiver)
  }

  get failure(): string | undefined {
    return this.#failure
  }

  /** Serves the connection; settled when it has ended. */
  serve(): Promise<void> {
    const { socket } = this.connection
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    // Without a client there is nothing to do, and its end is told only once.
    if (socket.readableEnded) socket.destroy()
    if (socket.destroyed) {
      this.#onClose()
      return this.#done.promise
    }
    readDirectly(socket, chunk => this.#onData(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => socket.resume())
    sweep.add(this)
    // Sockets are accepted paused.
    socket.resume()
    return this.#done.promise
  }

  #onData(chunk: Buffer): void {
    if (this.#closing) {
      this.#lingered += chunk.length
      if (this.#lingered > LINGER_BYTES) this.connection.socket.destroy()
      return
    }
    this.traffic.read(chunk.length)
    try {
      this.#reader.read(this.#preface.read(chunk))
    } catch (error) {
      this.#onMistake(error)
      return
    }
    if (this.traffic.flooded) {
      this.#endWith(ENHANCE_YOUR_CALM, 'too much of what the client sends comes to nothing')
      return
    }
    this.#watchFields()
    this.#askFresh()
    this.#output.pump()
    if (this.#output.waiting > MOST_WAITING) this.#holdBack()
  }

  #onMistake(error: unknown): void {
    if (error instanceof ConnectionError) {
      this.#endWith(error.code, error.message)
      return
    }
    logger('http').error(errorFields(error), 'an HTTP/2 session failed')
    this.#endWith(INTERNAL_ERROR, 'a fault of the server')
  }

  #watchFields(): void {
    if (!this.#receiver.midFields) this.#fieldsBy = Number.POSITIVE_INFINITY
    else if (this.#fieldsBy === Number.POSITIVE_INFINITY) {
      this.#fieldsBy = sweep.now + this.limits.headTimeout
    }
  }

  #askFresh(): void {
    if (this.#fresh.length === 0) return
    const fresh = this.#fresh
    this.#fresh = []
    for (const exchange of fresh) exchange.ask(this.#service)
  }

  /** Reads no more until the socket has taken what waits, if it does not take it at once (then there is no 'drain'). */
  #holdBack(): void {
    this.#output.flush()
    if (this.connection.socket.writableLength > 0) this.connection.socket.pause()
  }

  // What the receiver tells.

  streamOpened(stream: Http2Stream, fields: readonly HpackField[], ends: boolean, overflowed: boolean): void {
    this.#idleAt = Number.POSITIVE_INFINITY
    const exchange = new Http2Exchange(stream, this)
    stream.user = exchange
    this.#exchanges.add(exchange)
    exchange.begin(fields, ends, overflowed)
    this.#fresh.push(exchange)
  }

  streamClosed(stream: Http2Stream): void {
    this.#exchanges.delete(stream.user as Http2Exchange<C>)
    if (this.#exchanges.size > 0) return
    this.#idleAt = sweep.now + (this.#draining ? LINGER : this.limits.keepAliveTimeout)
    this.#closeWhenDone()
  }

  streamBroken(stream: Http2Stream, what: string): void {
    const error = new SluiceError('HTTP2_PROTOCOL', `stream ${stream.id} was reset: ${what}`)
    // A client that goes on so says no more by it.
    if (!this.#hasBroken) logFailure(this.connection, error, 'an HTTP/2 request was refused')
    this.#hasBroken = true
    ;(stream.user as Http2Exchange<C>).break(error)
  }

  clientLeaves(): void {
    this.#draining = true
    this.#takeNoMore()
  }

  pingAnswered(): void {
    if (this.#noticeUntil !== Number.POSITIVE_INFINITY) this.#takeNoMore()
  }

  // How it ends.

  /** The client will ask for nothing more, and can take no more than its windows have room for: it gets what is there. */
  #onEnd(): void {
    this.#clientEnded = true
    if (this.#closing) {
      this.connection.socket.destroySoon()
      return
    }
    for (const exchange of this.#exchanges) exchange.clientEnded()
    this.clientLeaves()
    this.#idleAt = sweep.now + LINGER
  }

  /** GOAWAY; the streams that are open finish. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#announce()
  }

  /**
   * Tells the client first that it is to leave, and takes what it had sent before it heard of it (RFC 9113, 6.8): what is
   * under way would be lost otherwise.
   */
  #announce(): void {
    if (this.#closing || this.connection.socket.destroyed) return
    this.#output.write(goawayFrame(LARGEST_WINDOW, NO_ERROR) + pingFrame(DRAINED))
    this.#noticeUntil = sweep.now + NOTICE
  }

  #takeNoMore(): void {
    this.#noticeUntil = Number.POSITIVE_INFINITY
    if (this.#closing || this.#left) return
    this.#left = true
    this.#receiver.takeNoMore()
    this.#output.write(goawayFrame(this.#receiver.last, NO_ERROR))
    this.#closeWhenDone()
  }

  #closeWhenDone(): void {
    if (this.#left && this.#exchanges.size === 0) this.#close()
  }

  /** All is done: what was written is sent, and the client closes, too. */
  #close(): void {
    if (this.#closing) return
    this.#output.flush()
    const { socket } = this.connection
    this.#closing = true
    // The client may take the last as slowly as all before it, and then gets the time to close, too.
    this.#idleAt = Number.POSITIVE_INFINITY
    socket.end(() => {
      if (this.#clientEnded) socket.destroy()
      else this.#idleAt = sweep.now + LINGER
    })
    // It may be paused, and bytes that are unread at the end would make it a reset, which can take the last away.
    socket.resume()
  }

  /** The client breaks the protocol, or a limit. */
  #endWith(code: number, what: string): void {
    if (this.#failure !== undefined) return
    const error = new SluiceError('HTTP2_PROTOCOL', `the HTTP/2 session ended: ${what}`)
    this.#failure = error.code
    logFailure(this.connection, error, 'an HTTP/2 session was ended')
    this.#output.write(goawayFrame(this.#receiver.last, code))
    this.#receiver.close()
    this.#close()
  }

  /** A step of the sweep: is it a flood, does a client take no answer, ask nothing, or not close what is over? */
  expire(): void {
    const { now } = sweep
    this.traffic.step(now)
    this.#watchTaking(now)
    if (this.#exchanges.size > 0) for (const exchange of this.#exchanges) exchange.step(now)
    if (now >= this.#fieldsBy)
      this.#endWith(ENHANCE_YOUR_CALM, 'the fields of a message did not come to an end')
    if (now >= this.#noticeUntil) this.#takeNoMore()
    if (now < this.#idleAt) return
    this.#idleAt = Number.POSITIVE_INFINITY
    if (this.#draining || this.#closing) this.connection.socket.destroy()
    else this.drain()
  }

  /** What was handed to the socket must be taken, too, by whichever stream it was. */
  #watchTaking(now: number): void {
    if (this.#output.waiting === 0) {
      this.#takesBy = Number.POSITIVE_INFINITY
    } else if (this.#takesBy === Number.POSITIVE_INFINITY) {
      // Ahead of its streams, which would each say that they wait for the same.
      this.#takesBy = now + Math.max(0, this.limits.writeTimeout - AHEAD)
    } else if (now >= this.#takesBy && !this.traffic.takes(now) && !this.#hasTunnel) {
      const what = `the client took nothing for ${this.limits.writeTimeout} ms, or too little`
      const error = new SluiceError('HTTP_WRITE_TIMEOUT', what)
      this.#takesBy = now + this.limits.writeTimeout
      this.#failure ??= error.code
      logFailure(this.connection, error, 'an HTTP/2 session was ended')
      this.connection.reset()
    }
  }

  /** Tunnels have limits of their own. */
  get #hasTunnel(): boolean {
    for (const exchange of this.#exchanges) if (exchange.isTunnel) return true
    return false
  }

  #onClose(): void {
    sweep.delete(this)
    this.#receiver.close()
    this.#done.resolve()
  }
}

function ignore(): void {}
