// The body of an HTTP/2 request: from the stream to whoever reads it.
import { logger, SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import { CALL_TIMEOUT, type HttpLimits } from '../limits.ts'
import { bodyDeadline, sweep } from '../sweep.ts'
import { WaitingChunks } from '../waiting-chunks.ts'
import type { Http2Stream } from './stream.ts'

/** Bytes of a body that nobody wants that are thrown away before its stream is closed. */
const WASTE_LIMIT = 256 * 1024

/** The exchange that a body is part of. */
export interface IncomingOwner {
  /** Tells the client to send the body. */
  sendContinue(): void
}

export class Http2IncomingBody implements BodySource {
  readonly #stream: Http2Stream
  readonly #limits: HttpLimits
  readonly #owner: IncomingOwner
  #sink: BodySink | undefined
  readonly #waiting = new WaitingChunks()
  #trailers: HeaderList | undefined
  /** Whether all has come, though some of it may still wait here. */
  #complete = false
  #received = 0
  #waste = 0
  #onTooMuch: (() => void) | undefined
  #over = false
  #failure: SluiceError | undefined
  #started = false
  #paused = false
  /** Whether the reader will be given what waits. */
  #scheduled = false
  /** Whether the client waits for `100 Continue` before it sends the body. */
  expectsContinue = false
  /** Whether the answer has been written. */
  answered = false
  /** Called when nobody reads it any more: its end has come, or it failed, or its reader has had enough. */
  whenLeft: (() => void) | undefined
  /** When something of it came last, by the time of the sweep. */
  #heardAt = 0
  /** When `expire` is to be called, by the time of the sweep. */
  deadline: number = Number.POSITIVE_INFINITY

  constructor(stream: Http2Stream, limits: HttpLimits, owner: IncomingOwner) {
    this.#stream = stream
    this.#limits = limits
    this.#owner = owner
  }

  /** Whether all of it has come, or it broke off. */
  get over(): boolean {
    return this.#over || this.#complete
  }

  /** Whether its end has been read. */
  get ended(): boolean {
    return this.#over && this.#failure === undefined
  }

  /** Bytes that came, and that somebody has looked at. */
  get received(): number {
    return this.#received
  }

  /** Why it broke off. */
  get failure(): SluiceError | undefined {
    return this.#failure
  }

  /** Whether somebody began to read it. */
  get started(): boolean {
    return this.#started
  }

  /** Whether somebody reads it. */
  get reading(): boolean {
    return this.#sink !== undefined
  }

  start(sink: BodySink): void {
    if (this.#started) return
    this.#started = true
    this.#sink = sink
    if (this.#over) {
      queueMicrotask(() => this.#tell(this.#failure ?? incomplete()))
      return
    }
    this.#heardAt = sweep.now
    this.sendContinue()
    this.deadline = sweep.now + this.#limits.bodyTimeout
    if (this.#waiting.size > 0 || this.#complete) this.#schedule()
  }

  /** Tells a client that waits for it to send the body. */
  sendContinue(): void {
    if (!this.expectsContinue) return
    this.expectsContinue = false
    this.#owner.sendContinue()
  }

  pause(): void {
    this.#paused = true
    this.deadline = Number.POSITIVE_INFINITY
  }

  resume(): void {
    if (this.#sink === undefined || !this.#paused) return
    this.#paused = false
    this.deadline = sweep.now + this.#limits.bodyTimeout
    if (this.#waiting.size > 0 || this.#complete) this.#schedule()
  }

  cancel(): void {
    this.#started = true
    this.#leave()
  }

  #leave(): void {
    this.#sink = undefined
    this.deadline = Number.POSITIVE_INFINITY
    this.whenLeft?.()
  }

  /** What has come and what comes from here on is no body: it is taken by whoever asks. */
  leave(): WaitingChunks {
    this.#over = true
    this.#started = true
    return this.#waiting
  }

  /** Throws away what is still to come; says when it becomes too much. */
  discard(onTooMuch: () => void): void {
    this.#started = true
    this.#onTooMuch = onTooMuch
    const count = this.#drop()
    if (count > 0) this.#throwAway(count)
  }

  expire(): void {
    if (this.#stream.heldBack) {
      this.deadline = sweep.now + this.#limits.bodyTimeout
      return
    }
    // Both sides stream, as in calls of gRPC: a client that is silent may just have nothing to say.
    if (this.#stream.headSent && !this.answered && sweep.now - this.#heardAt < CALL_TIMEOUT) {
      this.deadline = sweep.now + this.#limits.bodyTimeout
      return
    }
    this.fail(new SluiceError('HTTP_BODY_TIMEOUT', 'the body of the request came too slowly'))
  }

  /** No more will come, or what came can't be taken. */
  fail(error: SluiceError = incomplete()): void {
    if (this.#over) return
    this.#over = true
    this.#failure = error
    this.#drop()
    this.#tell(error)
  }

  /** Tells the reader, if there still is one. */
  #tell(error: SluiceError): void {
    const sink = this.#sink
    this.#leave()
    try {
      sink?.fail(error)
    } catch (cause) {
      logger('http').error({ error: cause }, 'the reader of a body failed when it was told of a failure')
    }
  }

  /** Bytes came. */
  push(chunk: Buffer): void {
    if (this.#onTooMuch !== undefined) {
      this.#throwAway(chunk.length)
      return
    }
    if (this.#over) return
    const { length } = chunk
    this.#heardAt = sweep.now
    if (this.deadline !== Number.POSITIVE_INFINITY) {
      this.deadline = bodyDeadline(this.deadline, length, this.#limits.bodyTimeout)
    }
    if (this.#sink !== undefined && !this.#paused && !this.#scheduled) {
      this.#give(chunk)
      this.#stream.consumed(length)
      return
    }
    this.#stream.hold(length)
    this.#waiting.push(chunk)
  }

  /** All has come. */
  finish(trailers: HeaderList | undefined): void {
    if (this.#over) return
    this.#trailers = trailers
    this.#complete = true
    if (this.#sink !== undefined && !this.#paused && !this.#scheduled) this.#end()
  }

  #throwAway(count: number): void {
    this.#received += count
    this.#stream.consumed(count)
    this.#waste += count
    if (this.#waste > WASTE_LIMIT) this.#onTooMuch?.()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    while (this.#sink !== undefined && !this.#paused) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) break
      this.#stream.release(chunk.length)
      this.#give(chunk)
      this.#stream.consumed(chunk.length)
    }
    if (this.#complete && this.#sink !== undefined && !this.#paused) this.#end()
  }

  #give(chunk: Buffer): void {
    this.#received += chunk.length
    const limit = this.#limits.body
    if (this.#received > limit) {
      this.fail(new SluiceError('HTTP_BODY_TOO_LARGE', `the body is longer than the limit of ${limit} bytes`))
      return
    }
    try {
      this.#sink?.data(chunk)
    } catch (cause) {
      this.fail(new SluiceError('INTERNAL', 'the reader of a body failed', { cause }))
    }
  }

  /** Lets go of what waits to be read; says how much that was. */
  #drop(): number {
    const { size } = this.#waiting
    this.#waiting.clear()
    if (size > 0) this.#stream.release(size)
    return size
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    const sink = this.#sink
    this.#leave()
    try {
      sink?.end(this.#trailers)
    } catch (error) {
      logger('http').error({ error }, 'the reader of a body failed at its end')
    }
  }
}

function incomplete(): SluiceError {
  return new SluiceError('HTTP_BODY_INCOMPLETE', 'the client ended the stream before the body was complete')
}
