// Writes the body of a request to an HTTP/2 upstream as it comes, with flow control.
import type { ClientHttp2Stream } from 'node:http2'
import { logger, SluiceError } from '../../core/index.ts'
import { Body, type BodySink, type BodySource } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import type { UpstreamRequest } from '../client/upstream.ts'
import type { HeaderList } from '../headers.ts'
import { type Swept, sweep } from '../sweep.ts'
import { trailerFields } from './client-fields.ts'
import { write } from './client-stream.ts'

/** The exchange that a body is part of. */
export interface RequestBodyOwner {
  /** All of it has been written. */
  bodySent(): void
  /** It broke off. */
  bodyFailed(error: unknown): void
}

export class Http2RequestBody implements BodySink, Swept {
  readonly #body: Body
  readonly #owner: RequestBodyOwner
  readonly #timeout: number
  #stream: ClientHttp2Stream | undefined
  /** Bytes that are missing from the declared length; undefined if none was declared. */
  #left: number | undefined
  #source: BodySource | undefined
  #trailers: HeaderList | undefined
  #held = false
  #over = false
  #waiting = false
  /** Whether there may be trailers. They show only at the end, when it is too late to make room for them. */
  readonly mayHaveTrailers: boolean
  deadline: number = Number.POSITIVE_INFINITY

  /** @param timeout how long the upstream may take nothing, in milliseconds */
  constructor({ body, headers }: UpstreamRequest, timeout: number, owner: RequestBodyOwner) {
    this.#body = body
    this.#left = body.length
    this.#timeout = timeout
    this.#owner = owner
    // A body whose length is known has none as a rule, and announces those that it has.
    this.mayHaveTrailers = !body.inMemory && (body.length === undefined || headers.has('trailer'))
  }

  /** Whether it waits for the upstream to ask for it. */
  get held(): boolean {
    return this.#held
  }

  /** Whether it was held back, or something of it is still to come. */
  get sending(): boolean {
    return !this.#over
  }

  /** @param isHeld whether the upstream is asked before */
  begin(stream: ClientHttp2Stream, isHeld: boolean): void {
    this.#stream = stream
    this.#held = isHeld
    if (!isHeld) this.#send(stream)
  }

  /** Sends what was held back: it was asked for, or the upstream kept silent. */
  release(): void {
    if (!this.#held || this.#stream === undefined) return
    this.#held = false
    this.#send(this.#stream)
  }

  #send(stream: ClientHttp2Stream): void {
    const { whole, length } = this.#body
    if (whole !== undefined && (length ?? 0) <= PIECE) {
      this.#finish()
      stream.end(whole)
      return
    }
    write(stream, this.mayHaveTrailers)
    try {
      // One that is in memory can be sent again.
      this.#source = (whole === undefined ? this.#body : Body.from(whole)).pipe(this)
    } catch (error) {
      this.fail(error)
    }
  }

  data(chunk: Buffer): void {
    if (this.#over) return
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#stop('the body of the request is longer than it was said to be')
        return
      }
    }
    if (this.#stream?.write(chunk) !== false || this.#waiting) return
    this.#waiting = true
    this.#source?.pause()
    this.deadline = sweep.now + this.#timeout
    sweep.add(this)
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    if (this.#left !== undefined && this.#left > 0) {
      this.#stop(`the body of the request is ${this.#left} bytes shorter than it was said to be`)
      return
    }
    this.#finish()
    this.#trailers = trailers
    this.#stream?.end()
    this.#owner.bodySent()
  }

  fail(error: unknown): void {
    if (this.#over) return
    this.#finish()
    this.#owner.bodyFailed(error)
  }

  /** The upstream has taken nothing for too long. */
  expire(): void {
    const what = `it took nothing of the request for ${this.#timeout} ms`
    this.cancel()
    this.#owner.bodyFailed(new SluiceError('HTTP_UPSTREAM_WRITE_TIMEOUT', what))
  }

  /** The rest is not wanted. */
  cancel(): void {
    if (this.#over) return
    this.#finish()
    try {
      this.#source?.cancel()
    } catch (error) {
      logger('http').error({ error }, 'a body failed while it was cancelled')
    }
  }

  #stop(what: string): void {
    this.cancel()
    this.#owner.bodyFailed(new SluiceError('HTTP_BODY_INVALID', what))
  }

  #finish(): void {
    this.#over = true
    this.#held = false
    if (this.#waiting) sweep.delete(this)
  }

  /** The upstream has taken what was written. */
  drained(): void {
    if (!this.#waiting || this.#over) return
    this.#waiting = false
    sweep.delete(this)
    try {
      this.#source?.resume()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Everything has been written, and only the end is missing: an empty section is sent as an end without one. */
  sendTrailers(): void {
    try {
      this.#stream?.sendTrailers(trailerFields(this.#trailers))
    } catch (cause) {
      this.#owner.bodyFailed(new SluiceError('HTTP_BODY_INVALID', 'its trailers can not be sent', { cause }))
    }
  }
}
