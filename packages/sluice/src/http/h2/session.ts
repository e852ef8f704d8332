// One HTTP/2 session of a server (RFC 9113): nghttp2 by way of node:http2's core streams, with limits of ours.
import http2, { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { errorCode, logger, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import type { Drainable } from '../active.ts'
import { logFailure } from '../failure.ts'
import type { HttpLimits } from '../limits.ts'
import { Members } from '../members.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { type Swept, sweep } from '../sweep.ts'
import { type ExchangeOwner, Http2Exchange } from './exchange.ts'
import { Traffic, WEIGHTS } from './traffic.ts'

/**
 * What a client may send ahead of what was read, for a stream. 256 KB fill 40 Mbit/s at 50 ms, and are the memory that a
 * stream costs whose service does not read: a hundred of them are 25 MB.
 */
const STREAM_WINDOW = 256 * 1024

/** What a client may send ahead for all streams. Node opens it again for whatever comes, read or not. */
const SESSION_WINDOW = 1024 * 1024

/** The largest value of a setting (RFC 9113, 6.5.1). */
const LARGEST = 2 ** 32 - 1

/** Pseudo-header fields of a request, which come on top of the limit on fields. */
const PSEUDO_HEADERS = 5

/** Streams that a client may reset at once, and each second from then on (CVE-2023-44487, rapid reset). */
const RESET_BURST = 200
const RESET_RATE = 33

/** A session that is over gets this long until its connection is closed. */
const LINGER = 5000

const isBun = process.versions.bun !== undefined

export class Http2Session<C extends Connection> implements Swept, Drainable, ExchangeOwner<C> {
  readonly connection: C
  readonly scheme: 'http' | 'https'
  readonly limits: HttpLimits
  readonly traffic: Traffic
  /** Every step of the sweep looks at what has moved. */
  readonly deadline = 0
  readonly #service: Service<HttpRequest<C>, HttpResponse>
  readonly #done = Promise.withResolvers<void>()
  #session: ServerHttp2Session | undefined
  readonly #exchanges = new Members<Http2Exchange<C>>()
  #draining = false
  #failure: string | undefined
  /** The stream that was opened last. */
  #last = 0
  /** When it has been idle for too long. */
  #idleAt: number

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
    this.traffic = new Traffic(connection.socket, limits.writeTimeout, now)
    this.#service = service
    this.#idleAt = now + limits.headTimeout
  }

  get failure(): string | undefined {
    // Streams are closed before the session says why.
    const ended = this.#session?.destroyed === true && !this.connection.socket.destroyed
    return this.#failure ?? (ended ? 'HTTP2_PROTOCOL' : undefined)
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
    const { fields, head, streams } = this.limits
    const session = http2.performServerHandshake(socket, {
      // Twice as many: to what is only a little too much the answer says so, instead of a reset of the stream.
      maxHeaderListPairs: Math.min(2 * fields + PSEUDO_HEADERS, LARGEST),
      maxSettings: 32,
      maxOutstandingPings: 10,
      // No limit: bytes that were not sent when a stream is reset count for ever (Node 22 to 26), and past the limit every
      // request is refused. What a session keeps is limited by what each of its streams may.
      maxSessionMemory: LARGEST,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESET_RATE,
      unknownProtocolTimeout: 1,
      settings: {
        maxConcurrentStreams: Math.min(streams, LARGEST),
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: Math.min(head, LARGEST),
        enableConnectProtocol: true,
      },
    })
    this.#session = session
    session.on('error', error => this.#onError(error))
    session.on('frameError', ignore)
    session.on('close', () => this.#onClose())
    session.on('stream', (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw))
    session.on('remoteSettings', () => this.#onNoise(WEIGHTS.settings))
    // Bytes of PINGs are counted, but not on Bun.
    if (isBun) session.on('ping', () => this.#onNoise(WEIGHTS.ping))
    // Bun 1.4 forgets to open a window again that was set so: uploads would stand still after 256 KB.
    else session.setLocalWindowSize(SESSION_WINDOW)
    // Sockets are accepted paused, and on one that stays so the client's end is not seen.
    socket.on('end', () => this.#onEnd())
    socket.resume()
    sweep.add(this)
    if (this.#draining) this.drain()
    return this.#done.promise
  }

  /** The client will ask for nothing more, and can take no more than its windows have room for: it gets what is there. */
  #onEnd(): void {
    for (const exchange of this.#exchanges) exchange.clientEnded()
    if (this.#exchanges.size === 0) this.connection.socket.destroySoon()
    else this.drain()
    this.#idleAt = sweep.now + LINGER
  }

  /** GOAWAY; the streams that are open finish. */
  drain(): void {
    this.#draining = true
    const session = this.#session
    if (session === undefined || session.closed) return
    session.close()
    if (this.#exchanges.size === 0) this.#idleAt = sweep.now + LINGER
  }

  /** A step of the sweep: is it a flood, does a client take no answer, ask nothing, or not close what is over? */
  expire(): void {
    const { now } = sweep
    this.traffic.step(now)
    this.#onNoise(0)
    if (this.#exchanges.size > 0) for (const exchange of this.#exchanges) exchange.step(now)
    if (now < this.#idleAt) return
    this.#idleAt = Number.POSITIVE_INFINITY
    if (this.#draining || this.#session?.closed === true) this.connection.socket.destroy()
    else this.drain()
  }

  #onNoise(weight: number): void {
    this.traffic.noise(weight)
    if (!this.traffic.flooded) return
    let unread = 0
    for (const exchange of this.#exchanges) unread += exchange.unread
    if (!this.traffic.floodedBeside(unread)) return
    this.#end('most of what the client sends is no part of a message', constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    // What went wrong is seen by 'close', which always follows.
    stream.on('error', ignore)
    // The client may have taken it back, and the session may be over.
    if (stream.destroyed || stream.closed || this.#failure !== undefined) return
    const id = stream.id ?? 0
    // RFC 9113, 5.1.1; nghttp2 lets no such stream through, but Bun 1.4 does.
    if (id <= this.#last) {
      this.#end(`stream ${id} was opened after stream ${this.#last}`, constants.NGHTTP2_PROTOCOL_ERROR)
      return
    }
    this.#last = id
    this.#idleAt = Number.POSITIVE_INFINITY
    const exchange = new Http2Exchange(stream, this)
    this.#exchanges.add(exchange)
    exchange.begin(raw, flags, this.#service)
    if (this.traffic.flooded) this.#onNoise(0)
  }

  exchangeClosed(exchange: Http2Exchange<C>): void {
    this.#exchanges.delete(exchange)
    if (this.#exchanges.size > 0) return
    this.#idleAt = sweep.now + (this.#draining ? LINGER : this.limits.keepAliveTimeout)
  }

  /** The client breaks the protocol, or a limit. */
  #end(what: string, code: number): void {
    if (this.#failure !== undefined) return
    const error = new SluiceError('HTTP2_PROTOCOL', `the HTTP/2 session ended: ${what}`)
    this.#fail(error)
    this.#session?.destroy(error, code)
  }

  #fail(error: SluiceError): void {
    this.#failure = error.code
    logFailure(this.connection, error, 'an HTTP/2 session was ended')
  }

  #onError(cause: Error): void {
    if (this.#failure !== undefined) return
    const code = errorCode(cause)
    if (code.startsWith('ERR_HTTP2') || code.startsWith('NGHTTP2')) {
      this.#fail(new SluiceError('HTTP2_PROTOCOL', `the HTTP/2 session ended: ${cause.message}`, { cause }))
    } else {
      logger('http').debug({ connection: this.connection.id, code }, 'an HTTP/2 session broke off')
    }
  }

  #onClose(): void {
    sweep.delete(this)
    // Streams are closed with their session, but Bun 1.4 does not say so when the connection broke.
    for (const exchange of this.#exchanges) exchange.close()
    this.#done.resolve()
  }
}

function ignore(): void {}
