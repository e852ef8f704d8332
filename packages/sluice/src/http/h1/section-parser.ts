// Parses a start line and field lines, or field lines alone (trailers): RFC 9112, sections 2 to 5. Nothing is
// repaired. Every byte is looked at once, however the input is split, and the same bytes give the same outcome.
import { SluiceError } from '../../core/index.ts'
import { isIn, LINE, SPACE, skip, TOKEN, VALUE } from '../grammar.ts'
import { Section } from '../section.ts'
import { LastFields } from './last-fields.ts'

/** What kind of start line a section has; trailers have none. */
export type SectionKind = 'request' | 'response' | 'trailers'

export interface SectionLimits {
  /** Bytes of the whole section. */
  readonly bytes: number
  /** Bytes of the start line. */
  readonly line: number
  /** How many fields. */
  readonly fields: number
}

/** Reads the start line in `bytes` from `start` to `end`, as soon as it is complete; throws what is wrong with it. */
export type ReadStartLine = (bytes: Buffer, start: number, end: number) => void

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const COLON = 0x3a

const BEFORE = 0
const BEFORE_LF = 1
const LINE_START = 2
const START_LINE = 3
const START_LINE_LF = 4
const FIELD = 5
const NAME = 6
const BEFORE_VALUE = 7
const FIELD_VALUE = 8
const FIELD_LF = 9
const LAST_LF = 10
const DONE = 11

const NOTHING = Buffer.alloc(0)

export class SectionParser {
  readonly #limits: SectionLimits
  readonly #readStartLine: ReadStartLine | undefined
  readonly #beginning: number
  /** What a start line may have: a reason phrase may have more than a request line (RFC 9112, 3 and 4). */
  readonly #line: number
  #state: number
  /** How far it has looked, from the beginning of the section. */
  #at = 0
  #start = 0
  #valueStart = 0
  /** The bytes of a section that did not come in one piece. */
  #store: Buffer = NOTHING
  #stored = 0

  /** Name begin, name end, value begin, value end of each field, from the first one on; used again, as a list that grows leaves a trail of garbage. */
  readonly #found: number[] = []
  #count = 0
  readonly #last: LastFields | undefined
  #fieldsStart = 0
  #repeats = false

  /** @param readStartLine absent for trailers, which have none */
  constructor(limits: SectionLimits, kind: SectionKind, readStartLine?: ReadStartLine) {
    this.#limits = limits
    this.#readStartLine = readStartLine
    this.#last = kind === 'trailers' ? undefined : new LastFields()
    this.#beginning = kind === 'trailers' ? FIELD : kind === 'request' ? BEFORE : LINE_START
    this.#line = kind === 'response' ? VALUE : LINE
    this.#state = this.#beginning
  }

  /** Whether it has seen the first byte of a section that is not complete. */
  get begun(): boolean {
    return this.#at > 0
  }

  /** Where the section ended in the chunk that was read last, or else where that ended. */
  end = 0

  /**
   * Looks at the bytes of `chunk` from `from` on.
   *
   * @returns the fields of the section if it is complete, which ends at `end`; the same object if all of them are the same
   *   as in one before. Before the next section, call `reset`.
   * @throws {SluiceError} `HTTP_HEAD_TOO_LARGE`, `HTTP_TARGET_TOO_LONG`, `HTTP_FIELD_MALFORMED`,
   *   `HTTP_REQUEST_LINE_MALFORMED`, and what the reader of the start line throws
   */
  read(chunk: Buffer, from: number): Section | undefined {
    const before = this.#stored
    if (before > 0) this.#keep(chunk, from)
    const bytes = before > 0 ? this.#store : chunk
    const base = before > 0 ? 0 : from
    if (!this.#scan(bytes, base, before > 0 ? this.#stored : chunk.length)) {
      if (before === 0) this.#keep(chunk, from)
      this.end = chunk.length
      return undefined
    }
    this.end = from + this.#at - before
    const last = this.#last
    if (this.#repeats && last !== undefined) return last.fields
    const start = base + this.#fieldsStart
    const end = base + this.#at
    const fields = new Section(bytes.toString('latin1', start, end), this.#found.slice(0, this.#count))
    last?.keep(bytes, start, end, fields)
    return fields
  }

  /** The start line of the section that has just been read, as text (Latin-1); the arguments are the same. */
  startLine(chunk: Buffer, from: number): string {
    const bytes = this.#stored > 0 ? this.#store : chunk
    const base = this.#stored > 0 ? 0 : from
    return bytes.toString('latin1', base + this.#start, base + this.#fieldsStart - 2)
  }

  /** Makes it ready for the next section. */
  reset(): void {
    this.#state = this.#beginning
    this.#at = 0
    this.#start = 0
    this.#fieldsStart = 0
    this.#store = NOTHING
    this.#stored = 0
    this.#count = 0
    this.#repeats = false
  }

  /** Keeps what is not complete, doubling the store when it is full, never more than the limit. */
  #keep(chunk: Buffer, from: number): void {
    const added = Math.min(chunk.length - from, this.#limits.bytes - this.#stored)
    const total = this.#stored + added
    if (total > this.#store.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, total, Math.min(this.#limits.bytes, total * 2)))
      this.#store.copy(grown, 0, 0, this.#stored)
      this.#store = grown
    }
    chunk.copy(this.#store, this.#stored, from, from + added)
    this.#stored = total
  }

  /** Whether all the fields are those of the section that is kept. Of input that is split within them that is not found out. */
  #repeatsFrom(bytes: Buffer, at: number, end: number): boolean {
    const last = this.#last
    if (last === undefined || at + last.length > end || !last.areAt(bytes, at)) return false
    this.#at = this.#fieldsStart + last.length
    this.#state = DONE
    this.#repeats = true
    return true
  }

  #scan(bytes: Buffer, base: number, length: number): boolean {
    const limits = this.#limits
    const end = Math.min(length, base + limits.bytes)
    const found = this.#found
    let first = base + this.#fieldsStart
    let count = this.#count
    let state = this.#state
    let at = base + this.#at

    while (at < end) {
      let byte = bytes[at] as number
      switch (state) {
        case BEFORE:
          // One empty line before a request is ignored (RFC 9112, 2.2); more are not.
          state = byte === CR ? BEFORE_LF : LINE_START
          if (byte === CR) at++
          break
        case BEFORE_LF:
          if (byte !== LF) throw malformedLine(byte)
          at++
          state = LINE_START
          break
        case LINE_START:
          this.#start = at - base
          state = START_LINE
          break
        case START_LINE: {
          const lineEnd = Math.min(end, base + this.#start + limits.line + 1)
          at = skip(bytes, at, lineEnd, this.#line)
          if (at >= base + this.#start + limits.line + 1) {
            throw new SluiceError(
              'HTTP_TARGET_TOO_LONG',
              `the start line is longer than the limit of ${limits.line} bytes`,
            )
          }
          if (at === lineEnd) break
          byte = bytes[at] as number
          if (byte !== CR) throw malformedLine(byte)
          at++
          state = START_LINE_LF
          break
        }
        case START_LINE_LF:
          if (byte !== LF) throw malformedLine(byte)
          this.#readStartLine?.(bytes, base + this.#start, at - 1)
          at++
          state = FIELD
          first = at
          this.#fieldsStart = at - base
          if (this.#repeatsFrom(bytes, at, end)) return true
          break
        case FIELD:
          if (byte === CR) {
            at++
            state = LAST_LF
            break
          }
          if (count >= limits.fields * 4) {
            throw new SluiceError('HTTP_HEAD_TOO_LARGE', `there are more than ${limits.fields} fields`)
          }
          if (!isIn(byte, TOKEN)) throw malformedField(byte)
          found[count++] = at - first
          state = NAME
          break
        case NAME:
          at = skip(bytes, at, end, TOKEN)
          if (at === end) break
          byte = bytes[at] as number
          if (byte !== COLON) throw malformedField(byte)
          found[count++] = at - first
          at++
          state = BEFORE_VALUE
          break
        case BEFORE_VALUE:
          at = skip(bytes, at, end, SPACE)
          if (at === end) break
          this.#valueStart = at - base
          state = FIELD_VALUE
          break
        case FIELD_VALUE: {
          at = skip(bytes, at, end, VALUE)
          if (at === end) break
          byte = bytes[at] as number
          if (byte !== CR) throw malformedField(byte)
          const start = base + this.#valueStart
          let last = at
          while (last > start && isIn(bytes[last - 1] as number, SPACE)) last--
          found[count++] = start - first
          found[count++] = last - first
          at++
          state = FIELD_LF
          break
        }
        case FIELD_LF:
          if (byte !== LF) throw malformedField(CR)
          at++
          state = FIELD
          break
        default:
          if (byte !== LF) throw malformedField(CR)
          this.#at = at + 1 - base
          this.#count = count
          this.#state = DONE
          return true
      }
    }

    this.#state = state
    this.#count = count
    this.#at = at - base
    if (this.#at >= limits.bytes) {
      throw new SluiceError(
        'HTTP_HEAD_TOO_LARGE',
        `the head is longer than the limit of ${limits.bytes} bytes`,
      )
    }
    return false
  }
}

function malformedLine(byte: number): SluiceError {
  return new SluiceError(
    'HTTP_REQUEST_LINE_MALFORMED',
    `the start line has ${nameOf(byte)} where it may not have it`,
  )
}

function malformedField(byte: number): SluiceError {
  return new SluiceError('HTTP_FIELD_MALFORMED', `a field line has ${nameOf(byte)} where it may not have it`)
}

function nameOf(byte: number): string {
  if (byte === CR) return 'a bare CR'
  if (byte === LF) return 'a bare LF'
  if (byte === SP) return 'a space'
  if (byte === HT) return 'a tab'
  return `byte 0x${byte.toString(16).padStart(2, '0')}`
}
