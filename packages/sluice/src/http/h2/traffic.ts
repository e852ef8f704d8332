// What moves on an HTTP/2 session, weighed: how much of what the client sends is no message (floods of frames that cost
// more than they say), and whether it takes what it is sent.
import type { Socket } from 'node:net'
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

/** What a frame of a kind weighs beside its bytes. */
export const WEIGHTS: Readonly<Record<'settings' | 'ping' | 'malformed', number>> = {
  /** A session needs one. Each is answered, and can change the table of fields. */
  settings: 4096,
  /** Each is answered. */
  ping: 17,
  /** A request that can't be one costs an answer and a log line. */
  malformed: 16 * 1024,
}

export class Traffic {
  readonly #socket: Socket
  readonly #timeout: number
  #read: number
  #written: number
  #noise = 0
  #credit = 0
  #at: number
  #takesUntil: number

  /** @param timeout how long the client may take nothing of what it is sent, in milliseconds */
  constructor(socket: Socket, timeout: number, now: number) {
    this.#socket = socket
    this.#timeout = timeout
    this.#at = now
    this.#takesUntil = now
    this.#read = socket.bytesRead
    this.#written = socket.bytesWritten
  }

  /** Bytes of a message came. */
  received(count: number): void {
    this.#credit += count * (1 + FAIR)
  }

  /** Bytes of a body were given to the session. */
  sent(count: number): void {
    this.#credit += ANSWERED + count / ANSWERED_BYTES
  }

  /** Something came that is no message, or a wrong one. */
  noise(weight: number): void {
    this.#noise += weight
  }

  /** Whether too much of what came is no message, or nobody has read it yet. */
  get flooded(): boolean {
    return this.#noise > NOISE_LIMIT
  }

  /**
   * Whether it is too much without the bytes of messages that wait to be read. They can be far more than the window of
   * the session: Node opens that again for whatever comes.
   */
  floodedBeside(unread: number): boolean {
    return this.#noise - unread > NOISE_LIMIT
  }

  /** Whether the client has taken something lately, on whichever stream, and not too slowly. */
  takes(now: number): boolean {
    return now < this.#takesUntil
  }

  /** Looks at what has moved since the last time. Bun 1.4 does not count bytes: there only frames are weighed. */
  step(now: number): void {
    const { bytesRead, bytesWritten } = this.#socket
    const steady = ((now - this.#at) * STEADY) / 1000
    this.#noise = Math.max(0, this.#noise + (bytesRead - this.#read) - this.#credit - steady)
    const written = bytesWritten - this.#written
    if (written > 0) this.#takesUntil = bodyDeadline(this.#takesUntil, written, this.#timeout)
    this.#credit = 0
    this.#read = bytesRead
    this.#written = bytesWritten
    this.#at = now
  }
}
