// What is written to an HTTP/1.1 connection. What may wait is held back until the end of the turn of the event loop: then
// all connections write one after the other, and messages that follow each other go out in one piece.
import type { Socket } from 'node:net'
import { errorFields, logger } from '../../core/index.ts'
import { atTurnEnd } from '../turn.ts'

/** More text than this goes to the socket's own queue, where `writableNeedDrain` counts it. */
const MOST = 16 * 1024

/**
 * The outboxes that hold something back in this turn, and the text of each. Lists that are new in each turn cost less than
 * a text in each outbox: to tell the collector of something young in something old is dear (−2 % of a request).
 */
let waiting: Outbox[] = []
let texts: string[] = []

/**
 * Text is held back here, which costs less than the socket's queue. As soon as something else is to be written, the text
 * goes to that queue before it (`cork`). So the order is that of the calls, if the socket is got by `direct` or `hold`.
 */
export class Outbox {
  readonly #socket: Socket
  /** Where it is among those that wait for the end of the turn; -1 if it is not. */
  #place = -1
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Writes text of Latin-1 characters, at the end of this turn. */
  write(text: string): void {
    if (this.#corked) {
      this.#socket.write(text, 'latin1')
    } else if (this.#place < 0) {
      this.#wait(text)
      if (text.length > MOST) this.#cork()
    } else {
      const all = texts[this.#place] + text
      texts[this.#place] = all
      if (all.length > MOST) this.#cork()
    }
  }

  /**
   * The socket, for who writes to it directly or ends it: that goes out behind what is held back, and at once if nothing
   * is. Before it is reset, call `flush` if what was written matters.
   */
  direct(): Socket {
    if (this.#place >= 0 && texts[this.#place] !== '') this.#cork()
    return this.#socket
  }

  /** The socket, for who writes to it what may wait for the end of this turn. */
  hold(): Socket {
    if (!this.#corked) this.#cork()
    return this.#socket
  }

  /** Lets go of what is held back. */
  flush(): void {
    this.#release(this.#take())
  }

  static releaseAll(): void {
    const outboxes = waiting
    const heldBack = texts
    waiting = []
    texts = []
    for (let at = 0; at < outboxes.length; at++) {
      const outbox = outboxes[at] as Outbox
      outbox.#place = -1
      try {
        outbox.#release(heldBack[at] as string)
      } catch (error) {
        logger('http').error(errorFields(error), 'what was held back could not be written')
      }
    }
  }

  #release(text: string): void {
    if (this.#corked) {
      this.#corked = false
      this.#socket.uncork()
    } else if (text !== '' && !this.#socket.destroyed) {
      this.#socket.write(text, 'latin1')
    }
  }

  #cork(): void {
    if (this.#place < 0) this.#wait('')
    const text = this.#take()
    this.#corked = true
    this.#socket.cork()
    if (text !== '') this.#socket.write(text, 'latin1')
  }

  #take(): string {
    if (this.#place < 0) return ''
    const text = texts[this.#place] as string
    texts[this.#place] = ''
    return text
  }

  #wait(text: string): void {
    if (waiting.length === 0) atTurnEnd(TURN_END)
    this.#place = waiting.length
    waiting.push(this)
    texts.push(text)
  }
}

const TURN_END = { atTurnEnd: () => Outbox.releaseAll() }
