// Stopping in two steps. Drain: take nothing new, finish what is in flight. Abort: the limit has passed, close now.
import { setMaxListeners } from 'node:events'
import { errorCode } from './errors.ts'
import { type Duration, milliseconds } from './units.ts'

/** How a shutdown ended. */
export interface ShutdownOutcome {
  /** What began it: a signal's name, or the reason given to `drain` or `abort`. */
  readonly reason: string
  /** `drained`: everything finished by itself. `cut`: something was still open when the limit passed or it was aborted. */
  readonly result: 'drained' | 'cut'
  /** What was still open when it was cut, in words; empty if drained. */
  readonly open: readonly string[]
  /** Milliseconds from the beginning of the drain to the end. */
  readonly duration: number
}

export interface ShutdownOptions {
  /**
   * How long a drain may take before what is left is cut.
   * @default '30s' (what orchestrators commonly wait before they kill)
   */
  readonly limit?: Duration
}

export interface SignalOptions extends ShutdownOptions {
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[]
  /** Called at each signal, to tell the operator what happens now. */
  readonly onSignal?: (signal: NodeJS.Signals, step: 'drain' | 'abort') => void
}

/** What was cut gets this long to let go before `done` is settled without it. */
const LAST_GRACE = 1000

/**
 * A terminal's Ctrl-C reaches the whole process group, and npm forwards the one it got as well: the same key press
 * arrives twice, a few milliseconds apart. Within this time two signals are one.
 */
const ONE_KEY_PRESS = 50

/**
 * Coordinates a graceful stop. Listeners, servers and pools take part by watching `draining` and `aborted` and by
 * holding it (`hold`) as long as they have work in flight.
 *
 * @example
 * ```ts
 * const shutdown = Shutdown.onSignals({ limit: '30s' })
 * await listen(':8080', { shutdown }, service)
 * const { result } = await shutdown.done // after SIGTERM or SIGINT
 * ```
 */
export class Shutdown implements AsyncDisposable {
  readonly #drain = new AbortController()
  readonly #abort = new AbortController()
  readonly #holds = new Map<symbol, () => string>()
  readonly #done = Promise.withResolvers<ShutdownOutcome>()
  readonly #limit: number
  #reason = ''
  #began = 0
  #open: readonly string[] = []
  #timer: NodeJS.Timeout | undefined
  #settled = false

  constructor(options: ShutdownOptions = {}) {
    this.#limit = milliseconds(options.limit ?? '30s')
    // Every listener, server and connection may watch them: many are no leak.
    setMaxListeners(0, this.#drain.signal, this.#abort.signal)
  }

  /**
   * A shutdown that begins at the first signal and aborts at the second.
   *
   * @throws {SluiceError} `DURATION_INVALID`
   */
  static onSignals(options: SignalOptions = {}): Shutdown {
    const shutdown = new Shutdown(options)
    const signals = options.signals ?? ['SIGTERM', 'SIGINT']
    let last = Number.NEGATIVE_INFINITY
    const handle = (signal: NodeJS.Signals): void => {
      const now = performance.now()
      if (now - last < ONE_KEY_PRESS) return
      last = now
      const step = shutdown.draining.aborted ? 'abort' : 'drain'
      if (step === 'abort') shutdown.abort(signal)
      else shutdown.drain(signal)
      // After it, so that what is said about the step is true by then.
      options.onSignal?.(signal, step)
    }
    for (const signal of signals) process.on(signal, handle)
    shutdown.done.then(() => {
      for (const signal of signals) process.off(signal, handle)
    })
    return shutdown
  }

  /** Aborted when the drain begins: take nothing new, finish what is in flight. */
  get draining(): AbortSignal {
    return this.#drain.signal
  }

  /** Aborted when the limit has passed or `abort` was called: close now. */
  get aborted(): AbortSignal {
    return this.#abort.signal
  }

  /** Settled when everything has ended. Never rejects. */
  get done(): Promise<ShutdownOutcome> {
    return this.#done.promise
  }

  /**
   * Keeps the shutdown waiting until the returned function is called; calling it twice does nothing.
   *
   * @param describe what is open, in words, for the outcome if it is cut; called only then
   */
  hold(describe: () => string): () => void {
    const key = Symbol()
    this.#holds.set(key, describe)
    return () => {
      if (this.#holds.delete(key)) this.#settleIfEmpty()
    }
  }

  /** Begins the drain, unless it has begun already. */
  drain(reason: string = 'drain'): Promise<ShutdownOutcome> {
    if (!this.#drain.signal.aborted) {
      this.#reason = reason
      this.#began = performance.now()
      this.#timer = setTimeout(() => this.abort(reason), this.#limit)
      this.#drain.abort()
      this.#settleIfEmpty()
    }
    return this.done
  }

  /** Cuts what is still open, now. Begins the drain first if it has not begun. */
  abort(reason: string = 'abort'): Promise<ShutdownOutcome> {
    this.drain(reason)
    if (!this.#abort.signal.aborted && !this.#settled) {
      clearTimeout(this.#timer)
      this.#open = [...this.#holds.values()].map(words)
      this.#abort.abort()
      this.#timer = setTimeout(() => this.#settle(), LAST_GRACE)
      this.#settleIfEmpty()
    }
    return this.done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain('disposed')
  }

  #settleIfEmpty(): void {
    // Not in the same turn: those who react to the drain may take a hold while they finish.
    if (this.#drain.signal.aborted && this.#holds.size === 0) {
      queueMicrotask(() => {
        if (this.#holds.size === 0) this.#settle()
      })
    }
  }

  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#timer)
    this.#done.resolve({
      reason: this.#reason,
      result: this.#open.length > 0 ? 'cut' : 'drained',
      open: this.#open,
      duration: performance.now() - this.#began,
    })
  }
}

/** A description that throws must not keep the rest from being cut. */
function words(describe: () => string): string {
  try {
    return describe()
  } catch (error) {
    return `something that could not be described (${errorCode(error)})`
  }
}
