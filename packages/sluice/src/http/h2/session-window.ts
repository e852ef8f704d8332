// How much DATA a client may send ahead for all of its streams (RFC 9113, section 6.9), and how much of it may lie unread.
import type { Output } from './output.ts'
import { ConnectionError, FIRST_WINDOW, FLOW_CONTROL_ERROR, windowUpdateFrame } from './wire/frames.ts'

/** What a client may send ahead for all streams. */
const SESSION_WINDOW = 1024 * 1024

/** Bytes of bodies that may wait to be read, of all streams: the window is not opened again meanwhile. */
const MOST_HELD = 8 * 1024 * 1024

export class SessionWindow {
  readonly #output: Output
  /** How much the client may still send, and what has come and it has not been told of. */
  #credit = SESSION_WINDOW
  #arrived = 0
  #held = 0

  constructor(output: Output) {
    this.#output = output
    output.write(windowUpdateFrame(0, SESSION_WINDOW - FIRST_WINDOW))
  }

  /** Whether so much waits to be read that the client gets no more room. */
  get isFull(): boolean {
    return this.#held > MOST_HELD
  }

  /** So many bytes of DATA came. @throws {ConnectionError} if there was no room for them */
  arrive(length: number): void {
    this.#credit -= length
    if (this.#credit < 0) {
      throw new ConnectionError(FLOW_CONTROL_ERROR, 'more DATA than the session has room for')
    }
    this.#arrived += length
    this.#open()
  }

  /** So many bytes more, or fewer, wait to be read. */
  hold(count: number): void {
    this.#held += count
    if (count < 0) this.#open()
  }

  #open(): void {
    if (this.#arrived < SESSION_WINDOW / 2 || this.isFull) return
    this.#credit += this.#arrived
    this.#output.write(windowUpdateFrame(0, this.#arrived))
    this.#arrived = 0
  }
}
