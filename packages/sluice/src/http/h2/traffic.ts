// What moves on an HTTP/2 session, weighed: how much of what the client sends is no message (floods of frames that cost
// more than they say), how many streams come to nothing, and whether the client takes what it is sent.
import type { Connection } from '../../net/index.ts'
import { bodyDeadline } from '../sweep.ts'

/** Bytes that may come beside messages at once. Frames that cost more than their bytes weigh more. */
const NOISE_LIMIT = 1536 * 1024

/** Bytes beside messages that may come each second for ever: PINGs that keep a session open, for one. */
const STEADY = 1024

/** Each byte of a message that comes makes up for so many others: 3 bytes in a DATA frame, which has 9, are fair. */
const FAIR = 4

/** Whatever is sent lets the client send something about it: a PING to measure, and room for two windows. */
const ANSWERED = 64
/** And so does each of so many bytes of it. */
const ANSWERED_BYTES = 32

/**
 * Streams that may be reset at once, by the client or because of what it sent, and each second from then on
 * (CVE-2023-44487, rapid reset; CVE-2025-8671, MadeYouReset).
 */
const RESET_BURST = 200
const RESET_RATE = 33

/** What a frame of a kind weighs beside its bytes. */
export const WEIGHTS: Readonly<Record<'settings' | 'idle' | 'empty' | 'malformed', number>> = {
  /** A session needs one. Each is answered, and can change the table of fields. */
  settings: 4096,
  /** PRIORITY and frames of unknown types, which nothing comes of. */
  idle: 140,
  /** DATA that carries nothing and ends nothing has no use. */
  empty: 16 * 1024,
  /** A request that can't be one costs an answer and a log line. */
  malformed: 16 * 1024,
}

export class Traffic {
  readonly #connection: Pick<Connection, 'taken'>
  readonly #timeout: number
  #taken: number
  #noise = 0
  #resets = 0
  #at: number
  #takesUntil: number

  /** @param timeout how long the client may take nothing of what it is sent, in milliseconds */
  constructor(connection: Pick<Connection, 'taken'>, timeout: number, now: number) {
    this.#connection = connection
    this.#timeout = timeout
    this.#at = now
    this.#takesUntil = now
    this.#taken = connection.taken
  }

  /** Bytes came, of whatever. */
  read(count: number): void {
    this.#noise += count
  }

  /** So many of them were bytes of a message. */
  received(count: number): void {
    this.#noise -= count * (1 + FAIR)
  }

  /** Bytes of a body were given to the session. */
  sent(count: number): void {
    this.#noise -= ANSWERED + count / ANSWERED_BYTES
  }

  /** Something came that is no message, or a wrong one. */
  noise(weight: number): void {
    this.#noise += weight
  }

  /** A stream was reset, by the client or because of it. */
  reset(): void {
    this.#resets++
  }

  /** Whether too much of what came is no message, or comes to nothing. */
  get flooded(): boolean {
    return this.#noise > NOISE_LIMIT || this.#resets > RESET_BURST
  }

  /** Whether the client has taken something lately, on whichever stream, and not too slowly. */
  takes(now: number): boolean {
    return now < this.#takesUntil
  }

  /** Looks at what has moved since the last time. */
  step(now: number): void {
    const seconds = (now - this.#at) / 1000
    // What was fair so far makes up for nothing that is still to come.
    this.#noise = Math.max(0, this.#noise - seconds * STEADY)
    this.#resets = Math.max(0, this.#resets - seconds * RESET_RATE)
    const { taken } = this.#connection
    const more = taken - this.#taken
    if (more > 0) this.#takesUntil = bodyDeadline(this.#takesUntil, more, this.#timeout)
    this.#taken = taken
    this.#at = now
  }
}
