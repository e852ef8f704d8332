// How many connections are served at once, how many wait for a place, and how many have been refused.
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'

export interface AdmissionLimits {
  /** Connections served at once. */
  readonly maxConnections: number
  /** Connections held unread until a place is free. */
  readonly maxWaiting: number
  /** Milliseconds that a connection is held before it is refused. */
  readonly waitTimeout: number
}

/**
 * Decides for each accepted socket: serve it now, hold it unread, or refuse it. Those that are held are served in
 * order of arrival.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #serve: (socket: Socket) => void
  readonly #refuse: (socket: Socket) => void
  readonly #waiting = new Map<Socket, NodeJS.Timeout>()
  #serving = 0
  #paused: NodeJS.Timeout | undefined

  constructor(limits: AdmissionLimits, serve: (socket: Socket) => void, refuse: (socket: Socket) => void) {
    this.#limits = limits
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
    if (this.#hasPlace()) {
      this.#serving += 1
      this.#serve(socket)
    } else if (this.#waiting.size < this.#limits.maxWaiting) {
      const timer = setTimeout(() => this.#giveUp(socket), this.#limits.waitTimeout)
      this.#waiting.set(socket, timer)
      socket.once('close', () => this.#leave(socket))
    } else this.#refuse(socket)
  }

  /** One that was served is gone: its place goes to the first that waits. */
  release(): void {
    this.#serving -= 1
    this.#fill()
  }

  /** Serves nobody new for a while: the machine is out of file descriptors or memory, and needs to let go of some. */
  pause(milliseconds: number): void {
    this.#paused ??= setTimeout(() => {
      this.#paused = undefined
      this.#fill()
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

  #fill(): void {
    for (const socket of this.#waiting.keys()) {
      if (!this.#hasPlace()) return
      this.#leave(socket)
      this.#serving += 1
      this.#serve(socket)
    }
  }

  #giveUp(socket: Socket): void {
    this.#leave(socket)
    this.#refuse(socket)
  }

  #leave(socket: Socket): void {
    clearTimeout(this.#waiting.get(socket))
    this.#waiting.delete(socket)
  }
}

/** Descriptors that a program needs besides its connections: the runtime's own, logs, certificates, resolvers. */
const RESERVED_FILES = 64

/**
 * How many descriptors the limit on open files leaves for connections; undefined where the limit can't be read, as
 * outside of Linux.
 */
export function descriptorsForConnections(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Math.max(3, Number(soft) - RESERVED_FILES)
  } catch {
    return undefined
  }
}

/**
 * The limits that are told, and for the others defaults that the descriptors suffice for: a connection that is served
 * takes two (the client's and the backend's), one that waits takes one. To stay within is better than to run out: the
 * runtime then closes new connections without a word to anybody.
 */
export function admissionLimits(
  told: { readonly [Limit in keyof AdmissionLimits]?: number | undefined },
  descriptors: number = descriptorsForConnections() ?? Number.POSITIVE_INFINITY,
): AdmissionLimits {
  const maxConnections = told.maxConnections ?? Math.min(16_384, Math.floor(descriptors / 3))
  const left = Math.max(0, descriptors - 2 * maxConnections)
  return {
    maxConnections,
    maxWaiting: told.maxWaiting ?? Math.min(1024, left),
    waitTimeout: told.waitTimeout ?? 10_000,
  }
}
