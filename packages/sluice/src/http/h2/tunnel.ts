// An HTTP/2 stream as the byte stream of a tunnel (RFC 8441, section 5; RFC 9113, section 8.5).
import { Duplex } from 'node:stream'
import { SluiceError } from '../../core/index.ts'
import type { Stream } from '../../net/index.ts'
import type { WaitingChunks } from '../waiting-chunks.ts'
import type { Http2Stream } from './stream.ts'
import type { Traffic } from './traffic.ts'
import { CANCEL, PROTOCOL_ERROR } from './wire/frames.ts'

/**
 * Makes a tunnel of a stream whose answer has been sent. A stream that is reset, or whose session is gone, is no orderly
 * end: the tunnel fails.
 */
export class Http2Tunnel implements Stream {
  readonly socket: Duplex
  readonly #stream: Http2Stream
  readonly #traffic: Traffic
  /**
   * What came and the Duplex has not asked for. Not left to the Duplex, which keeps as many objects as there are frames: 9 MB
   * in frames of 3 bytes were 400 MB.
   */
  readonly #waiting: WaitingChunks
  /** The Duplex has asked, and nothing waits. */
  #wanted = false
  #onDrained: (() => void) | undefined
  #ended = false

  /** @param early what the client sent ahead */
  constructor(stream: Http2Stream, early: WaitingChunks, traffic: Traffic) {
    this.#stream = stream
    this.#waiting = early
    this.#traffic = traffic
    this.socket = new Duplex({
      readableHighWaterMark: 1,
      read: () => this.#hand(),
      write: (chunk: Buffer, _encoding, done) => this.#write(chunk, done),
      final: done => {
        stream.end()
        done()
      },
      destroy: (error, done) => {
        // In order it is closed already.
        stream.reset(CANCEL)
        done(error)
      },
    })
    // Who uses it learns of an error by itself, or need not know.
    this.socket.on('error', () => undefined)
    if (stream.remoteEnded) this.receivedAll(false)
  }

  /** Closes at once, with a reset. */
  reset(): void {
    this.#stream.reset(CANCEL)
    this.socket.destroy()
  }

  /** The client has gone. */
  abandon(): void {
    this.socket.destroy(broken())
  }

  received(chunk: Buffer): void {
    this.#stream.hold(chunk.length)
    if (this.#wanted) this.#give(chunk)
    else this.#waiting.push(chunk)
  }

  /** @param hasTrailers nothing but DATA may come here */
  receivedAll(hasTrailers: boolean): void {
    if (hasTrailers) {
      this.#traffic.reset()
      this.#stream.reset(PROTOCOL_ERROR)
      return
    }
    this.#ended = true
    if (this.#waiting.size === 0) this.socket.push(null)
  }

  drained(): void {
    const done = this.#onDrained
    this.#onDrained = undefined
    done?.()
  }

  /** The stream is closed, by both sides or before that. */
  closed(): void {
    if (!this.#ended || !this.#stream.localEnded) this.socket.destroy(broken())
  }

  #hand(): void {
    this.#wanted = true
    while (this.#wanted) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) return
      this.#give(chunk)
      if (this.#ended && this.#waiting.size === 0) {
        this.socket.push(null)
        return
      }
    }
  }

  #give(chunk: Buffer): void {
    const { length } = chunk
    this.#stream.release(length)
    this.#wanted = this.socket.push(chunk)
    this.#stream.consumed(length)
  }

  #write(chunk: Buffer, done: () => void): void {
    this.#traffic.sent(chunk.length)
    if (this.#stream.write(chunk)) done()
    else this.#onDrained = done
  }
}

function broken(): SluiceError {
  return new SluiceError('DOWNSTREAM_RESET', 'the stream was reset, or its connection is gone')
}
