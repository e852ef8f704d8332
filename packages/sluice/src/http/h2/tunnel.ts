// An HTTP/2 stream as the byte stream of a tunnel (RFC 8441, section 5; RFC 9113, section 8.5).
import { Duplex } from 'node:stream'
import { SluiceError } from '../../core/index.ts'
import type { Stream } from '../../net/index.ts'
import type { Http2Stream } from './stream.ts'
import type { Traffic } from './traffic.ts'
import type { WaitingChunks } from './waiting-chunks.ts'
import { CANCEL, PROTOCOL_ERROR } from './wire/frames.ts'

/**
 * Makes a tunnel of a stream whose answer has been sent. A stream that is reset, or whose session is gone, is no orderly
 * end: the tunnel fails.
 */
export class Http2Tunnel implements Stream {
  readonly socket: Duplex
  readonly #stream: Http2Stream
  readonly #traffic: Traffic
  /** Bytes that wait in the Duplex, and that the client has not been given room for again. */
  #owed = 0
  #onDrained: (() => void) | undefined
  #ended = false

  /** @param early what the client sent ahead */
  constructor(stream: Http2Stream, early: WaitingChunks, traffic: Traffic) {
    this.#stream = stream
    this.#traffic = traffic
    this.socket = new Duplex({
      read: () => this.#consume(),
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
    for (let chunk = early.shift(); chunk !== undefined; chunk = early.shift()) {
      stream.release(chunk.length)
      this.received(chunk)
    }
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
    this.#owed += chunk.length
    this.#stream.hold(chunk.length)
    if (this.socket.push(chunk)) this.#consume()
  }

  /** @param hasTrailers nothing but DATA may come here */
  receivedAll(hasTrailers: boolean): void {
    if (hasTrailers) {
      this.#stream.reset(PROTOCOL_ERROR)
      return
    }
    this.#ended = true
    this.socket.push(null)
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

  #consume(): void {
    const owed = this.#owed
    if (owed === 0) return
    this.#owed = 0
    this.#stream.release(owed)
    this.#stream.consumed(owed)
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
