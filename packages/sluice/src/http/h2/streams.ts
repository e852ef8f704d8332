// The streams of a session: those that are open, and what may still come on those that are not (RFC 9113, section 5.1).

import type { Http2Stream } from './stream.ts'
import { ConnectionError, PROTOCOL_ERROR, STREAM_CLOSED } from './wire/frames.ts'

/** Streams that were reset by us and whose frames may still be under way; more can't be reset in a session that goes on. */
const MOST_RESET = 1000

export class Streams {
  /** By their numbers, which go up. No Map: see Members. */
  readonly #open: Http2Stream[] = []
  readonly #reset = new Set<number>()
  /** The stream that was opened last, and the one up to which all were. */
  #last = 0
  #dense = -1
  /** Streams beyond this one are passed over: the client was told so by GOAWAY. */
  #most = Number.POSITIVE_INFINITY

  get size(): number {
    return this.#open.length
  }

  /** The stream that was opened last. */
  get last(): number {
    return this.#last
  }

  /** All that are open now, though some may be closed meanwhile. */
  all(): readonly Http2Stream[] {
    return this.#open.slice()
  }

  get(id: number): Http2Stream | undefined {
    const open = this.#open
    let low = 0
    let high = open.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const stream = open[middle] as Http2Stream
      if (stream.id === id) return stream
      if (stream.id < id) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }

  /** The client opens a stream, which is taken or not. */
  count(id: number): void {
    if (id === this.#dense + 2) this.#dense = id
    this.#last = id
  }

  add(stream: Http2Stream): void {
    this.#open.push(stream)
  }

  delete(stream: Http2Stream): void {
    const open = this.#open
    let at = open.indexOf(stream)
    if (at < 0) return
    for (const last = open.length - 1; at < last; at++) open[at] = open[at + 1] as Http2Stream
    open.pop()
  }

  /** We have reset a stream, or not taken it: the client may not know yet. */
  wasReset(id: number): void {
    this.#reset.add(id)
    if (this.#reset.size <= MOST_RESET) return
    for (const first of this.#reset) {
      this.#reset.delete(first)
      return
    }
  }

  /** Passes over streams that are opened from now on. */
  takeNoMore(): void {
    this.#most = this.#last
  }

  /** Whether a stream that is opened can be taken. */
  isNew(id: number): boolean {
    return id > this.#last && id <= this.#most
  }

  /**
   * What is no message may come on a stream that is not open, if it was.
   *
   * @throws {ConnectionError}
   */
  checkOpened(id: number, what: string): void {
    if (id > this.#most) return
    if (id > this.#last || (id & 1) === 0) {
      throw new ConnectionError(PROTOCOL_ERROR, `${what} came on stream ${id}, which nobody opened`)
    }
  }

  /**
   * And what is part of a message only where it was we who closed it.
   *
   * @throws {ConnectionError}
   */
  checkPassedOver(id: number, what: string): void {
    this.checkOpened(id, what)
    if (id > this.#most || this.#reset.has(id)) return
    const code = id <= this.#dense ? STREAM_CLOSED : PROTOCOL_ERROR
    throw new ConnectionError(code, `${what} came on stream ${id}, which is closed`)
  }
}
