// Field lines that a parser has proved, as text with the places of names and values in it. They never change, so that lists
// can share them, and what was made of them once can be kept.
import { equalsIgnoringCase } from './grammar.ts'

/**
 * Whether a field is left out: its name is in `text` from `start` to `end`.
 *
 * @param index which field of the section it is
 */
export type DropLine = (text: string, start: number, end: number, index: number) => boolean

/** Bytes of a section that is kept in case it comes again: idle connections hold it, and what was made of it. */
export const LONGEST_REPEATED = 2048

const NO_OFFSETS: readonly number[] = []

export class Section {
  readonly text: string
  /** Name begin, name end, value begin, value end of each field. */
  readonly offsets: readonly number[]
  /**
   * What somebody made of this section, and would make of it again: peers say the same fields again and again, and then it
   * is the same object. There is room for one thing.
   */
  memo: object | undefined = undefined
  /** Whether the next message of a connection may come with this very object. */
  mayRepeat = false

  constructor(text: string, offsets: readonly number[] = NO_OFFSETS) {
    this.text = text
    this.offsets = offsets
  }

  /** How many fields there are. */
  get size(): number {
    return this.offsets.length / 4
  }

  name(index: number): string {
    return this.text.slice(this.offsets[index * 4], this.offsets[index * 4 + 1])
  }

  value(index: number): string {
    return this.text.slice(this.offsets[index * 4 + 2], this.offsets[index * 4 + 3])
  }

  /** The first field of a name in lower case, from `from` on; -1 if there is none. */
  find(lower: string, from: number): number {
    const { offsets, text } = this
    for (let at = from * 4; at < offsets.length; at += 4) {
      if (equalsIgnoringCase(text, offsets[at] as number, offsets[at + 1] as number, lower)) return at / 4
    }
    return -1
  }

  /** The section without some of its fields; itself if none is left out. */
  without(drop: DropLine): Section {
    const { offsets, text } = this
    // Copied from the first field on that is left out: as a rule one is, and few come before it.
    let left: number[] | undefined
    for (let at = 0; at < offsets.length; at += 4) {
      const start = offsets[at] as number
      const end = offsets[at + 1] as number
      if (drop(text, start, end, at / 4)) left ??= offsets.slice(0, at)
      else left?.push(start, end, offsets[at + 2] as number, offsets[at + 3] as number)
    }
    return left === undefined ? this : new Section(text, left)
  }

  /** Field lines of HTTP/1.1, as they came, each with its CR LF. */
  lines(drop?: DropLine): string {
    const { offsets, text } = this
    let lines = ''
    // Lines that lay side by side are copied as one.
    let start = -1
    let end = 0
    for (let at = 0; at < offsets.length; at += 4) {
      const nameStart = offsets[at] as number
      if (drop?.(text, nameStart, offsets[at + 1] as number, at / 4) === true) continue
      if (start < 0) {
        start = nameStart
      } else if (nameStart !== end + 2) {
        lines += `${text.slice(start, end)}\r\n`
        start = nameStart
      }
      end = offsets[at + 3] as number
    }
    if (start >= 0) lines += `${text.slice(start, end)}\r\n`
    return lines
  }
}

/** Makes a section of fields that were proved, field by field. */
export class SectionWriter {
  readonly #offsets: number[] = []
  text = ''

  /** @param line the whole line with its CR LF, if there is such a string already */
  add(name: string, value: string, line: string = `${name}: ${value}\r\n`): void {
    const start = this.text.length
    const valueStart = start + name.length + 2
    this.text += line
    this.#offsets.push(start, start + name.length, valueStart, valueStart + value.length)
  }

  section(): Section {
    return new Section(this.text, this.#offsets)
  }
}

export const NO_FIELDS: Section = new Section('')
