// One HTTP/2 session to an upstream (RFC 9113): nghttp2 by way of node:http2's core streams, over a connection that is
// made already, for many requests at once.
import http2, { type ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { SluiceError } from '../../core/index.ts'
import type { Connected } from '../../net/index.ts'
import type { UpstreamLimits } from '../client/limits.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest } from '../client/upstream.ts'
import { type Swept, sweep } from '../sweep.ts'
import { type ClientExchangeOwner, Http2ClientExchange } from './client-exchange.ts'
import { malformed } from './client-head.ts'
import { lostError } from './client-stream-error.ts'

/** Whom a session tells what becomes of it. */
export interface ClientSessionOwner {
  /** There may be more or fewer streams available. */
  changed(): void
  /** It is closed. Called once, and never before the constructor has returned. */
  closed(): void
}

/**
 * What an upstream may send ahead of what was read. For a stream: 256 KB fill 2 Gbit/s at 1 ms, and are what a request
 * costs whose client does not read. For the session, which the platform opens again as soon as bytes come in, whoever
 * reads them: enough for many streams at once.
 */
const STREAM_WINDOW = 256 * 1024
const SESSION_WINDOW = 8 * 1024 * 1024

/** Requests on one session: there are no more numbers for streams then (RFC 9113, 5.1.1). */
const MOST = 2 ** 30 - 1

/** Streams at once, if the upstream takes as many; and before it has said how many it takes (RFC 9113, 6.5.2). */
const STREAMS = 100

/** Several fields of one name go out as they came, where the platform knows how (Node 24 and later). */
const UNTYPED = { strictSingleValueFields: false }

/** The largest value of a setting (RFC 9113, 6.5.1). */
const LARGEST = 2 ** 32 - 1

/** What each field counts for beside its bytes (RFC 9113, 6.5.2). */
const FIELD = 32

/** How long an upstream may take for its first SETTINGS, which it sends without being asked. */
const SETTINGS_TIMEOUT = 5000

/** SETTINGS in a second; more are a flood. */
const SETTINGS_LIMIT = 100

/** How often a session with requests under way is looked at; silent for `SILENCE`, it has `PONG` to answer a PING. */
const LOOK = 5000
const SILENCE = 15_000
const PONG = 10_000

/** A session that is over gets this long until its connection is closed. */
const LINGER = 5000

/** Requests name their own authority: this one is never used. */
const NOWHERE = new URL('http://upstream')

const isBun = process.versions.bun !== undefined

export class Http2UpstreamSession implements Swept, ClientExchangeOwner {
  readonly limits: UpstreamLimits
  readonly #connected: Connected
  readonly #socket: Socket
  readonly #owner: ClientSessionOwner
  readonly #idleTimeout: number
  readonly #session: ClientHttp2Session
  readonly #exchanges = new Set<Http2ClientExchange>()
  /** Upgrades, which wait for what the upstream says about them. */
  #upgrades: Http2ClientExchange[] = []
  #peerStreams = STREAMS
  #lastStream = Number.POSITIVE_INFINITY
  #requests = 0
  #answers = 0
  #ready = false
  #draining = false
  #ended = false
  #closed = false
  #pinging = false
  #heardAt = 0
  #settings = 0
  #settingsSince = 0
  deadline: number

  constructor(
    connected: Connected,
    limits: UpstreamLimits & { readonly idleTimeout: number },
    owner: ClientSessionOwner,
  ) {
    this.#connected = connected
    this.#socket = connected.socket
    this.limits = limits
    this.#idleTimeout = limits.idleTimeout
    this.#owner = owner
    const socket = this.#socket
    const session = http2.connect(NOWHERE, {
      createConnection: () => socket,
      maxHeaderListPairs: Math.min(limits.fields + 1, LARGEST),
      maxSettings: 32,
      maxOutstandingPings: 10,
      // No limit: bytes that were not sent when a stream is reset count for ever (Node 22 to 26), and past the limit every
      // answer is refused. What a session keeps is limited by what each of its streams may.
      maxSessionMemory: LARGEST,
      peerMaxConcurrentStreams: STREAMS,
      ...UNTYPED,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: Math.min(limits.head + limits.fields * FIELD, LARGEST),
      },
    })
    this.#session = session
    session.on('error', error => this.#onError(error))
    session.on('frameError', ignore)
    session.on('remoteSettings', ({ maxConcurrentStreams }) => this.#onSettings(maxConcurrentStreams))
    session.on('goaway', (_code, last) => this.#onGoaway(last))
    // With Bun 1.4 the connection may still be open then.
    session.on('close', () => {
      if (socket.destroyed) this.#onClose()
    })
    // Bun 1.4 forgets to open a window again that was set so: downloads would stand still.
    if (!isBun) session.setLocalWindowSize(SESSION_WINDOW)
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    // Connections are made paused, and on one that stays so the upstream's end is not seen.
    socket.on('end', () => this.#onEnd())
    socket.resume()
    this.deadline = sweep.now + SETTINGS_TIMEOUT
    sweep.add(this)
    if (socket.destroyed) queueMicrotask(() => this.#onClose())
  }

  /** How many more streams can be opened now. */
  get available(): number {
    if (this.#draining || this.#closed) return 0
    return Math.max(0, Math.min(STREAMS, this.#peerStreams) - this.#exchanges.size)
  }

  /** Requests that are under way. */
  get active(): number {
    return this.#exchanges.size
  }

  /** Whether requests were answered on it before. */
  get reused(): boolean {
    return this.#answers > 0
  }

  /** Whether the upstream has shown that it speaks HTTP/2. */
  get ready(): boolean {
    return this.#ready
  }

  /** Whether the connection is gone. */
  get lost(): boolean {
    return this.#ended || this.#socket.destroyed
  }

  /** Whether anything at all has come on it; Bun 1.4 does not tell. */
  get heard(): boolean {
    return this.#socket.bytesRead > 0
  }

  isBeyond(stream: number): boolean {
    return stream > this.#lastStream
  }

  /** Sends a request; one that finds no stream available fails, and can be sent elsewhere. */
  send(request: UpstreamRequest, observer: UpstreamObserver): UpstreamExchange & { readonly begun: boolean } {
    const exchange = new Http2ClientExchange(this, request, observer)
    const isAvailable = this.available > 0
    if (this.#exchanges.size === 0 && this.#ready) this.#lookAgain()
    this.#exchanges.add(exchange)
    if (!isAvailable) {
      exchange.refuse(new SluiceError('HTTP_UPSTREAM_REFUSED', 'it takes no more requests on this session'))
    } else if (request.upgrade === undefined) {
      exchange.begin(this.#session)
    } else if (this.#ready) {
      this.#beginUpgrade(exchange)
    } else {
      this.#upgrades.push(exchange)
    }
    this.#requests++
    if (this.#requests >= MOST) this.close()
    return exchange
  }

  /** Takes no more requests; the session ends when those that are under way are done. */
  close(): void {
    if (this.#draining) return
    this.#drain()
    this.#session.close()
  }

  /** Ends it at once, with everything that is under way. */
  destroy(): void {
    this.#fail(new SluiceError('HTTP_UPSTREAM_CLOSED', 'the session with it was ended'))
  }

  answered(): void {
    this.#answers++
    this.heardOf()
  }

  heardOf(): void {
    this.#heardAt = sweep.now
    // It is there, whatever becomes of the PING.
    this.#pinging = false
  }

  left(exchange: Http2ClientExchange): void {
    if (!this.#exchanges.delete(exchange) || this.#closed) return
    if (this.#exchanges.size === 0) {
      this.#pinging = false
      if (this.#ready || this.#draining) {
        this.deadline = sweep.now + (this.#draining ? LINGER : this.#idleTimeout)
      }
    }
    this.#owner.changed()
  }

  /** A limit in time has passed: which one, the state tells. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#draining && this.#exchanges.size === 0) {
      this.#connected.reset()
    } else if (!this.#ready) {
      const what = `it said nothing of HTTP/2 within ${SETTINGS_TIMEOUT} ms; does it speak it?`
      this.#fail(new SluiceError('HTTP_UPSTREAM_PROTOCOL', what))
    } else if (this.#pinging) {
      const what = `it has been silent, and did not answer a PING within ${PONG} ms`
      this.#fail(new SluiceError('HTTP_UPSTREAM_CLOSED', what))
    } else if (this.#exchanges.size === 0) {
      this.close()
    } else {
      this.#look()
    }
  }

  /** Requests are under way: if nothing comes for them, a PING tells whether the upstream is still there. */
  #look(): void {
    this.deadline = sweep.now + LOOK
    // A session that is being closed sends no PING.
    if (sweep.now - this.#heardAt < SILENCE || this.#session.closed) return
    this.#pinging = this.#session.ping(this.#onPong)
    if (this.#pinging) this.deadline = sweep.now + PONG
  }

  #lookAgain(): void {
    this.#pinging = false
    this.#heardAt = sweep.now
    this.deadline = sweep.now + LOOK
  }

  readonly #onPong = (): void => {
    if (this.#pinging) this.#lookAgain()
  }

  #onSettings(maxConcurrentStreams: number | undefined): void {
    if (this.#closed) return
    this.#peerStreams = maxConcurrentStreams ?? STREAMS
    if (sweep.now - this.#settingsSince >= 1000) {
      this.#settingsSince = sweep.now
      this.#settings = 0
    }
    this.#settings++
    if (this.#settings > SETTINGS_LIMIT) {
      this.#fail(malformed(`it sent more than ${SETTINGS_LIMIT} SETTINGS in a second`))
      return
    }
    if (!this.#ready) {
      this.#ready = true
      if (this.#exchanges.size > 0) this.#lookAgain()
      else if (!this.#draining) this.deadline = sweep.now + this.#idleTimeout
      for (const exchange of this.#upgrades.splice(0)) this.#beginUpgrade(exchange)
    }
    if (!this.#closed) this.#owner.changed()
  }

  #beginUpgrade(exchange: Http2ClientExchange): void {
    if (this.#session.remoteSettings.enableConnectProtocol === true) {
      exchange.begin(this.#session)
    } else {
      const what = 'it can not change the protocol over HTTP/2 (RFC 8441); speak HTTP/1.1 with it'
      exchange.refuse(new SluiceError('HTTP_UPSTREAM_PROTOCOL', what))
    }
  }

  #onGoaway(last: number): void {
    this.#lastStream = Math.min(this.#lastStream, last)
    this.#drain()
  }

  /** The upstream will send nothing more. Answers that are complete can still be read. */
  #onEnd(): void {
    this.#ended = true
    this.#drain()
    const error = lostError(this)
    for (const exchange of this.#exchanges) exchange.fail(error)
    this.#session.close()
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    if (this.#exchanges.size === 0) this.deadline = sweep.now + LINGER
    for (const exchange of this.#upgrades.splice(0)) {
      exchange.refuse(new SluiceError('HTTP_UPSTREAM_REFUSED', 'its session is being closed'))
    }
    if (!this.#closed) this.#owner.changed()
  }

  /** Its requests hear of it by their streams, with Bun 1.4 only later. */
  #onError(error: Error): void {
    for (const exchange of this.#exchanges) exchange.fail(undefined, error)
  }

  /** Ends it at once, and tells everybody why. */
  #fail(error: SluiceError): void {
    if (this.#closed) return
    this.#draining = true
    this.#upgrades = []
    for (const exchange of this.#exchanges) exchange.fail(error)
    this.#session.destroy()
    this.#connected.reset()
    this.#onClose()
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#draining = true
    sweep.delete(this)
    for (const exchange of this.#exchanges) exchange.sessionClosed()
    this.#owner.closed()
  }
}

function ignore(): void {}
