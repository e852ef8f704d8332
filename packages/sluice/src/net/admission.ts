// How many connections are served at once, how many wait for a place, and how many have been refused.
import type { Socket } from 'node:net'
import { type Duration, timeLimit, wholeNumber } from '../core/index.ts'
import { type DescriptorBudget, descriptorsForConnections } from './descriptors.ts'

export interface AdmissionLimits {
  /** Connections served at once. */
  readonly maxConnections: number
  /** Connections held unread until a place is free. */
  readonly maxWaiting: number
  /** Milliseconds that a connection is held before it is refused. */
  readonly waitTimeout: number
  /** Whether it also keeps to the descriptors that all listeners of the process share. */
  readonly sharing: boolean
}

/** Descriptors of a connection that is served: the client's and the backend's. */
const SERVING_COST = 2
const WAITING_COST = 1

/**
 * Decides for each accepted socket: serve it now, hold it unread, or refuse it. Those that are held are served in
 * order of arrival.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #budget: DescriptorBudget
  readonly #serve: (socket: Socket) => void
  readonly #refuse: (socket: Socket) => void
  readonly #waiting = new Map<Socket, NodeJS.Timeout>()
  readonly #fill = (): void => this.#serveWaiting()
  #serving = 0
  #paused: NodeJS.Timeout | undefined

  constructor(
    limits: AdmissionLimits,
    budget: DescriptorBudget,
    serve: (socket: Socket) => void,
    refuse: (socket: Socket) => void,
  ) {
    this.#limits = limits
    this.#budget = budget
    this.#serve = serve
    this.#refuse = refuse
  }

  get serving(): number {
    return this.#serving
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes a socket that was just accepted. */
  admit(socket: Socket): void {
    if (this.#hasPlace() && this.#affords(SERVING_COST)) this.#begin(socket)
    else if (this.#waiting.size < this.#limits.maxWaiting && this.#affords(WAITING_COST)) this.#hold(socket)
    else this.#refuse(socket)
  }

  /** One that was served is gone: its place goes to the first that waits. */
  release(): void {
    this.#serving -= 1
    this.#budget.give(SERVING_COST)
  }

  /** Serves nobody new for a while: the machine is out of file descriptors or memory, and needs to let go of some. */
  pause(milliseconds: number): void {
    this.#paused ??= setTimeout(() => {
      this.#paused = undefined
      this.#serveWaiting()
    }, milliseconds)
  }

  /** Refuses all that wait. */
  refuseWaiting(): void {
    clearTimeout(this.#paused)
    this.#paused = undefined
    for (const socket of [...this.#waiting.keys()]) this.#giveUp(socket)
  }

  #hasPlace(): boolean {
    return this.#paused === undefined && this.#serving < this.#limits.maxConnections
  }

  #affords(descriptors: number): boolean {
    return !this.#limits.sharing || this.#budget.has(descriptors)
  }

  #begin(socket: Socket): void {
    this.#serving += 1
    this.#budget.take(SERVING_COST)
    this.#serve(socket)
  }

  #hold(socket: Socket): void {
    const timer = setTimeout(() => this.#giveUp(socket), this.#limits.waitTimeout)
    this.#waiting.set(socket, timer)
    this.#budget.take(WAITING_COST)
    this.#budget.await(this.#fill)
    socket.once('close', () => this.#leave(socket))
  }

  #serveWaiting(): void {
    for (const socket of this.#waiting.keys()) {
      // It brings with it the descriptor that it has.
      if (!this.#hasPlace() || !this.#affords(SERVING_COST - WAITING_COST)) return
      this.#forget(socket)
      this.#budget.take(-WAITING_COST)
      this.#begin(socket)
    }
  }

  #giveUp(socket: Socket): void {
    this.#leave(socket)
    this.#refuse(socket)
  }

  #leave(socket: Socket): void {
    if (!this.#waiting.has(socket)) return
    this.#forget(socket)
    this.#budget.give(WAITING_COST)
  }

  #forget(socket: Socket): void {
    clearTimeout(this.#waiting.get(socket))
    this.#waiting.delete(socket)
    if (this.#waiting.size === 0) this.#budget.leave(this.#fill)
  }
}

/** The options of a listener that say whom it admits. */
export interface AdmissionOptions {
  readonly maxConnections?: number
  readonly maxWaiting?: number
  readonly waitTimeout?: Duration
}

/**
 * The limits that are told, and for the others defaults that the descriptors suffice for: a connection that is served
 * takes two (the client's and the backend's), one that waits takes one. To stay within is better than to run out: the
 * runtime then closes new connections without a word to anybody. Whoever says `maxConnections` gets as many.
 *
 * @throws {SluiceError} `OPTION_INVALID`, `DURATION_INVALID`
 */
export function admissionLimits(
  told: AdmissionOptions,
  descriptors: number = descriptorsForConnections() ?? Number.POSITIVE_INFINITY,
): AdmissionLimits {
  const maxConnections =
    told.maxConnections === undefined
      ? Math.min(16_384, Math.floor(descriptors / 3))
      : wholeNumber('maxConnections', told.maxConnections)
  const left = Math.max(0, descriptors - SERVING_COST * maxConnections)
  return {
    maxConnections,
    // None may wait: then those without a place are refused at once.
    maxWaiting:
      told.maxWaiting === undefined ? Math.min(1024, left) : wholeNumber('maxWaiting', told.maxWaiting, 0),
    waitTimeout: timeLimit('waitTimeout', told.waitTimeout ?? '10s'),
    sharing: told.maxConnections === undefined,
  }
}
