// File descriptors: how many the process has for connections, and how many of them all its listeners have given away.
import { readFileSync } from 'node:fs'

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

/** Counts descriptors, and calls those who wait for some when any are given back. */
export class DescriptorBudget {
  readonly #total: number
  readonly #waiting = new Set<() => void>()
  #used = 0

  constructor(total: number) {
    this.#total = total
  }

  has(count: number): boolean {
    return this.#used + count <= this.#total
  }

  take(count: number): void {
    this.#used += count
  }

  give(count: number): void {
    this.#used -= count
    for (const fill of this.#waiting) fill()
  }

  /** Calls `fill` when descriptors are given back, from now on. */
  await(fill: () => void): void {
    this.#waiting.add(fill)
  }

  leave(fill: () => void): void {
    this.#waiting.delete(fill)
  }
}

let shared: DescriptorBudget | undefined

/** The one that all listeners of the process share. */
export function sharedBudget(): DescriptorBudget {
  shared ??= new DescriptorBudget(descriptorsForConnections() ?? Number.POSITIVE_INFINITY)
  return shared
}
