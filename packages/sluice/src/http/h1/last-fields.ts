// The field lines of a section that came on a connection, the last one that seemed to come again. Peers repeat themselves:
// a client all but the target, an upstream most of its answers within a second. What is the same to the last byte is not
// parsed again, and what was made of it is still there (`Section.memo`).
import { LONGEST_REPEATED, NO_FIELDS, type Section } from '../section.ts'

/** Up to so many bytes, a loop is faster than the platform's comparison, which costs 70 ns at the least. */
const SHORT = 64

const LF = 0x0a
const NOTHING = Buffer.alloc(0)

export class LastFields {
  /** The lines of `fields`, with the empty one that ends them: the first `length` bytes. */
  #bytes: Buffer = NOTHING
  /** How long the section before was, kept or not. */
  #before = 0
  length = 0
  fields: Section = NO_FIELDS

  /** Whether they come again in `bytes` at `start`, where at least `length` bytes are. */
  areAt(bytes: Buffer, start: number): boolean {
    const length = this.length
    const known = this.#bytes
    // Others mostly end somewhere else.
    if (length === 0 || bytes[start + length - 1] !== LF) return false
    if (length > SHORT) return bytes.compare(known, 0, length, start, start + length) === 0
    for (let at = 0; at < length; at++) if (bytes[start + at] !== known[at]) return false
    return true
  }

  /** Keeps those that have been parsed, if they may well come again: the section before had as many bytes of fields. */
  keep(bytes: Buffer, start: number, end: number, fields: Section): void {
    const length = end - start
    const isLikely = length === this.#before && length <= LONGEST_REPEATED
    this.#before = length
    if (!isLikely) return
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length)
    bytes.copy(this.#bytes, 0, start, end)
    this.length = length
    this.fields = fields
    fields.mayRepeat = true
  }
}
