// A list of fields (headers or trailers) that keeps order and case and looks names up without regard to case
// (RFC 9110, section 5). Nothing here is an object keyed by a name that a peer chose.
import { SluiceError } from '../core/index.ts'
import { allIn, equalsIgnoringCase, TOKEN, VALUE } from './grammar.ts'
import { NO_FIELDS, Section } from './section.ts'

/** What fields can be made from: a list of fields, pairs, or an object that the program wrote. */
export type HeaderFields = HeaderList | Iterable<readonly [string, string]> | Readonly<Record<string, string>>

const NOTHING: string[] = []

/**
 * Fields in their order, names in the case in which they came. A value is text of Latin-1 characters without CR, LF
 * or NUL: what could end a field can't get in.
 */
export class HeaderList implements Iterable<[name: string, value: string]> {
  /** What a parser has proved and nobody has removed. */
  #section: Section
  /** Name, value, name, value … of the fields that were added, behind those of the section. */
  #added: string[]

  /**
   * @throws {SluiceError} `HTTP_HEADER_INVALID`
   */
  constructor(fields?: HeaderFields | Section) {
    this.#section = NO_FIELDS
    this.#added = NOTHING
    if (fields === undefined) return
    if (fields instanceof Section) {
      this.#section = fields
    } else if (fields instanceof HeaderList) {
      this.#section = fields.#section
      if (fields.#added.length > 0) this.#added = fields.#added.slice()
    } else {
      const pairs = Symbol.iterator in fields ? fields : Object.entries(fields)
      for (const [name, value] of pairs as Iterable<readonly [string, string]>) this.append(name, value)
    }
  }

  /** Those of the fields that a parser has proved; another object once one of them has been removed. */
  get section(): Section {
    return this.#section
  }

  /** Name, value, name, value … of those that were added. */
  get added(): readonly string[] {
    return this.#added
  }

  /** How many fields there are; one that was sent twice counts twice. */
  get size(): number {
    return this.#section.size + this.#added.length / 2
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
    let value = this.valueAt(first)
    const separator = lower === 'cookie' ? '; ' : ', '
    for (let at = this.#find(lower, first + 1); at >= 0; at = this.#find(lower, at + 1)) {
      value += separator + this.valueAt(at)
    }
    return value
  }

  /** Every value of a field, in order. */
  getAll(name: string): string[] {
    const lower = name.toLowerCase()
    const values: string[] = []
    for (let at = this.#find(lower, 0); at >= 0; at = this.#find(lower, at + 1)) values.push(this.valueAt(at))
    return values
  }

  /**
   * Adds a field at the end.
   *
   * @throws {SluiceError} `HTTP_HEADER_INVALID` if the name is no token or the value has a control character
   */
  append(name: string, value: string): this {
    checkName(name)
    this.appendProved(name, checkedValue(name, value))
    return this
  }

  /** Adds a field that needs no check: name and value are Sluice's own, or were proved by a parser. */
  appendProved(name: string, value: string): void {
    if (this.#added === NOTHING) this.#added = [name, value]
    else this.#added.push(name, value)
  }

  /** All fields as field lines of HTTP/1.1, each with its CR LF; those that were parsed as they came. */
  toLines(): string {
    const added = this.#added
    let lines = this.#section.lines()
    for (let at = 0; at < added.length; at += 2) lines += `${added[at]}: ${added[at + 1]}\r\n`
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
    const first = this.#findAdded(lower, 0)
    if (first < 0) {
      this.appendProved(name, checked)
    } else {
      this.#added[first] = name
      this.#added[first + 1] = checked
      this.#removeAdded(lower, first + 2)
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
    for (let at = 0; at < this.size; at++) yield [this.nameAt(at), this.valueAt(at)]
  }

  /** The name of the field at a position, as it was written. */
  nameAt(index: number): string {
    const { size } = this.#section
    return index < size ? this.#section.name(index) : (this.#added[(index - size) * 2] as string)
  }

  /** The value of the field at a position. */
  valueAt(index: number): string {
    const { size } = this.#section
    return index < size ? this.#section.value(index) : (this.#added[(index - size) * 2 + 1] as string)
  }

  #find(lower: string, from: number): number {
    const { size } = this.#section
    const parsed = this.#section.find(lower, from)
    if (parsed >= 0) return parsed
    const at = this.#findAdded(lower, Math.max(0, from - size) * 2)
    return at < 0 ? -1 : size + at / 2
  }

  #findAdded(lower: string, from: number): number {
    const added = this.#added
    for (let at = from; at < added.length; at += 2) {
      const name = added[at] as string
      if (equalsIgnoringCase(name, 0, name.length, lower)) return at
    }
    return -1
  }

  #removeParsed(lower: string): void {
    if (this.#section.find(lower, 0) < 0) return
    this.#section = this.#section.without((text, start, end) => equalsIgnoringCase(text, start, end, lower))
  }

  #removeAdded(lower: string, from: number): void {
    const added = this.#added
    let kept = from
    for (let at = from; at < added.length; at += 2) {
      const name = added[at] as string
      if (equalsIgnoringCase(name, 0, name.length, lower)) continue
      added[kept] = name
      added[kept + 1] = added[at + 1] as string
      kept += 2
    }
    added.length = kept
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
