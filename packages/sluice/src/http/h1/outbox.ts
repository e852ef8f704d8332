// What is written to an HTTP/1.1 connection. What may wait is held back until the end of the turn of the event loop: then
// all connections write one after the other, and messages that follow each other go out in one piece.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { atTurnEnd, failed } from '../turn.ts'

/** More text than this goes to the socket's own queue, where `writableNeedDrain` counts it. */
const MOST = 16 * 1024

/** Bytes up to this size are copied together with their framing; more go out beside it. */
const COPIED = 4096

/** Where a head, framing and a chunk are put together that are encrypted before they are written over. */
const SCRATCH = 128 * 1024
let scratch: Buffer | undefined

/**
 * The outboxes that hold something back in this turn, and the text of each. Lists that are new in each turn cost less than
 * a text in each outbox: to tell the collector of something young in something old is dear.
 */
let waiting: Outbox[] = []
let texts: string[] = []

/**
 * Text is held back here, which costs less than the socket's queue. As soon as something else is to be written, the text
 * goes to that queue before it (`cork`). So the order is that of the calls, if the socket is got by `direct` or `hold`.
 */
export class Outbox {
  readonly #socket: Socket
  /** Whether a socket with nothing to write is done with what it is given before `write` returns: it encrypts it. */
  readonly encrypts: boolean
  /** Where it is among those that wait for the end of the turn; -1 if it is not. */
  #place = -1
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.encrypts = socket instanceof TLSSocket
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
   * Writes bytes of a body with text around them, behind what is held back.
   *
   * @param lent whether the bytes are good only until this returns
   * @returns false if the socket has enough for now
   */
  writeBytes(before: string, bytes: Buffer, after: string, lent: boolean): boolean {
    if (this.encrypts && !this.#corked && bytes.length > COPIED && this.#socket.writableLength === 0) {
      const head = this.#take() + before
      if (head === '' && after === '') return this.#socket.write(bytes)
      const end = head.length + bytes.length
      const total = end + after.length
      if (total <= SCRATCH) {
        // In one piece: of several, the platform makes one of its own each time (bulk −22 %).
        scratch ??= Buffer.allocUnsafeSlow(SCRATCH)
        scratch.write(head, 0, 'latin1')
        bytes.copy(scratch, head.length)
        scratch.write(after, end, 'latin1')
        return this.#socket.write(scratch.subarray(0, total))
      }
      if (head !== '') this.write(head)
      return this.#writeBehind('', bytes, after, lent)
    }
    return this.#writeBehind(before, bytes, after, lent)
  }

  #writeBehind(before: string, bytes: Buffer, after: string, lent: boolean): boolean {
    const socket = this.direct()
    const { length } = bytes
    if (before === '' && after === '') {
      const isDone = this.encrypts && socket.writableLength === 0
      return socket.write(lent && !isDone ? Buffer.from(bytes) : bytes)
    }
    if (length <= COPIED) {
      const framed = Buffer.allocUnsafe(before.length + length + after.length)
      framed.write(before, 0, 'latin1')
      bytes.copy(framed, before.length)
      framed.write(after, before.length + length, 'latin1')
      return socket.write(framed)
    }
    const kept = lent ? Buffer.from(bytes) : bytes
    socket.cork()
    socket.write(before, 'latin1')
    socket.write(kept)
    const written = socket.write(after, 'latin1')
    socket.uncork()
    return written && !socket.writableNeedDrain
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
    // A write may lead back here, with sockets that lie over others in this process: the lists grow meanwhile.
    for (let at = 0; at < waiting.length; at++) {
      const outbox = waiting[at] as Outbox
      const text = texts[at] as string
      outbox.#place = -1
      try {
        outbox.#release(text)
      } catch (error) {
        failed(error)
      }
    }
    waiting = []
    texts = []
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
