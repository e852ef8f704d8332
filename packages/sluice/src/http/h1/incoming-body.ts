// The body of a message as it comes on an HTTP/1.1 connection: from the decoder to whoever reads it, or to nobody.
import { logger, SluiceError } from '../../core/index.ts'
import type { BodySink, BodySource } from '../body.ts'
import { BodyDecoder, type BodyLimits } from './body-decoder.ts'

export class IncomingBody implements BodySource {
  readonly #decoder: BodyDecoder
  /** Called when bytes are wanted that were not before. */
  readonly #onWanted: (first: boolean) => void
  #sink: BodySink | undefined
  /** Who is to be told that the body has failed. */
  #told: BodySink | undefined
  #started = false
  #paused = false
  #discarding = false
  #failure: SluiceError | undefined
  #discarded = 0
  #received = 0
  #lent = false

  /** @throws {SluiceError} `HTTP_BODY_TOO_LARGE` */
  constructor(length: number, limits: BodyLimits, onWanted: (first: boolean) => void) {
    this.#decoder = new BodyDecoder(length, limits)
    this.#onWanted = onWanted
  }

  /** Whether somebody began to read it. */
  get started(): boolean {
    return this.#started
  }

  /** Whether somebody reads it. */
  get reading(): boolean {
    return this.#sink !== undefined
  }

  /** Whether bytes can be pushed now. */
  get wanted(): boolean {
    return this.#discarding || (this.#sink !== undefined && !this.#paused)
  }

  /** Whether its end has come. */
  get done(): boolean {
    return this.#decoder.done
  }

  /** Bytes that came. */
  get received(): number {
    return this.#received
  }

  /** Bytes that were thrown away, and bytes that surely will be. */
  get waste(): number {
    return this.#discarded + this.#decoder.left
  }

  /** Never calls the sink before it returns. */
  start(sink: BodySink): void {
    if (this.#started) return
    this.#started = true
    const failure = this.#failure
    if (failure !== undefined) {
      this.#told = sink
      queueMicrotask(() => this.#tell(failure))
      return
    }
    if (!this.#discarding) this.#sink = sink
    queueMicrotask(() => {
      if (this.#sink === sink || this.#discarding) this.#onWanted(true)
    })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#sink !== undefined) this.#onWanted(false)
  }

  cancel(): void {
    this.#sink = undefined
    this.#told = undefined
    this.#started = true
    this.#onWanted(false)
  }

  /** Throws away what is still to come, unless somebody is reading it. */
  discard(): void {
    if (this.#sink !== undefined) return
    this.#discarding = true
    if (!this.#started)
      this.#failure = new SluiceError('HTTP_BODY_USED', 'the request has been answered already')
  }

  /** No more will come. */
  fail(error: SluiceError): void {
    this.#told = this.#sink
    this.#sink = undefined
    this.#discarding = false
    this.#failure = error
    this.#tell(error)
  }

  #tell(failure: SluiceError): void {
    const sink = this.#told
    this.#told = undefined
    try {
      sink?.fail(failure)
    } catch (error) {
      logger('http').error({ error }, 'the reader of a body failed when it was told of a failure')
    }
  }

  /**
   * Decodes bytes of `chunk` from `from` on.
   *
   * @param lent whether the bytes are good only until this returns
   * @returns how far it has come
   * @throws {SluiceError} what is wrong with the body
   */
  push(chunk: Buffer, from: number, lent: boolean = false): number {
    this.#lent = lent
    const end = this.#decoder.push(chunk, from, this.#data)
    if (this.#decoder.done) this.#finish()
    return end
  }

  /** The connection has ended in order: whether the body is complete with that. */
  end(): boolean {
    if (!this.#decoder.end()) return false
    this.#finish()
    return true
  }

  #finish(): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.end(this.#decoder.trailers)
  }

  readonly #data = (bytes: Buffer): boolean => {
    this.#received += bytes.length
    const sink = this.#sink
    if (sink === undefined) this.#discarded += bytes.length
    else if (!this.#lent) sink.data(bytes)
    else if (sink.borrows === true) sink.data(bytes, true)
    else sink.data(Buffer.from(bytes))
    return this.wanted
  }
}
