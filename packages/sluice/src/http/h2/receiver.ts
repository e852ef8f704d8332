// What a client of HTTP/2 may send, and in which state of its session and streams (RFC 9113, sections 5 and 6). What breaks
// the protocol for good is thrown, and ends the session; what breaks it for one stream resets that.
import type { HttpLimits } from '../limits.ts'
import { keepable } from '../waiting-chunks.ts'
import { HpackDecoder, HpackError } from './hpack/decoder.ts'
import { HpackEncoder } from './hpack/encoder.ts'
import type { HpackField } from './hpack/field.ts'
import type { Output } from './output.ts'
import { SessionWindow } from './session-window.ts'
import { Http2Stream, type StreamOwner } from './stream.ts'
import { Streams } from './streams.ts'
import { type Traffic, WEIGHTS } from './traffic.ts'
import { type FieldBlock, FieldBlocks } from './wire/field-block.ts'
import type { FrameHandler } from './wire/frame-reader.ts'
import {
  ACK,
  COMPRESSION_ERROR,
  CONTINUATION,
  ConnectionError,
  END_STREAM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HEADERS,
  LARGEST_WINDOW,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  pingFrame,
  REFUSED_STREAM,
  RST_STREAM,
  rstStreamFrame,
  SETTINGS,
  SETTINGS_ACK,
  STREAM_CLOSED,
  WINDOW_UPDATE,
} from './wire/frames.ts'
import { FIRST_SETTINGS, readSettings } from './wire/peer-settings.ts'

/** Pseudo-header fields of a request, which come on top of the limit on fields. */
const PSEUDO_HEADERS = 5

/** DATA contradicts Content-Length (RFC 9113, 8.1.1). */
const WRONG_LENGTH = 'its body is not as long as its Content-Length says'

/** The session that is received. */
export interface ReceiverOwner {
  /** A stream was opened, with all of its fields; `overflowed` if there were more than are kept. */
  streamOpened(stream: Http2Stream, fields: readonly HpackField[], ends: boolean, overflowed: boolean): void
  streamClosed(stream: Http2Stream): void
  /** The client broke the protocol on a stream, which is reset. */
  streamBroken(stream: Http2Stream, what: string): void
  /** The client will open no more streams. */
  clientLeaves(): void
  /** The client has seen all that was sent before a PING of ours. */
  pingAnswered(): void
}

export class Receiver implements FrameHandler, StreamOwner {
  readonly output: Output
  readonly encoder: HpackEncoder = new HpackEncoder()
  readonly #owner: ReceiverOwner
  readonly #limits: HttpLimits
  readonly #traffic: Traffic
  readonly #decoder = new HpackDecoder()
  readonly #blocks: FieldBlocks
  readonly #streams = new Streams()
  #settings = FIRST_SETTINGS
  #begun = false
  readonly #window: SessionWindow
  /** The DATA frame that is under way. */
  #dataOf: Http2Stream | undefined
  #dataEnds = false

  constructor(output: Output, owner: ReceiverOwner, limits: HttpLimits, traffic: Traffic) {
    this.output = output
    this.#owner = owner
    this.#limits = limits
    this.#traffic = traffic
    // Compressed fields are shorter than plain ones; what is only a little too much is answered, with a 431.
    this.#blocks = new FieldBlocks(2 * limits.head + 16 * 1024)
    this.#window = new SessionWindow(output)
  }

  /** The stream that was opened last. */
  get last(): number {
    return this.#streams.last
  }

  /** Whether the fields of a message are under way. */
  get midFields(): boolean {
    return this.#blocks.open
  }

  /** Passes over streams that are opened from now on. */
  takeNoMore(): void {
    this.#streams.takeNoMore()
  }

  /** The session is over: so are its streams. */
  close(): void {
    for (const stream of this.#streams.all()) stream.gone()
  }

  // What streams tell.

  get isFull(): boolean {
    return this.#window.isFull
  }

  held(count: number): void {
    this.#window.hold(count)
  }

  streamClosed(stream: Http2Stream, resetBefore: boolean): void {
    this.#streams.delete(stream)
    if (resetBefore) this.#streams.wasReset(stream.id)
    this.#owner.streamClosed(stream)
  }

  // What the client sends.

  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#begun && (type !== SETTINGS || (flags & ACK) !== 0)) {
      throw new ConnectionError(PROTOCOL_ERROR, 'SETTINGS did not come first')
    }
    if (this.#blocks.open && type !== CONTINUATION) {
      throw new ConnectionError(PROTOCOL_ERROR, 'something else came among the fields of a message')
    }
    switch (type) {
      case HEADERS:
        this.#onHeaders(flags, id, bytes, start, end)
        break
      case CONTINUATION:
        this.#onBlock(this.#blocks.proceed(flags, id, bytes, start, end))
        break
      case WINDOW_UPDATE:
        this.#onWindowUpdate(id, bytes, start, end)
        break
      case RST_STREAM:
        this.#onReset(id, end - start)
        break
      case SETTINGS:
        this.#onSettings(flags, id, bytes, start, end)
        break
      case PING:
        this.#onPing(flags, id, bytes, start, end)
        break
      case PRIORITY:
        if (id === 0) throw new ConnectionError(PROTOCOL_ERROR, 'PRIORITY is on no stream')
        if (end - start !== 5)
          throw new ConnectionError(FRAME_SIZE_ERROR, `PRIORITY has ${end - start} bytes`)
        this.#traffic.noise(WEIGHTS.idle)
        break
      case GOAWAY:
        if (id !== 0) throw new ConnectionError(PROTOCOL_ERROR, 'GOAWAY is on a stream')
        if (end - start < 8) throw new ConnectionError(FRAME_SIZE_ERROR, `GOAWAY has ${end - start} bytes`)
        this.#owner.clientLeaves()
        break
      case PUSH_PROMISE:
        throw new ConnectionError(PROTOCOL_ERROR, 'a client can push nothing')
      default:
        // Passed over (RFC 9113, 4.1).
        this.#traffic.noise(WEIGHTS.idle)
    }
  }

  dataBegins(id: number, flags: number, length: number, padding: number): void {
    if (this.#blocks.open || !this.#begun) {
      throw new ConnectionError(PROTOCOL_ERROR, 'DATA came where it must not')
    }
    this.#window.arrive(length)
    this.#dataOf = undefined
    const content = length - padding
    const ends = (flags & END_STREAM) !== 0
    if (content === 0 && !ends) this.#traffic.noise(WEIGHTS.empty)
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      this.#streams.checkPassedOver(id, 'DATA')
      return
    }
    if (stream.remoteEnded) {
      this.#resetStream(stream, STREAM_CLOSED, 'DATA came behind its end')
    } else if (!stream.takes(length)) {
      this.#resetStream(stream, FLOW_CONTROL_ERROR, 'it got more DATA than it has room for')
    } else if (!stream.arrives(content) || (ends && !stream.isWhole)) {
      this.#resetStream(stream, PROTOCOL_ERROR, WRONG_LENGTH)
    } else {
      this.#dataOf = stream
      this.#dataEnds = ends
      if (padding > 0) stream.consumed(padding)
    }
  }

  data(chunk: Buffer): void {
    const stream = this.#dataOf
    if (stream === undefined || stream.closed) return
    this.#traffic.received(chunk.length)
    stream.receive(keepable(chunk))
  }

  dataEnds(): void {
    const stream = this.#dataOf
    this.#dataOf = undefined
    if (stream !== undefined && this.#dataEnds && !stream.closed) stream.receiveEnd()
  }

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if ((id & 1) === 0) throw new ConnectionError(PROTOCOL_ERROR, `a client can't open stream ${id}`)
    const stream = this.#streams.get(id)
    if (stream?.remoteEnded === true) {
      throw new ConnectionError(STREAM_CLOSED, `fields came behind the end of stream ${id}`)
    }
    if (stream === undefined && id <= this.#streams.last) this.#streams.checkPassedOver(id, 'HEADERS')
    this.#onBlock(this.#blocks.begin(flags, id, bytes, start, end))
  }

  #onBlock(block: FieldBlock | undefined): void {
    if (block === undefined) return
    const fields = this.#decode(block)
    const stream = this.#streams.get(block.stream)
    if (stream !== undefined) {
      this.#onTrailers(stream, fields, block.ends)
      return
    }
    // Read, so that the table stays right, and then passed over.
    if (this.#streams.isNew(block.stream)) this.#open(block, fields)
  }

  #decode({ bytes, start, end }: FieldBlock): readonly HpackField[] {
    const { head, fields } = this.#limits
    try {
      // By 32 bytes a field more than the limit counts; twice as many fields, as crumbs of a cookie become one.
      return this.#decoder.decode(bytes, start, end, head + 64 * fields, 2 * fields + PSEUDO_HEADERS)
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw new ConnectionError(COMPRESSION_ERROR, error.message)
    }
  }

  #open({ stream: id, ends }: FieldBlock, fields: readonly HpackField[]): void {
    this.#streams.count(id)
    if (this.#streams.size >= this.#limits.streams) {
      this.output.write(rstStreamFrame(id, REFUSED_STREAM))
      this.#streams.wasReset(id)
      this.#traffic.reset()
      return
    }
    const stream = new Http2Stream(id, this, this.#settings.window)
    this.#streams.add(stream)
    this.#owner.streamOpened(stream, fields, ends, this.#decoder.overflowed)
    if (!ends || stream.closed) return
    if (stream.isWhole) stream.receiveEnd()
    else this.#resetStream(stream, PROTOCOL_ERROR, WRONG_LENGTH)
  }

  #onTrailers(stream: Http2Stream, fields: readonly HpackField[], ends: boolean): void {
    if (!ends) this.#resetStream(stream, PROTOCOL_ERROR, 'its trailers do not end it')
    else if (!stream.isWhole) this.#resetStream(stream, PROTOCOL_ERROR, WRONG_LENGTH)
    else stream.receiveEnd(fields, this.#decoder.overflowed)
  }

  #onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4)
      throw new ConnectionError(FRAME_SIZE_ERROR, `WINDOW_UPDATE has ${end - start} bytes`)
    const increment = bytes.readUInt32BE(start) & LARGEST_WINDOW
    if (id !== 0) {
      const stream = this.#streams.get(id)
      if (stream === undefined) this.#streams.checkOpened(id, 'WINDOW_UPDATE')
      else if (increment === 0) this.#resetStream(stream, PROTOCOL_ERROR, 'its window is opened by nothing')
      else if (!stream.widen(increment))
        this.#resetStream(stream, FLOW_CONTROL_ERROR, 'its window is too large')
      return
    }
    if (increment === 0) throw new ConnectionError(PROTOCOL_ERROR, 'a window is opened by nothing')
    this.output.window += increment
    if (this.output.window > LARGEST_WINDOW) {
      throw new ConnectionError(FLOW_CONTROL_ERROR, 'the window of the session is too large')
    }
  }

  #onReset(id: number, length: number): void {
    if (id === 0) throw new ConnectionError(PROTOCOL_ERROR, 'RST_STREAM is on no stream')
    if (length !== 4) throw new ConnectionError(FRAME_SIZE_ERROR, `RST_STREAM has ${length} bytes`)
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      this.#streams.checkOpened(id, 'RST_STREAM')
      return
    }
    this.#traffic.reset()
    stream.receiveReset()
  }

  #onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw new ConnectionError(PROTOCOL_ERROR, 'SETTINGS are on a stream')
    if ((flags & ACK) !== 0) {
      if (end > start) throw new ConnectionError(FRAME_SIZE_ERROR, 'SETTINGS are acknowledged with settings')
      return
    }
    this.#traffic.noise(WEIGHTS.settings)
    this.#begun = true
    const before = this.#settings
    const settings = readSettings(bytes, start, end, before)
    this.#settings = settings
    this.output.frameSize = settings.frameSize
    if (settings.smallestTable !== undefined) this.encoder.tableLimit = settings.smallestTable
    if (settings.tableSize !== undefined) this.encoder.tableLimit = settings.tableSize
    const wider = settings.window - before.window
    if (wider !== 0) {
      for (const stream of this.#streams.all()) {
        if (!stream.widen(wider)) throw new ConnectionError(FLOW_CONTROL_ERROR, 'a window is too large')
      }
    }
    this.output.write(SETTINGS_ACK)
  }

  #onPing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw new ConnectionError(PROTOCOL_ERROR, 'PING is on a stream')
    if (end - start !== 8) throw new ConnectionError(FRAME_SIZE_ERROR, `PING has ${end - start} bytes`)
    if ((flags & ACK) !== 0) {
      this.#owner.pingAnswered()
      return
    }
    this.output.write(pingFrame(bytes.toString('latin1', start, end), ACK))
  }

  /** The client broke the protocol on a stream. To be brought to reset many is an attack (CVE-2025-8671, MadeYouReset). */
  #resetStream(stream: Http2Stream, code: number, what: string): void {
    this.#traffic.reset()
    this.#owner.streamBroken(stream, what)
    stream.reset(code)
  }
}
