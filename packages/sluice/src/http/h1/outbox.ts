// What is written to an HTTP/1.1 connection. What may wait is held back until the end of the turn of the event loop: then
// all connections write one after the other, and messages that follow each other go out in one piece.
import type { Socket } from 'node:net'
import { atTurnEnd, type TurnEnd } from '../turn.ts'

/**
 * What is held back lies in the socket's own queue (`cork`). So whatever is written to the socket by any way goes out behind
 * it, `end` sends it first, and `writableNeedDrain` and `writableLength` count it. Only before a reset it must be flushed.
 */
export class Outbox implements TurnEnd {
  readonly socket: Socket
  #holding = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** Writes text of Latin-1 characters, at the end of this turn, or before it with `flush`. */
  write(text: string): void {
    this.hold()
    this.socket.write(text, 'latin1')
  }

  /** Holds back all that is written to the socket in this turn. */
  hold(): void {
    if (this.#holding) return
    this.#holding = true
    this.socket.cork()
    atTurnEnd(this)
  }

  /** Lets go of what is held back. */
  flush(): void {
    if (!this.#holding) return
    this.#holding = false
    this.socket.uncork()
  }

  atTurnEnd(): void {
    this.flush()
  }
}
