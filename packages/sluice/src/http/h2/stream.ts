// One stream of an HTTP/2 session, as a server has it (RFC 9113, section 5): its state, and its flow control both ways.

import type { HpackField } from './hpack/field.ts'
import type { Output, Sender } from './output.ts'
import { CANCEL, headersFrames, LARGEST_WINDOW, rstStreamFrame, windowUpdateFrame } from './wire/frames.ts'

/**
 * What a client may send ahead of what was read, for a stream. 256 KB fill 40 Mbit/s at 50 ms, and are the memory that a
 * stream costs whose service does not read.
 */
export const STREAM_WINDOW: number = 256 * 1024

/** What is told of a stream. */
export interface StreamUser {
  /** Bytes came. They may be kept; who does says so with `hold`, and later `release`. All are to be `consumed` once. */
  received(chunk: Buffer): void
  /** The client has sent all, with trailers perhaps; `overflowed` if they were more than are kept. */
  receivedAll(trailers: readonly HpackField[] | undefined, overflowed: boolean): void
  /** What was to wait has been sent: there is room for more. */
  drained(): void
  /** All has been sent, END_STREAM with it. */
  sentAll(): void
  /** Both sides have ended, or one has reset it, or the session is over. Called once, and nothing after it. */
  closed(): void
}

/** The session that a stream is part of. */
export interface StreamOwner {
  readonly output: Output
  /** Whether so much waits to be read that the client can't send more on any stream. */
  readonly isFull: boolean
  /** So many bytes more, or fewer, are in memory and nobody has read them. */
  held(count: number): void
  /** A stream is closed; `resetBefore` if we reset it while the client may still be sending. */
  streamClosed(stream: Http2Stream, resetBefore: boolean): void
}

export class Http2Stream implements Sender {
  readonly id: number
  readonly #owner: StreamOwner
  user: StreamUser | undefined
  inLine = false
  /** Bytes of its body that are to come; undefined if the client did not say. */
  expected: number | undefined
  /** Bytes of its body that have come. */
  #arrived = 0
  /** How much the client may still send, and what was read and it has not been told of. */
  #credit: number = STREAM_WINDOW
  #consumed = 0
  #held = 0
  /** How much the client takes. Can be below 0, when it has made its windows smaller. */
  #window: number
  #queue: Buffer[] = []
  #pending = 0
  /** Once nothing more will be written: makes the trailers when all that waits is sent. */
  #ending: (() => string) | undefined
  #headSent = false
  #localEnded = false
  #remoteEnded = false
  #closed = false

  constructor(id: number, owner: StreamOwner, window: number) {
    this.id = id
    this.#owner = owner
    this.#window = window
  }

  /** Whether the head of the answer has been sent. */
  get headSent(): boolean {
    return this.#headSent
  }

  /** Whether all of the answer has been sent. */
  get localEnded(): boolean {
    return this.#localEnded
  }

  /** Whether all of the request has come. */
  get remoteEnded(): boolean {
    return this.#remoteEnded
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether the client can't send, for what waits to be read of other streams. */
  get heldBack(): boolean {
    return this.#owner.isFull
  }

  /** Bytes that wait to be sent. */
  get pending(): number {
    return this.#pending
  }

  // What comes.

  /** Counts the payload of a DATA frame; false if the client had no room for it. */
  takes(length: number): boolean {
    this.#credit -= length
    return this.#credit >= 0
  }

  /** Counts bytes of the body; false if they are more than the client said. */
  arrives(count: number): boolean {
    this.#arrived += count
    return this.expected === undefined || this.#arrived <= this.expected
  }

  /** Whether as much has come as the client said. */
  get isWhole(): boolean {
    return this.expected === undefined || this.#arrived === this.expected
  }

  receive(chunk: Buffer): void {
    this.user?.received(chunk)
  }

  receiveEnd(trailers?: readonly HpackField[], overflowed: boolean = false): void {
    this.#remoteEnded = true
    this.user?.receivedAll(trailers, overflowed)
    this.#closeWhenDone()
  }

  /** So many bytes are kept until somebody reads them. */
  hold(count: number): void {
    this.#held += count
    this.#owner.held(count)
  }

  /** They have been read, or thrown away. */
  release(count: number): void {
    if (this.#closed) return
    this.#held -= count
    this.#owner.held(-count)
  }

  /** The client may send as much again. */
  consumed(count: number): void {
    this.#consumed += count
    if (this.#consumed < STREAM_WINDOW / 2 || this.#remoteEnded || this.#closed) return
    this.#credit += this.#consumed
    this.#owner.output.write(windowUpdateFrame(this.id, this.#consumed))
    this.#consumed = 0
  }

  /** The client has reset it. */
  receiveReset(): void {
    this.#close(false)
  }

  // What is sent.

  /** A field section of the answer; `ends` if nothing follows. */
  sendHead(block: string, ends: boolean, isFinal: boolean = true): void {
    if (this.#closed || this.#localEnded) return
    if (isFinal) this.#headSent = true
    const { output } = this.#owner
    output.write(headersFrames(this.id, block, ends, output.frameSize))
    if (ends) this.#endLocal()
  }

  /** A whole body that is text of one character for each byte. */
  sendWhole(content: string): void {
    if (this.#closed) return
    const { output } = this.#owner
    const { length } = content
    if (length > output.frameSize || length > this.#window || length > output.window || !output.hasRoom) {
      this.write(Buffer.from(content, 'latin1'), true)
      return
    }
    this.#window -= length
    output.dataText(this.id, content, true)
    this.#endLocal()
  }

  /**
   * Bytes of the body.
   *
   * @param ends whether they are the last, and no trailers follow
   * @param lent whether they are good only until this returns
   * @returns false if there is enough for now; `drained` is called when there is room again
   */
  write(chunk: Buffer, ends: boolean = false, lent: boolean = false): boolean {
    if (this.#closed || this.#localEnded || this.#ending !== undefined) return true
    const rest = this.#pending === 0 ? this.#sendNow(chunk, ends, lent) : chunk
    if (this.#localEnded) return true
    if (ends) this.#ending = nothing
    const { output } = this.#owner
    if (rest.length > 0) {
      this.#queue.push(lent ? Buffer.from(rest) : rest)
      this.#pending += rest.length
      if (this.#window > 0) output.lineUp(this)
      return false
    }
    if (ends) {
      this.#sendEnd()
      return true
    }
    if (output.hasRoom) return true
    output.lineUp(this)
    return false
  }

  /** @param trailers makes a field block, '' for none, when it is its turn: blocks are sent in the order in which they are made */
  end(trailers: () => string = nothing): void {
    if (this.#closed || this.#localEnded || this.#ending !== undefined) return
    this.#ending = trailers
    if (this.#pending === 0) this.#sendEnd()
  }

  /** Sends what there is room for; answers what is left. Where the socket has room for some, it gets all. */
  #sendNow(chunk: Buffer, ends: boolean, lent: boolean): Buffer {
    const { output } = this.#owner
    const { length } = chunk
    if (length === 0 || this.#window <= 0 || !output.hasRoom) return chunk
    const bytes = lent && !output.borrows ? Buffer.from(chunk) : chunk
    const several = length > output.frameSize
    if (several) output.cork()
    let at = 0
    while (at < length && this.#window > 0 && output.window > 0) {
      const size = Math.min(length - at, this.#window, output.window, output.frameSize)
      const part = size === length ? bytes : bytes.subarray(at, at + size)
      at += size
      this.#window -= size
      const last = ends && at === length
      output.data(this.id, part, last)
      if (last) this.#endLocal()
    }
    if (several) output.uncork()
    return at === 0 ? bytes : bytes.subarray(at)
  }

  sendNext(): boolean {
    const chunk = this.#queue[0]
    if (chunk === undefined) {
      if (!this.#closed && this.#ending === undefined) this.user?.drained()
      return false
    }
    if (this.#window <= 0) return false
    const { output } = this.#owner
    const size = Math.min(chunk.length, this.#window, output.window, output.frameSize)
    const part = size === chunk.length ? chunk : chunk.subarray(0, size)
    if (size === chunk.length) this.#queue.shift()
    else this.#queue[0] = chunk.subarray(size)
    this.#window -= size
    this.#pending -= size
    const last = this.#pending === 0 && this.#ending === nothing
    output.data(this.id, part, last)
    if (this.#pending > 0) return this.#window > 0
    if (last) this.#endLocal()
    else if (this.#ending !== undefined) this.#sendEnd()
    else this.user?.drained()
    return false
  }

  /** The client takes more, or with new settings less; false if that is more than a window can be. */
  widen(count: number): boolean {
    this.#window += count
    if (this.#window > LARGEST_WINDOW) return false
    if (this.#pending > 0 && this.#window > 0) this.#owner.output.lineUp(this)
    return true
  }

  #sendEnd(): void {
    const { output } = this.#owner
    const block = this.#ending?.() ?? ''
    if (block === '') output.dataText(this.id, '', true)
    else output.write(headersFrames(this.id, block, true, output.frameSize))
    this.#endLocal()
  }

  #endLocal(): void {
    this.#localEnded = true
    this.user?.sentAll()
    this.#closeWhenDone()
  }

  /** Ends it at once: what was not sent is not, and what still comes is passed over. */
  reset(code: number = CANCEL): void {
    if (this.#closed) return
    this.#owner.output.write(rstStreamFrame(this.id, code))
    this.#close(!this.#remoteEnded)
  }

  /** The session is over. */
  gone(): void {
    this.#close(false)
  }

  #closeWhenDone(): void {
    if (this.#localEnded && this.#remoteEnded) this.#close(false)
  }

  #close(resetBefore: boolean): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue = []
    this.#pending = 0
    if (this.#held > 0) this.#owner.held(-this.#held)
    this.#owner.streamClosed(this, resetBefore)
    this.user?.closed()
  }
}

function nothing(): string {
  return ''
}
