// Relays bytes both ways between two streams, with backpressure, half-close and an idle limit.
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { type Duration, errorCode, timeLimit } from '../core/index.ts'
import { isResetTakenForEnd, type Stream } from './stream.ts'

/**
 * Why a relay ended: both ways ended in order, and which side ended first (`client-end`, `upstream-end`); one side
 * was reset or failed, and the other was reset for it; nothing moved for the idle limit; or it was cut from outside,
 * by the limit of a drain.
 */
export type RelayReason = 'client-end' | 'upstream-end' | 'client-reset' | 'upstream-reset' | 'idle' | 'cut'

export interface RelayOutcome {
  readonly reason: RelayReason
  /** Bytes from the client to the backend. */
  readonly up: number
  /** Bytes from the backend to the client. */
  readonly down: number
  /** Milliseconds that the relay lasted. */
  readonly duration: number
  /** The code of what failed: `ECONNRESET`, for example, or `RELAY_IDLE`. */
  readonly code?: string
}

export interface RelayOptions {
  /**
   * How long nothing may move in either direction before both sides are reset.
   * @default '1h'
   */
  readonly idleTimeout?: Duration
  /**
   * How long nothing may move once one side has ended, before both sides are reset: whoever vanishes after its end
   * must not hold the other for as long as an open connection may be idle. Enough for a slow answer to a request that
   * was ended by a half-close. `idleTimeout` holds too, if it is shorter.
   * @default '5m'
   */
  readonly halfClosedTimeout?: Duration
}

/** The limits in milliseconds. */
export interface RelayLimits {
  readonly idleTimeout: number
  readonly halfClosedTimeout: number
}

/**
 * The limits of a relay with the defaults filled in, to be read once for many relays.
 *
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID`
 */
export function relayLimits(options: RelayOptions): RelayLimits {
  const idle = timeLimit('idleTimeout', options.idleTimeout ?? '1h')
  const halfClosed = timeLimit('halfClosedTimeout', options.halfClosedTimeout ?? '5m')
  return { idleTimeout: idle, halfClosedTimeout: Math.min(idle, halfClosed) }
}

/** The idle limit is looked at this many times within its length; so much later it may strike. */
const IDLE_CHECKS = 8

/**
 * Relays until both ways have ended and both sockets are closed. Never rejects: what fails is in the outcome.
 *
 * Memory is constant: a side that reads slowly makes the other wait. An end is passed on as an end, a reset as a reset.
 *
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID`
 */
export function relay(client: Stream, upstream: Stream, options: RelayOptions = {}): Promise<RelayOutcome> {
  const limits = relayLimits(options)
  return new Promise(resolve => {
    new Relay(client, upstream, limits, resolve).start()
  })
}

class Relay {
  readonly #client: Stream
  readonly #upstream: Stream
  readonly #resolve: (outcome: RelayOutcome) => void
  readonly #began = performance.now()
  readonly #limits: RelayLimits
  #timer: NodeJS.Timeout | undefined
  #quietChecks = 0
  #lastTotal = 0
  #up = 0
  #down = 0
  #reason: RelayReason | undefined
  #code: string | undefined
  #broken = false
  #stillOpen = 2

  constructor(
    client: Stream,
    upstream: Stream,
    limits: RelayLimits,
    resolve: (outcome: RelayOutcome) => void,
  ) {
    this.#client = client
    this.#upstream = upstream
    this.#limits = limits
    this.#resolve = resolve
  }

  start(): void {
    const client = this.#client.socket
    const upstream = this.#upstream.socket
    this.#watch(client, 'client-reset', 'client-end', upstream)
    this.#watch(upstream, 'upstream-reset', 'upstream-end', client)
    if (this.#broken) return
    this.#limitIdle(this.#limits.idleTimeout)
    if (client.readableEnded) this.#onEnd('client-end', upstream)
    if (upstream.readableEnded) this.#onEnd('upstream-end', client)
    // Only counting and handing on: this runs for every chunk.
    client.on('data', chunk => {
      this.#up += chunk.length
      if (!upstream.write(chunk)) client.pause()
    })
    const encryptsAtOnce = client instanceof TLSSocket
    const direct = this.#upstream.readInto?.(bytes => {
      this.#down += bytes.length
      // A TLS socket with nothing to write encrypts what it is given before `write` returns. Any other may still be
      // writing from those bytes when they are overwritten.
      return client.write(encryptsAtOnce && client.writableLength === 0 ? bytes : Buffer.from(bytes))
    })
    if (direct !== true) {
      upstream.on('data', chunk => {
        this.#down += chunk.length
        if (!client.write(chunk)) upstream.pause()
      })
    }
    client.on('drain', () => upstream.resume())
    upstream.on('drain', () => client.resume())
    client.resume()
    upstream.resume()
  }

  #watch(socket: Duplex, reset: RelayReason, end: RelayReason, other: Duplex): void {
    socket.on('error', error => this.#fail(reset, errorCode(error)))
    socket.on('end', () =>
      isResetTakenForEnd(socket) ? this.#fail(reset, 'ECONNRESET') : this.#onEnd(end, other),
    )
    socket.on('close', () => this.#onClose(socket))
    // Lost before the relay began, and it will not say so again.
    if (socket.destroyed) {
      this.#fail(reset, socket.errored ? errorCode(socket.errored) : undefined)
      if (socket.closed) this.#onClose(socket)
    }
  }

  #onEnd(reason: RelayReason, other: Duplex): void {
    if (this.#reason === undefined) {
      this.#reason = reason
      this.#limitIdle(this.#limits.halfClosedTimeout)
    }
    other.end()
  }

  #onClose(socket: Duplex): void {
    const inOrder = socket.readableEnded && socket.writableFinished
    // Neither in order nor with an error: somebody else closed it, as the limit of a drain does.
    if (!inOrder && !this.#broken) this.#fail('cut')
    this.#stillOpen -= 1
    if (this.#stillOpen > 0) return
    clearInterval(this.#timer)
    this.#resolve({
      reason: this.#reason ?? 'cut',
      up: this.#up,
      down: this.#down,
      duration: performance.now() - this.#began,
      ...(this.#code !== undefined && { code: this.#code }),
    })
  }

  /** One side is broken: the other must not take it for an orderly end. The first to break is the reason. */
  #fail(reason: RelayReason, code?: string): void {
    if (this.#broken) return
    this.#broken = true
    this.#reason = reason
    this.#code = code
    this.#client.reset()
    this.#upstream.reset()
  }

  #limitIdle(limit: number): void {
    clearInterval(this.#timer)
    this.#quietChecks = 0
    this.#timer = setInterval(() => this.#checkIdle(), limit / IDLE_CHECKS)
  }

  #checkIdle(): void {
    const total = this.#up + this.#down
    this.#quietChecks = total === this.#lastTotal ? this.#quietChecks + 1 : 0
    this.#lastTotal = total
    if (this.#quietChecks >= IDLE_CHECKS) this.#fail('idle', 'RELAY_IDLE')
  }
}
