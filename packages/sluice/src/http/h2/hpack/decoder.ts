// Reads the fields of HTTP/2 (RFC 7541): one decoder for all blocks that come over a connection, in their order.
import { HpackField } from './field.ts'
import { decodeHuffman } from './huffman.ts'
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts'

/** A COMPRESSION_ERROR (RFC 9113, 7): the connection can't go on, since the tables may differ from now on. */
export class HpackError extends Error {}
HpackError.prototype.name = 'HpackError'

/** What a peer may use before it has heard of a limit (RFC 9113, 6.5.2), in bytes. */
const INITIAL_LIMIT = 4096
/** Integers are not larger, and have no more bytes after the first; nothing that is allowed comes near. */
const MOST_INTEGER = 2 ** 28
const MOST_CONTINUATION = 5
/** RFC 7541, 4.2: the smallest size that was in force since the last block, and the present one. */
const MOST_UPDATES = 2
/** Room for as many entries at first; most clients need no more. */
const FIRST_ROOM = 32

/** The dynamic table (RFC 7541, 2.3.2), as a ring. */
class DynamicTable {
  /** Its length is a power of two. */
  #ring: (HpackField | undefined)[] = new Array(FIRST_ROOM).fill(undefined)
  #newest = 0
  #entries = 0
  #size = 0
  #limit = INITIAL_LIMIT

  /** @returns undefined if there are not so many entries; 0 is the newest */
  at(index: number): HpackField | undefined {
    if (index >= this.#entries) return undefined
    return this.#ring[(this.#newest - index) & (this.#ring.length - 1)]
  }

  resize(limit: number): void {
    this.#limit = limit
    this.#evict(limit)
  }

  /** One that is larger than the table empties it, and is not kept (RFC 7541, 4.4). */
  add(field: HpackField): void {
    this.#evict(this.#limit - field.size)
    if (field.size > this.#limit) return
    if (this.#entries === this.#ring.length) this.#grow()
    this.#newest = (this.#newest + 1) & (this.#ring.length - 1)
    this.#ring[this.#newest] = field
    this.#entries++
    this.#size += field.size
  }

  #evict(size: number): void {
    while (this.#size > size && this.#entries > 0) {
      const oldest = (this.#newest - this.#entries + 1) & (this.#ring.length - 1)
      this.#size -= this.#ring[oldest]?.size ?? 0
      this.#ring[oldest] = undefined
      this.#entries--
    }
  }

  #grow(): void {
    const oldest = this.#newest + 1
    const inOrder = [...this.#ring.slice(oldest), ...this.#ring.slice(0, oldest)]
    this.#newest = inOrder.length - 1
    this.#ring = [...inOrder, ...new Array(inOrder.length).fill(undefined)]
  }
}

export class HpackDecoder {
  readonly #tableLimit: number
  readonly #table = new DynamicTable()
  /** Where the next thing to read is, after a method that has read something. */
  #at = 0
  #overflowed = false

  /**
   * @param tableLimit what SETTINGS_HEADER_TABLE_SIZE told the peer, in bytes. With less than 4096 the peer may still use
   *   as much until it acknowledges the setting, and then says that it uses less.
   */
  constructor(tableLimit: number = INITIAL_LIMIT) {
    this.#tableLimit = tableLimit
  }

  /** Whether the last block had more fields than were kept. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  /**
   * The fields of one whole block (HEADERS and its CONTINUATIONs).
   *
   * @param maxSize from the first field on with which the sum of their sizes (RFC 7541, 4.1) is more, fields are decoded,
   *   so that the table stays right, but not kept
   * @param maxFields likewise for their number
   * @throws {HpackError} for a COMPRESSION_ERROR; the decoder can't be used after that
   */
  decode(block: Buffer, start: number, end: number, maxSize: number, maxFields: number): HpackField[] {
    const fields: HpackField[] = []
    let size = 0
    let overflowed = false
    let at = this.#updates(block, start, end)
    while (at < end) {
      const first = block[at] as number
      let field: HpackField | undefined
      if (first > 0x80 && first < 0xff) {
        // An indexed field (6.1) whose index fits, as nearly all do.
        at++
        const index = first & 0x7f
        field = index <= STATIC_ENTRIES ? STATIC_TABLE[index] : this.#table.at(index - STATIC_ENTRIES - 1)
        if (field === undefined) throw new HpackError('an index is beyond the tables')
      } else {
        field = first >= 0x80 ? this.#indexed(block, at, end) : this.#literal(block, at, end, first)
        at = this.#at
      }
      size += field.size
      if (size > maxSize || fields.length === maxFields) overflowed = true
      if (!overflowed) fields.push(field)
    }
    this.#overflowed = overflowed
    return fields
  }

  /** Changes of the table's size (RFC 7541, 6.3), which are only at the beginning of a block; gives back where they end. */
  #updates(block: Buffer, start: number, end: number): number {
    let at = start
    for (let updates = 0; at < end && ((block[at] as number) & 0xe0) === 0x20; updates++) {
      if (updates === MOST_UPDATES) throw new HpackError('the size of the table changes more than twice')
      const size = this.#integer(block, at, end, 0x1f)
      if (size > this.#tableLimit) throw new HpackError('the table would be larger than was allowed')
      this.#table.resize(size)
      at = this.#at
    }
    return at
  }

  #indexed(block: Buffer, at: number, end: number): HpackField {
    return this.#entry(this.#integer(block, at, end, 0x7f))
  }

  /** With incremental indexing (6.2.1), without (6.2.2), or never indexed (6.2.3). */
  #literal(block: Buffer, at: number, end: number, first: number): HpackField {
    const kept = first >= 0x40
    if (!kept && first >= 0x20) throw new HpackError('the size of the table changes amid a block')
    const index = this.#integer(block, at, end, kept ? 0x3f : 0x0f)
    const name = index === 0 ? this.#string(block, this.#at, end) : this.#entry(index).name
    const field = new HpackField(name, this.#string(block, this.#at, end))
    if (kept) this.#table.add(field)
    return field
  }

  #entry(index: number): HpackField {
    const field = index <= STATIC_ENTRIES ? STATIC_TABLE[index] : this.#table.at(index - STATIC_ENTRIES - 1)
    if (field === undefined) throw new HpackError('an index is 0 or beyond the tables')
    return field
  }

  /** RFC 7541, 5.2. The strings are copies: they may live long, and a block is large. */
  #string(block: Buffer, at: number, end: number): string {
    const length = this.#integer(block, at, end, 0x7f)
    const start = this.#at
    if (length > end - start) throw new HpackError('a string is longer than its block')
    this.#at = start + length
    if ((block[at] as number) < 0x80) return length === 0 ? '' : block.toString('latin1', start, this.#at)
    const text = decodeHuffman(block, start, this.#at)
    if (text === undefined) throw new HpackError('a string is no Huffman code, or its padding is wrong')
    return text
  }

  /** RFC 7541, 5.1. @param most the ones of its prefix */
  #integer(block: Buffer, start: number, end: number, most: number): number {
    if (start >= end) throw new HpackError('a block ends within a field')
    let value = (block[start] as number) & most
    if (value < most) {
      this.#at = start + 1
      return value
    }
    for (let at = start + 1, weight = 1; at < end; at++, weight *= 0x80) {
      if (at - start > MOST_CONTINUATION) throw new HpackError('an integer has too many bytes')
      const byte = block[at] as number
      value += (byte & 0x7f) * weight
      if (byte < 0x80) {
        if (value > MOST_INTEGER) throw new HpackError('an integer is too large')
        this.#at = at + 1
        return value
      }
    }
    throw new HpackError('a block ends within a field')
  }
}
