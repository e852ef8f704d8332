// A list of fields (headers or trailers) that keeps order and case and looks names up without regard to case
// (RFC 9110, section 5). Nothing here is an object keyed by a name that a peer chose.
import { SluiceError } from '../core/index.ts'
import { allIn, equalsIgnoringCase, TOKEN, VALUE } from './grammar.ts'

/** What fields can be made from: a list of fields, pairs, or an object that the program wrote. */
export type HeaderFields = HeaderList | Iterable<readonly [string, string]> | Readonly<Record<string, string>>

const NO_OFFSETS: readonly number[] = []

/**
 * Whether a field is left out: its name is in `text` from `start` to `end`, and it is the one at `index` of `list`.
 *
 * @param added false for fields that came from the peer as they are
 */
export type DropField = (
  text: string,
  start: number,
  end: number,
  added: boolean,
  list: HeaderList,
  index: number,
) => boolean

/**
 * Fields in their order, names in the case in which they came. A value is text of Latin-1 characters without CR, LF
 * or NUL: what could end a field can't get in.
 */
export class HeaderList implements Iterable<[name: string, value: string]> {
  /** Name, value, name, value … of the fields that were added, behind those that are slices of `#text`. */
  #list: string[] = []
  /** The text of a parsed section, and in it for each field: name begin, name end, value begin, value end. */
  #text = ''
  #offsets: readonly number[] = NO_OFFSETS

  /**
   * @throws {SluiceError} `HTTP_HEADER_INVALID`
   */
  constructor(fields?: HeaderFields) {
    if (fields instanceof HeaderList) {
      this.#list = fields.#list.slice()
      this.#text = fields.#text
      this.#offsets = fields.#offsets
    } else if (fields !== undefined) {
      const pairs = Symbol.iterator in fields ? fields : Object.entries(fields)
      for (const [name, value] of pairs as Iterable<readonly [string, string]>) this.append(name, value)
    }
  }

  /** A list over a section that the parser has proved; its strings are made when they are asked for. */
  static parsed(text: string, offsets: readonly number[]): HeaderList {
    const list = new HeaderList()
    list.#text = text
    list.#offsets = offsets
    return list
  }

  /** How many fields there are; one that was sent twice counts twice. */
  get size(): number {
    return this.#offsets.length / 4 + this.#list.length / 2
  }

  has(name: string): boolean {
    return this.#find(name.toLowerCase(), 0) >= 0
  }

  /**
   * The value of a field, `undefined` if it is not there. Several fields of one name are one list (RFC 9110, 5.3) and
   * come joined: by `; ` for Cookie, by `, ` for others. Set-Cookie is no list: use `getAll`.
   */
  get(name: string): string | undefined {
    const lower = name.toLowerCase()
    const first = this.#find(lower, 0)
    if (first < 0) return undefined
    let value = this.#value(first)
    const separator = lower === 'cookie' ? '; ' : ', '
    for (let at = this.#find(lower, first + 1); at >= 0; at = this.#find(lower, at + 1)) {
      value += separator + this.#value(at)
    }
    return value
  }

  /** Every value of a field, in order. */
  getAll(name: string): string[] {
    const lower = name.toLowerCase()
    const values: string[] = []
    for (let at = this.#find(lower, 0); at >= 0; at = this.#find(lower, at + 1)) values.push(this.#value(at))
    return values
  }

  /**
   * Adds a field at the end.
   *
   * @throws {SluiceError} `HTTP_HEADER_INVALID` if the name is no token or the value has a control character
   */
  append(name: string, value: string): this {
    checkName(name)
    this.#list.push(name, checkedValue(name, value))
    return this
  }

  /** Adds a field that needs no check: name and value are Sluice's own, or were proved by a parser. */
  appendProved(name: string, value: string): void {
    this.#list.push(name, value)
  }

  /**
   * A list without some of the fields. Those that a parser has proved stay slices of what came.
   *
   * @param drop which fields are left out
   */
  without(drop: DropField): HeaderList {
    const kept = new HeaderList()
    const offsets = this.#offsets
    const text = this.#text
    // Copied from the first field on that is left out: as a rule one is, and few come before it.
    let left: number[] | undefined
    for (let at = 0; at < offsets.length; at += 4) {
      const start = offsets[at] as number
      const end = offsets[at + 1] as number
      if (drop(text, start, end, false, this, at / 4)) left ??= offsets.slice(0, at)
      else left?.push(start, end, offsets[at + 2] as number, offsets[at + 3] as number)
    }
    kept.#text = text
    kept.#offsets = left ?? offsets
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      if (!drop(name, 0, name.length, true, this, offsets.length / 4 + at / 2))
        kept.#list.push(name, list[at + 1] as string)
    }
    return kept
  }

  /** All fields as field lines of HTTP/1.1, each with its CR LF; those that were parsed as they came. */
  toLines(): string {
    return this.linesWithout(keepAll)
  }

  /** The lines of all fields but those that are left out; `drop` is that of `without`. */
  linesWithout(drop: DropField): string {
    const offsets = this.#offsets
    const text = this.#text
    let lines = ''
    // Lines that lay side by side are copied as one.
    let start = -1
    let end = 0
    for (let at = 0; at < offsets.length; at += 4) {
      const nameStart = offsets[at] as number
      if (drop(text, nameStart, offsets[at + 1] as number, false, this, at / 4)) continue
      if (start < 0) {
        start = nameStart
      } else if (nameStart !== end + 2) {
        lines += `${text.slice(start, end)}\r\n`
        start = nameStart
      }
      end = offsets[at + 3] as number
    }
    if (start >= 0) lines += `${text.slice(start, end)}\r\n`
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      if (!drop(name, 0, name.length, true, this, offsets.length / 4 + at / 2))
        lines += `${name}: ${list[at + 1]}\r\n`
    }
    return lines
  }

  /**
   * Puts one field in place of all of this name: where the first of those was that a program has added, or at the end.
   *
   * @throws {SluiceError} `HTTP_HEADER_INVALID` if the name is no token or the value has a control character
   */
  set(name: string, value: string): this {
    checkName(name)
    const checked = checkedValue(name, value)
    const lower = name.toLowerCase()
    this.#removeParsed(lower)
    const list = this.#list
    const first = this.#find(lower, this.#offsets.length / 4)
    if (first < 0) {
      list.push(name, checked)
    } else {
      const at = first * 2 - this.#offsets.length / 2
      list[at] = name
      list[at + 1] = checked
      this.#removeAdded(lower, at + 2)
    }
    return this
  }

  /** Removes every field of this name; says whether there was one. */
  delete(name: string): boolean {
    const lower = name.toLowerCase()
    if (this.#find(lower, 0) < 0) return false
    this.#removeParsed(lower)
    this.#removeAdded(lower, 0)
    return true
  }

  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (let at = 0; at < this.size; at++) yield [this.nameAt(at), this.#value(at)]
  }

  /** The name of the field at a position, as it was written. */
  nameAt(index: number): string {
    const at = index * 4
    const parsed = this.#offsets
    if (at >= parsed.length) return this.#list[index * 2 - parsed.length / 2] as string
    return this.#text.slice(parsed[at], parsed[at + 1])
  }

  /** The value of the field at a position. */
  valueAt(index: number): string {
    return this.#value(index)
  }

  #value(index: number): string {
    const at = index * 4
    const parsed = this.#offsets
    if (at >= parsed.length) return this.#list[index * 2 - parsed.length / 2 + 1] as string
    return this.#text.slice(parsed[at + 2], parsed[at + 3])
  }

  #find(lower: string, from: number): number {
    const offsets = this.#offsets
    for (let at = from * 4; at < offsets.length; at += 4) {
      if (equalsIgnoringCase(this.#text, offsets[at] as number, offsets[at + 1] as number, lower))
        return at / 4
    }
    const parsed = offsets.length / 4
    for (let at = Math.max(0, from - parsed) * 2; at < this.#list.length; at += 2) {
      const name = this.#list[at] as string
      if (equalsIgnoringCase(name, 0, name.length, lower)) return parsed + at / 2
    }
    return -1
  }

  #removeParsed(lower: string): void {
    const offsets = this.#offsets
    const kept: number[] = []
    for (let at = 0; at < offsets.length; at += 4) {
      const start = offsets[at] as number
      const end = offsets[at + 1] as number
      if (equalsIgnoringCase(this.#text, start, end, lower)) continue
      kept.push(start, end, offsets[at + 2] as number, offsets[at + 3] as number)
    }
    if (kept.length < offsets.length) this.#offsets = kept
  }

  #removeAdded(lower: string, from: number): void {
    const list = this.#list
    let kept = from
    for (let at = from; at < list.length; at += 2) {
      const name = list[at] as string
      if (equalsIgnoringCase(name, 0, name.length, lower)) continue
      list[kept] = name
      list[kept + 1] = list[at + 1] as string
      kept += 2
    }
    list.length = kept
  }
}

const OUTER_SPACE = /^[ \t]|[ \t]$/

function checkName(name: string): void {
  if (typeof name !== 'string' || name.length === 0 || !allIn(name, TOKEN)) {
    throw new SluiceError(
      'HTTP_HEADER_INVALID',
      `${JSON.stringify(name)} is no field name; use letters, digits and -`,
    )
  }
}

function checkedValue(name: string, value: string): string {
  if (typeof value !== 'string' || !allIn(value, VALUE)) {
    throw new SluiceError(
      'HTTP_HEADER_INVALID',
      `the value of ${name} has a character that a field can't carry (control characters, or beyond Latin-1); encode or remove it`,
    )
  }
  // Not `trim`, which takes obs-text (a no-break space) away as well.
  return OUTER_SPACE.test(value) ? value.replace(/^[ \t]+|[ \t]+$/g, '') : value
}

function keepAll(): boolean {
  return false
}
