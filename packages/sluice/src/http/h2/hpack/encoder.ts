// Writes fields of HTTP/2 (RFC 7541) as strings with one character per byte, since heads are put together as strings.
// Fields that repeat go into the dynamic table: the next answers are shorter, and take less time, by that.
import { type EncoderName, encoderName, REPEATED_NAMES, staticField } from './encoder-names.ts'
import { FIELD_OVERHEAD } from './field.ts'
import { copyOf, integerLiteral, stringLiteral } from './literals.ts'
import { STATIC_ENTRIES } from './static-table.ts'

/** The table is as large as it is at first (RFC 9113, 6.5.2), even if the peer would let it be larger, in bytes. */
const MOST_TABLE = 4096
/** As many entries as there can be, a power of two. */
const ROOM = MOST_TABLE / FIELD_OVERHEAD
/** No entry takes more than this part of the table, lest a long one push out all others again and again. */
const MOST_PART = 1 / 2
/**
 * How many values of a name are put in at first; further ones as others are found again. A name with another value in
 * each answer has no more than these.
 */
const CREDIT = 8
/** So many values of a name are looked through; an older one is forgotten, though it may still be in the table. */
const MOST_VALUES = 8

/** An entry of the dynamic table. */
interface Entry {
  readonly value: string
  readonly size: number
  /** Counted up from 0 with each that is put in. */
  readonly number: number
  readonly values: Values
}

/** The entries with one name. */
interface Values {
  readonly entries: Entry[]
  credit: number
}

/** An indexed field (RFC 7541, 6.1), by its place in the dynamic table from 0. */
const INDEXED: readonly string[] = Array.from({ length: ROOM }, (_each, place) =>
  integerLiteral(STATIC_ENTRIES + 1 + place, 0x80, 0x7f),
)

/** Status fields, by their number. */
const STATUSES: readonly string[] = Array.from({ length: 1000 }, (_each, status) => {
  const name = encoderName(':status')
  const value = String(status)
  return staticField(name, value) ?? name.literal + stringLiteral(value)
})

/** RFC 7541, 6.3. */
function sizeUpdate(size: number): string {
  return integerLiteral(size, 0x20, 0x1f)
}

/**
 * All that it gives out must be sent, in that order, and each block begins with what `begin` gives: the peer's table
 * follows from what it reads.
 */
export class HpackEncoder {
  /** By the number of the name; made when they are needed. */
  readonly #values: (Values | undefined)[] = new Array(REPEATED_NAMES).fill(undefined)
  /** The dynamic table: by number, modulo the room. */
  #ring: (Entry | undefined)[] = []
  #oldest = 0
  #next = 0
  #size = 0

  #limit = MOST_TABLE
  /** What the peer was told that the size of its table is. */
  #told = MOST_TABLE
  /** The smallest limit since then. */
  #smallest = MOST_TABLE

  /** @param status three digits */
  status(status: number): string {
    return STATUSES[status] as string
  }

  /**
   * A field, to be concatenated into a block.
   *
   * @param name in lower case
   * @param value Latin-1
   */
  field(name: string, value: string): string {
    const known = encoderName(name)
    if (known.repeated >= 0) {
      const values = this.#values[known.repeated]
      if (values !== undefined) {
        const { entries } = values
        for (let at = 0; at < entries.length; at++) {
          const entry = entries[at] as Entry
          if (entry.value === value) {
            if (values.credit < CREDIT) values.credit++
            return INDEXED[this.#next - 1 - entry.number] as string
          }
        }
      }
    }
    return staticField(known, value) ?? this.#literal(known, name, value)
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. */
  set tableLimit(size: number) {
    this.#limit = Math.min(size, MOST_TABLE)
    this.#smallest = Math.min(this.#smallest, this.#limit)
    this.#evict(this.#limit)
  }

  /**
   * What must stand at the beginning of the next block; '' as a rule. After changes of the limit, that is the smallest
   * size that the table had since, and the present one (RFC 7541, 4.2).
   */
  begin(): string {
    const limit = this.#limit
    const told = this.#told
    const smallest = this.#smallest
    if (told === limit && smallest === limit) return ''
    this.#told = limit
    this.#smallest = limit
    return (smallest < told && smallest < limit ? sizeUpdate(smallest) : '') + sizeUpdate(limit)
  }

  #literal(known: EncoderName, name: string, value: string): string {
    const size = name.length + value.length + FIELD_OVERHEAD
    if (known.repeated < 0 || size > this.#limit * MOST_PART) return known.literal + stringLiteral(value)
    const values = this.#values[known.repeated] ?? { entries: [], credit: CREDIT }
    this.#values[known.repeated] = values
    if (values.credit === 0) return known.literal + stringLiteral(value)
    values.credit--
    this.#add({ value: copyOf(value), size, number: this.#next, values })
    return known.added + stringLiteral(value)
  }

  #add(entry: Entry): void {
    this.#evict(this.#limit - entry.size)
    this.#ring[entry.number % ROOM] = entry
    this.#next++
    this.#size += entry.size
    const { entries } = entry.values
    if (entries.length === MOST_VALUES) entries.shift()
    entries.push(entry)
  }

  #evict(size: number): void {
    while (this.#size > size) {
      const entry = this.#ring[this.#oldest % ROOM]
      this.#ring[this.#oldest % ROOM] = undefined
      this.#oldest++
      if (entry === undefined) continue
      this.#size -= entry.size
      // Unless it was forgotten before, it is the first: they are in the order in which they came.
      if (entry.values.entries[0] === entry) entry.values.entries.shift()
    }
  }
}
