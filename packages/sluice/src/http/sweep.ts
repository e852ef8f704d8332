// Time limits of all connections by one coarse timer: setting a limit is writing a number, and nothing is made or
// cancelled for a request. Limits are kept to within a step.

export interface Swept {
  /** When `expire` is called, by `sweep.now`; Infinity for never. */
  deadline: number
  /** The deadline has passed. It must set another deadline, or end what is swept. */
  expire(): void
}

const STEP = 500

/** The slowest a body may come, in bytes a millisecond, once its time limit has been used up (240 bytes a second). */
const SLOWEST = 0.24

/** The deadline of a body after some of it came: each byte brings the time that it may take, up to the whole limit. */
export function bodyDeadline(deadline: number, count: number, timeout: number): number {
  return Math.min(sweep.now + timeout, Math.max(deadline, sweep.now) + slowestTime(count))
}

/** How long so many bytes may take at the slowest, in milliseconds. */
export function slowestTime(count: number): number {
  return count / SLOWEST
}

class Sweep {
  readonly #swept = new Set<Swept>()
  #timer: NodeJS.Timeout | undefined
  #now = 0

  /**
   * Milliseconds, as of the last step: reading a real clock for every request would cost more than it is worth. While
   * nothing is swept there are no steps, and the clock is read.
   */
  get now(): number {
    return this.#timer === undefined ? performance.now() : this.#now
  }

  add(item: Swept): void {
    this.#swept.add(item)
    if (this.#timer !== undefined) return
    this.#now = performance.now()
    this.#timer = setInterval(() => this.#step(), STEP)
    this.#timer.unref()
  }

  delete(item: Swept): void {
    if (!this.#swept.delete(item) || this.#swept.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #step(): void {
    this.#now = performance.now()
    for (const item of this.#swept) {
      if (item.deadline <= this.#now) item.expire()
    }
  }
}

/** The sweep of this process. */
export const sweep: Sweep = new Sweep()
