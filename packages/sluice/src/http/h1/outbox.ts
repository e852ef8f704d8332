// What is written to an HTTP/1.1 connection. What may wait is held back until the end of the turn of the event loop: then
// all connections write one after the other, and messages that follow each other go out in one piece.
import type { Socket } from 'node:net'
import { atTurnEnd, type TurnEnd } from '../turn.ts'

/** More text than this goes to the socket's own queue, where `writableNeedDrain` counts it. */
const MOST = 16 * 1024

/**
 * Text is held back here, which costs less than the socket's queue. As soon as something else is to be written, the text
 * goes to that queue before it (`cork`). So the order is that of the calls, if the socket is got by `direct` or `hold`.
 */
export class Outbox implements TurnEnd {
  readonly #socket: Socket
  #text = ''
  #corked = false
  #asked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Writes text of Latin-1 characters, at the end of this turn. */
  write(text: string): void {
    if (this.#corked) {
      this.#socket.write(text, 'latin1')
      return
    }
    this.#text += text
    if (this.#text.length > MOST) this.#cork()
    else this.#ask()
  }

  /**
   * The socket, for who writes to it directly or ends it: that goes out behind what is held back, and at once if nothing
   * is. Before it is reset, call `flush` if what was written matters.
   */
  direct(): Socket {
    if (this.#text !== '') this.#cork()
    return this.#socket
  }

  /** The socket, for who writes to it what may wait for the end of this turn. */
  hold(): Socket {
    if (!this.#corked) this.#cork()
    return this.#socket
  }

  /** Lets go of what is held back. */
  flush(): void {
    if (this.#corked) {
      this.#corked = false
      this.#socket.uncork()
      return
    }
    const text = this.#text
    this.#text = ''
    if (text !== '' && !this.#socket.destroyed) this.#socket.write(text, 'latin1')
  }

  atTurnEnd(): void {
    this.#asked = false
    this.flush()
  }

  #cork(): void {
    const text = this.#text
    this.#text = ''
    this.#corked = true
    this.#socket.cork()
    if (text !== '') this.#socket.write(text, 'latin1')
    this.#ask()
  }

  #ask(): void {
    if (this.#asked) return
    this.#asked = true
    atTurnEnd(this)
  }
}
