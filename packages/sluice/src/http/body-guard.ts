// A body with somebody in its way who sees what passes, and can cut it.
import { logger, type SluiceError } from '../core/index.ts'
import { Body, type BodySink, type BodySource } from './body.ts'
import type { HeaderList } from './headers.ts'

/** What is done while a body passes. */
export interface Guard {
  /** So many bytes are about to pass; an error keeps them back and cuts the body. */
  pass?(count: number): SluiceError | undefined
  /** The body has ended or broken off, or nobody wants the rest of it. Called once. */
  over?(): void
}

export interface GuardedBody {
  /** Stands for the body that is guarded. */
  readonly body: Body
  /** Whether somebody began to read it, and it is not over. */
  readonly reading: boolean
  /** Nothing more passes. Whoever reads it is told why, and where it comes from that the rest is not wanted. */
  cut(error: SluiceError): void
}

/** Stands in the way of a body, which must not be in use. */
export function guardBody(body: Body, guard: Guard): GuardedBody {
  return new Passage(body, guard)
}

class Passage implements BodySource, BodySink, GuardedBody {
  readonly body: Body
  readonly #from: Body
  readonly #guard: Guard
  #source: BodySource | undefined
  #sink: BodySink | undefined
  #failure: SluiceError | undefined
  #over = false

  constructor(from: Body, guard: Guard) {
    this.#from = from
    this.#guard = guard
    this.body = Body.of(this, from.length)
  }

  get borrows(): boolean {
    return this.#sink?.borrows === true
  }

  get reading(): boolean {
    return this.#sink !== undefined && !this.#over
  }

  cut(error: SluiceError): void {
    if (this.#over) return
    this.#failure = error
    // Whoever cuts, a timer for one, has nothing to do with what goes wrong in the reader or the source.
    try {
      this.cancel()
    } catch (fault) {
      logger('http').error({ error: fault }, 'a body failed while it was cut')
    }
    this.#tell(error)
  }

  #tell(failure: SluiceError): void {
    try {
      this.#sink?.fail(failure)
    } catch (fault) {
      logger('http').error({ error: fault }, 'the reader of a body failed when it was told of a failure')
    }
  }

  start(sink: BodySink): void {
    const failure = this.#failure
    if (failure !== undefined) {
      this.#sink = sink
      queueMicrotask(() => this.#tell(failure))
      return
    }
    this.#sink = sink
    this.#source = this.#from.pipe(this)
  }

  pause(): void {
    if (!this.#over) this.#source?.pause()
  }

  resume(): void {
    if (!this.#over) this.#source?.resume()
  }

  cancel(): void {
    if (this.#over) {
      // It may not have been told of a failure yet.
      this.#sink = undefined
      return
    }
    this.#end()
    if (this.#source === undefined) this.#from.discard()
    else this.#source.cancel()
  }

  data(chunk: Buffer, lent?: boolean): void {
    if (this.#over) return
    const error = this.#guard.pass?.(chunk.length)
    if (error === undefined) this.#sink?.data(chunk, lent)
    else this.cut(error)
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    this.#end()
    this.#sink?.end(trailers)
  }

  fail(error: unknown): void {
    if (this.#over) return
    this.#end()
    this.#sink?.fail(error)
  }

  #end(): void {
    this.#over = true
    this.#guard.over?.()
  }
}
