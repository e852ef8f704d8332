// One HTTP/2 session of a server (RFC 9113): nghttp2 by way of node:http2's core streams, with limits of ours.
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { errorCode, logger, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import type { Drainable } from '../active.ts'
import { logFailure } from '../failure.ts'
import type { HttpLimits } from '../limits.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { type Swept, sweep } from '../sweep.ts'
import { Http2Exchange } from './exchange.ts'

/**
 * What a client may send ahead of what was read: for a stream, and for the session. 256 KB fill 40 Mbit/s at 50 ms, and
 * are the memory that a stream costs whose service does not read.
 */
const STREAM_WINDOW = 256 * 1024
const SESSION_WINDOW = 1024 * 1024

/** The largest value of a setting (RFC 9113, 6.5.1). */
const LARGEST = 2 ** 32 - 1

/** Pseudo-header fields of a request, which come on top of the limit on fields. */
const PSEUDO_HEADERS = 4

/** Streams that a client may reset at once, and each second from then on (CVE-2023-44487, rapid reset). */
const RESET_BURST = 200
const RESET_RATE = 33

/** A session that is over gets this long until its connection is closed. */
const LINGER = 5000

export class Http2Session<C extends Connection> implements Swept, Drainable {
  readonly #connection: C
  readonly #scheme: 'http' | 'https'
  readonly #service: Service<HttpRequest<C>, HttpResponse>
  readonly #limits: HttpLimits
  readonly #done = Promise.withResolvers<void>()
  #session: ServerHttp2Session | undefined
  readonly #exchanges = new Set<Http2Exchange<C>>()
  #draining = false
  deadline: number

  constructor(
    connection: C,
    scheme: 'http' | 'https',
    service: Service<HttpRequest<C>, HttpResponse>,
    limits: HttpLimits,
  ) {
    this.#connection = connection
    this.#scheme = scheme
    this.#service = service
    this.#limits = limits
    this.deadline = sweep.now + limits.headTimeout
  }

  /** Serves the connection; settled when it has ended. */
  serve(): Promise<void> {
    const { socket } = this.#connection
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    // Without a client there is nothing to do, and its end is told only once.
    if (socket.readableEnded) socket.destroy()
    if (socket.destroyed) {
      this.#onClose()
      return this.#done.promise
    }
    const session = http2.performServerHandshake(socket, {
      maxHeaderListPairs: Math.min(this.#limits.fields + PSEUDO_HEADERS, LARGEST),
      maxSettings: 32,
      maxOutstandingPings: 10,
      maxSessionMemory: 10,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESET_RATE,
      unknownProtocolTimeout: 1,
      settings: {
        maxConcurrentStreams: Math.min(this.#limits.streams, LARGEST),
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: Math.min(this.#limits.head, LARGEST),
      },
    })
    this.#session = session
    session.on('error', error => this.#onError(error))
    session.on('frameError', ignore)
    session.on('close', () => this.#onClose())
    session.on('stream', (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw))
    // Bun 1.4 forgets to open a window again that was set so: uploads would stand still after 256 KB.
    if (process.versions.bun === undefined) session.setLocalWindowSize(SESSION_WINDOW)
    // Sockets are accepted paused, and on one that stays so the client's end is not seen.
    socket.on('end', () => this.#onEnd())
    socket.resume()
    sweep.add(this)
    if (this.#draining) this.drain()
    return this.#done.promise
  }

  /** The client will ask for nothing more; what it has asked for is answered. */
  #onEnd(): void {
    if (this.#exchanges.size === 0) this.#connection.socket.destroySoon()
    else this.drain()
  }

  /** GOAWAY; the streams that are open finish. */
  drain(): void {
    this.#draining = true
    const session = this.#session
    if (session === undefined || session.closed) return
    session.close()
    if (this.#exchanges.size === 0) this.deadline = sweep.now + LINGER
  }

  /** Nothing was asked for too long, or the client does not close a session that is over. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#draining || this.#session?.closed === true) this.#connection.socket.destroy()
    else this.drain()
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    this.deadline = Number.POSITIVE_INFINITY
    const exchange = new Http2Exchange(stream, this.#connection, this.#limits, this.#onExchangeClose)
    this.#exchanges.add(exchange)
    exchange.begin(raw, flags, this.#scheme, this.#service)
  }

  readonly #onExchangeClose = (exchange: Http2Exchange<C>): void => {
    this.#exchanges.delete(exchange)
    if (this.#exchanges.size > 0) return
    this.deadline = sweep.now + (this.#draining ? LINGER : this.#limits.keepAliveTimeout)
  }

  #onError(cause: Error): void {
    const code = errorCode(cause)
    if (code.startsWith('ERR_HTTP2') || code.startsWith('NGHTTP2')) {
      const error = new SluiceError('HTTP2_PROTOCOL', `the HTTP/2 session ended: ${cause.message}`, { cause })
      logFailure(this.#connection, error, 'an HTTP/2 session was ended')
    } else {
      logger('http').debug({ connection: this.#connection.id, code }, 'an HTTP/2 session broke off')
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
