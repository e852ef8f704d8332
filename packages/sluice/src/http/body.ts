// The body of a message: bytes that can be read once, pushed from a source to a sink with pause and resume.
import { type Size, SluiceError, bytes as toBytes } from '../core/index.ts'
import { chunksOf, piecesOf, sourceOf, streamOf } from './body-streams.ts'
import type { HeaderList } from './headers.ts'
import { WaitingChunks } from './waiting-chunks.ts'

/** Takes a body as it comes. After `end` or `fail` nothing more is called. */
export interface BodySink {
  /** Whether it takes bytes that are only lent. */
  readonly borrows?: boolean
  /**
   * The next bytes. They stay valid, nobody writes over them, unless they are lent: then they are good only until this
   * returns, because the source reads into the same memory again.
   */
  data(chunk: Buffer, lent?: boolean): void
  /** All bytes have come. */
  end(trailers?: HeaderList): void
  /** No more will come, and what came is not all. */
  fail(error: unknown): void
}

/** Where a body comes from. It pushes into one sink. */
export interface BodySource {
  /** Begins, once. The sink is not called before this has returned. */
  start(sink: BodySink): void
  /** Asks it to hold back; a chunk or two may still come. */
  pause(): void
  resume(): void
  /** The rest is not wanted: no call to the sink after this. */
  cancel(): void
}

export interface BodyReadOptions {
  /**
   * More bytes than this are not kept in memory.
   * @default '1mb'
   */
  readonly limit?: Size
}

/** What a body can be made from. */
export type BodyContent = string | Uint8Array | AsyncIterable<Uint8Array> | null | undefined

/**
 * The body of a request or a response. It is read once: as bytes, text or JSON, chunk by chunk, or by handing the
 * message on. A body that is empty may be read again and again.
 */
export class Body implements AsyncIterable<Buffer> {
  /** The body of a message without one. */
  static readonly empty: Body = new Body(0, '')

  /** How many bytes it has; undefined if that is not known before its end. */
  readonly length: number | undefined
  /** All of it, where it is in memory already. */
  readonly #whole: string | Buffer | undefined
  readonly #source: BodySource | undefined
  /** How `#whole` is bytes, where it is text. */
  readonly #encoding: 'utf8' | 'latin1'
  #used = false
  #trailers: HeaderList | undefined

  private constructor(
    length: number | undefined,
    whole: string | Buffer | undefined,
    source?: BodySource,
    encoding: 'utf8' | 'latin1' = 'utf8',
  ) {
    this.length = length
    this.#whole = whole
    this.#source = source
    this.#encoding = encoding
  }

  /** A body from text (as UTF-8), bytes, or chunks that are still to come. */
  static from(content: BodyContent): Body {
    if (content === null || content === undefined || content === '') return Body.empty
    if (typeof content === 'string') return new Body(Buffer.byteLength(content), content)
    if (content instanceof Uint8Array) {
      return new Body(
        content.length,
        Buffer.isBuffer(content) ? content : Buffer.from(content.buffer, content.byteOffset, content.length),
      )
    }
    return new Body(undefined, undefined, sourceOf(content))
  }

  /**
   * A body of bytes that are written one character each. A small one costs less so, as it goes out in one string with the
   * head: a buffer for it, and one more for both, were a tenth of all memory that a proxied request used.
   */
  static latin1(text: string): Body {
    return new Body(text.length, text, undefined, 'latin1')
  }

  /** A body that is pushed; `length` if it is known ahead. */
  static of(source: BodySource, length?: number): Body {
    return new Body(length, undefined, source)
  }

  /** Whether all of it is here, and nothing is still to come. */
  get inMemory(): boolean {
    return this.#source === undefined
  }

  /** All of it where it is in memory already, without taking it: it may be needed again. */
  get whole(): string | Buffer | undefined {
    const whole = this.#whole
    return this.#encoding === 'latin1' && typeof whole === 'string' ? Buffer.from(whole, 'latin1') : whole
  }

  /** All of it with one character for each byte, without taking it, where it is in memory as such text. */
  get latin1(): string | undefined {
    const whole = this.#whole
    // UTF-8 with as many bytes as characters is ASCII.
    return typeof whole === 'string' && (this.#encoding === 'latin1' || whole.length === this.length)
      ? whole
      : undefined
  }

  /** Whether somebody reads it, or has read it. */
  get used(): boolean {
    return this.#used
  }

  /** The trailer fields, once the end has come, if there were any. */
  get trailers(): HeaderList | undefined {
    return this.#trailers
  }

  /**
   * All of it at once where it is in memory already (text that was given as text stays text), undefined where it is still to come.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`
   */
  takeWhole(): string | Buffer | undefined {
    if (this.#whole === undefined) return undefined
    this.#take()
    return this.whole
  }

  /**
   * Pushes it into a sink.
   *
   * @returns what pauses, resumes and cancels it
   * @throws {SluiceError} `HTTP_BODY_USED`
   */
  pipe(sink: BodySink): BodySource {
    this.#take()
    return this.#start(sink)
  }

  /**
   * Says that it was read where it lies, by way of `latin1` or `whole`.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`
   */
  markUsed(): void {
    this.#take()
  }

  /** Says that nobody will read it. Nothing happens to a body that is being read. */
  discard(): void {
    if (this.#used || this.#source === undefined) return
    this.#used = true
    this.#source.cancel()
  }

  /**
   * All bytes.
   *
   * @throws {SluiceError} `HTTP_BODY_TOO_LARGE` past the limit, `HTTP_BODY_USED`, or why the body broke off
   */
  async bytes(options: BodyReadOptions = {}): Promise<Buffer> {
    const limit = toBytes(options.limit ?? '1mb')
    if (this.length !== undefined && this.length > limit) {
      this.discard()
      throw tooLarge(limit)
    }
    const whole = this.takeWhole()
    if (whole !== undefined) return bufferOf(whole)
    this.#take()
    return await new Promise((resolve, reject) => {
      const chunks = new WaitingChunks()
      const source = this.#startKeepingTrailers({
        data: chunk => {
          chunks.push(chunk)
          if (chunks.size <= limit) return
          chunks.clear()
          source.cancel()
          reject(tooLarge(limit))
        },
        end: () => resolve(chunks.whole()),
        fail: reject,
      })
    })
  }

  /**
   * All of it as text (UTF-8).
   *
   * @throws {SluiceError} as `bytes`
   */
  async text(options?: BodyReadOptions): Promise<string> {
    return (await this.bytes(options)).toString('utf8')
  }

  /**
   * All of it as JSON.
   *
   * @throws {SluiceError} `HTTP_BODY_NOT_JSON`, and as `bytes`
   */
  async json(options?: BodyReadOptions): Promise<unknown> {
    const text = await this.text(options)
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new SluiceError('HTTP_BODY_NOT_JSON', 'the body is not JSON', { cause })
    }
  }

  /**
   * Chunk by chunk; leaving the loop early cancels the rest.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`, or why the body broke off
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    this.#take()
    return chunksOf(sink => this.#startKeepingTrailers(sink))
  }

  /**
   * As a web stream, for adapters. Nothing is read before the stream is.
   *
   * @throws {SluiceError} `HTTP_BODY_USED`
   */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#take()
    return streamOf(sink => this.#startKeepingTrailers(sink))
  }

  #start(sink: BodySink): BodySource {
    const source = this.#source ?? sourceOf(piecesOf(bufferOf(this.whole ?? '')))
    source.start(sink)
    return source
  }

  #startKeepingTrailers(sink: BodySink): BodySource {
    return this.#start({
      data: chunk => sink.data(chunk),
      end: trailers => {
        this.#trailers = trailers
        sink.end(trailers)
      },
      fail: error => sink.fail(error),
    })
  }

  #take(): void {
    if (this.#used && this.length !== 0) {
      throw new SluiceError(
        'HTTP_BODY_USED',
        'the body has been read already; it can be read once, so keep what was read',
      )
    }
    this.#used = true
  }
}

function bufferOf(whole: string | Buffer): Buffer {
  return typeof whole === 'string' ? Buffer.from(whole) : whole
}

function tooLarge(limit: number): SluiceError {
  return new SluiceError('HTTP_BODY_TOO_LARGE', `the body is longer than the limit of ${limit} bytes`)
}
