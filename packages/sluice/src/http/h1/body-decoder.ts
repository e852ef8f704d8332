// Finds the body in the bytes after a head: by length or chunked (RFC 9112, sections 6 and 7). Pushes slices of what
// came, without copies. Nothing is repaired.
import { SluiceError } from '../../core/index.ts'
import { HeaderList } from '../headers.ts'
import { checkTrailers } from '../trailers.ts'
import { EXTENSION_END, EXTENSION_NAME_START, nextInExtension } from './chunk-extension.ts'
import { type SectionLimits, SectionParser } from './section-parser.ts'

export interface BodyLimits {
  /** Bytes of the body; Infinity for no limit. */
  readonly body: number
  /** The trailer section: bytes and fields. */
  readonly trailers: SectionLimits
}

const LF = 0x0a
const CR = 0x0d
const SEMICOLON = 0x3b

const SIZE_START = 0
const SIZE = 1
const EXTENSION = 2
const SIZE_LF = 3
const DATA = 4
const DATA_CR = 5
const DATA_LF = 6
const TRAILERS = 7
const DONE = 8

/**
 * Bytes of all chunk extensions of a body. They mean nothing to anyone, cost the peer little and the reader much
 * (CVE-2023-39326 and its kin).
 */
const EXTENSION_LIMIT = 4096

/** Digits of a chunk size: 2^53 has 14, and zeros in front must end somewhere. */
const SIZE_DIGITS = 16

/** The length of a body that comes in chunks. */
export const CHUNKED = -1
/** The length of a response's body that ends with its connection (RFC 9112, 6.3). */
export const UNTIL_CLOSE = -2

export class BodyDecoder {
  readonly #limits: BodyLimits
  #state: number
  /** What is left of the body, or of the chunk. */
  #left: number
  #total = 0
  #digits = 0
  /** Bytes of extensions so far, and where it is in one. */
  #extensions = 0
  #extension = EXTENSION_NAME_START
  #section: SectionParser | undefined
  #trailers: HeaderList | undefined

  /**
   * @param length bytes of the body, `CHUNKED`, or `UNTIL_CLOSE`
   * @throws {SluiceError} `HTTP_BODY_TOO_LARGE` if the length is over the limit already
   */
  constructor(length: number, limits: BodyLimits) {
    this.#limits = limits
    this.#state = length === CHUNKED ? SIZE_START : DATA
    this.#left = length === UNTIL_CLOSE ? Number.POSITIVE_INFINITY : Math.max(length, 0)
    this.chunked = length === CHUNKED
    if (length > limits.body) throw this.#tooLarge()
    if (length === 0) this.#state = DONE
  }

  readonly chunked: boolean

  get done(): boolean {
    return this.#state === DONE
  }

  get trailers(): HeaderList | undefined {
    return this.#trailers
  }

  /** The connection has ended: whether the body is complete with that. */
  end(): boolean {
    if (this.#left === Number.POSITIVE_INFINITY) this.#state = DONE
    return this.done
  }

  /** Bytes that are known to be still to come: all of them with a length, those of the chunk when chunked. */
  get left(): number {
    return this.#left
  }

  /**
   * Takes bytes of `chunk` from `from` on, until the body ends, the chunk ends, or `data` answers false.
   *
   * @returns how far it has come in `chunk`
   * @throws {SluiceError} `HTTP_CHUNK_MALFORMED`, `HTTP_BODY_TOO_LARGE`, `HTTP_TRAILER_FORBIDDEN`,
   *   `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`
   */
  push(chunk: Buffer, from: number, data: (bytes: Buffer) => boolean): number {
    let at = from
    while (at < chunk.length && this.#state !== DONE) {
      if (this.#state === DATA) {
        const end = Math.min(chunk.length, at + this.#left)
        const bytes = at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end)
        this.#left -= end - at
        at = end
        if (this.#left === 0) this.#state = this.chunked ? DATA_CR : DONE
        if (!data(bytes)) return at
      } else if (this.#state === TRAILERS) {
        at = this.#readTrailers(chunk, at)
      } else {
        this.#frame(chunk[at] as number)
        at++
      }
    }
    return at
  }

  /** One byte between the data: sizes, extensions, line ends. */
  #frame(byte: number): void {
    switch (this.#state) {
      case SIZE_START:
      case SIZE: {
        const digit = hexDigit(byte)
        if (digit >= 0) {
          this.#digits++
          this.#left = this.#left * 16 + digit
          if (this.#digits > SIZE_DIGITS || this.#left > Number.MAX_SAFE_INTEGER) {
            throw malformed('a chunk size is too large')
          }
          this.#state = SIZE
        } else if (this.#state === SIZE && byte === CR) {
          this.#state = SIZE_LF
        } else if (this.#state === SIZE && byte === SEMICOLON) {
          this.#state = EXTENSION
          this.#extension = EXTENSION_NAME_START
          this.#countExtension()
        } else {
          throw malformed('a chunk size is not hexadecimal')
        }
        break
      }
      case EXTENSION:
        this.#extension = nextInExtension(this.#extension, byte)
        if (this.#extension < 0) throw malformed('a chunk extension breaks the grammar')
        if (this.#extension === EXTENSION_END) this.#state = SIZE_LF
        else this.#countExtension()
        break
      case SIZE_LF:
        if (byte !== LF) throw malformed('a chunk size is ended by a bare CR')
        this.#beginChunk()
        break
      case DATA_CR:
        if (byte !== CR) throw malformed('a chunk is not followed by CR LF')
        this.#state = DATA_LF
        break
      default:
        if (byte !== LF) throw malformed('a chunk is not followed by CR LF')
        this.#state = SIZE_START
        this.#digits = 0
    }
  }

  #beginChunk(): void {
    if (this.#left === 0) {
      this.#state = TRAILERS
      return
    }
    this.#total += this.#left
    if (this.#total > this.#limits.body) throw this.#tooLarge()
    this.#state = DATA
  }

  #countExtension(): void {
    this.#extensions++
    if (this.#extensions > EXTENSION_LIMIT) throw malformed('the chunk extensions are too long')
  }

  #readTrailers(chunk: Buffer, from: number): number {
    this.#section ??= new SectionParser(this.#limits.trailers, 'trailers')
    const fields = this.#section.read(chunk, from)
    if (fields === undefined) return chunk.length
    if (fields.size > 0) {
      this.#trailers = new HeaderList(fields)
      checkTrailers(this.#trailers)
    }
    this.#state = DONE
    return this.#section.end
  }

  #tooLarge(): SluiceError {
    return new SluiceError(
      'HTTP_BODY_TOO_LARGE',
      `the body is longer than the limit of ${this.#limits.body} bytes`,
    )
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_CHUNK_MALFORMED', what)
}
