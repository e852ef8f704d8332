// What an HTTP/2 session sends: frames that are small are put together until the end of the turn, DATA goes out as far as
// the session's window and the socket have room, and streams that wait for room take turns, a frame each.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { atTurnEnd, type TurnEnd } from '../turn.ts'
import { DATA, END_STREAM, FIRST_WINDOW, FRAME_SIZE, frameHead } from './wire/frames.ts'

/** Content up to this size is copied into the text of the turn; more goes out beside it. */
const COPIED = 1024

/** Text of a turn beyond which DATA waits for the socket. */
const FULL = 64 * 1024

/** A stream that has DATA to send, or waits until it may. */
export interface Sender {
  /** Whether it is in line. Only `Output` changes it. */
  inLine: boolean
  /** There is room: sends a frame; says whether it could send another. */
  sendNext(): boolean
}

export class Output implements TurnEnd {
  readonly #socket: Socket
  readonly #encrypts: boolean
  #text = ''
  #asked = false
  #line: Sender[] = []
  /** How much DATA the peer takes for all streams. */
  window: number = FIRST_WINDOW
  /** The largest frame that the peer takes. */
  frameSize: number = FRAME_SIZE

  constructor(socket: Socket) {
    this.#socket = socket
    this.#encrypts = socket instanceof TLSSocket
    socket.on('drain', () => this.pump())
  }

  /** Whether DATA can be sent. */
  get hasRoom(): boolean {
    return this.window > 0 && !this.#socket.writableNeedDrain && this.#text.length < FULL
  }

  /**
   * Whether DATA that is written now need not be kept. A TLS socket with nothing to write encrypts what it is given before
   * `write` returns; any other may still be writing from it later.
   */
  get borrows(): boolean {
    return this.#encrypts && this.#socket.writableLength === 0
  }

  /** Bytes that the socket has not taken. */
  get waiting(): number {
    return this.#socket.writableLength + this.#text.length
  }

  /** Sends frames that need no room: at the end of the turn, with all others of it. */
  write(frames: string): void {
    this.#text += frames
    if (this.#asked) return
    this.#asked = true
    atTurnEnd(this)
  }

  /** Sends DATA as text of one character for each byte; the caller has looked that there is room. */
  dataText(stream: number, content: string, ends: boolean): void {
    this.window -= content.length
    this.write(frameHead(content.length, DATA, ends ? END_STREAM : 0, stream) + content)
  }

  /** Sends DATA; the caller has looked that there is room. */
  data(stream: number, content: Buffer, ends: boolean): void {
    const { length } = content
    if (length <= COPIED) {
      this.dataText(stream, content.toString('latin1'), ends)
      return
    }
    this.window -= length
    const socket = this.#socket
    socket.cork()
    const head = this.#text + frameHead(length, DATA, ends ? END_STREAM : 0, stream)
    this.#text = ''
    socket.write(head, 'latin1')
    socket.write(content)
    socket.uncork()
  }

  /** What is sent until `uncork` goes out in one piece. */
  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  /** Lines up a stream that has something to send, and room of its own for it. */
  lineUp(sender: Sender): void {
    if (sender.inLine) return
    sender.inLine = true
    this.#line.push(sender)
  }

  /** Sends what has waited for room, as far as there is some. */
  pump(): void {
    while (this.#line.length > 0 && this.hasRoom) {
      const sender = this.#line.shift() as Sender
      sender.inLine = false
      if (sender.sendNext()) this.lineUp(sender)
    }
  }

  atTurnEnd(): void {
    this.#asked = false
    this.flush()
    this.pump()
  }

  /** Hands over what was put together. */
  flush(): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    if (this.#socket.writable) this.#socket.write(text, 'latin1')
  }
}
