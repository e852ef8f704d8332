// A generator of numbers that are the same for the same seed (mulberry32), for fuzzing and churn.

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 up to `limit`, without it. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  /** Bytes cut into up to `most` pieces. */
  split(bytes: Buffer, most: number): Buffer[] {
    const cuts = Array.from({ length: this.below(most) }, () => this.below(bytes.length + 1))
    const ends = [...cuts.sort((one, other) => one - other), bytes.length]
    return ends
      .map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
      .filter(({ length }) => length > 0)
  }
}
