// Writes fields of HTTP/2 (RFC 7541) as strings with one character per byte, since heads are put together as strings.
import { STATIC_TABLE } from './static-table.ts'

/** What may not stay in any table on the way (RFC 7541, 7.1.3). */
const SECRET = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie'])

const WITHOUT_INDEXING = 0x00
const NEVER_INDEXED = 0x10

/** The table is not larger, even if the peer would let it, in bytes: as large as it is at first (RFC 9113, 6.5.2). */
const MOST_TABLE = 4096

/** Names beyond the static table whose bytes are kept, and how long they may be. */
const MOST_LEARNT = 512
const LONGEST_LEARNT = 64

/** How fields of a name begin. */
interface Name {
  /** A literal, up to its value. */
  readonly literal: string
  /** The values in the static table, and the fields with them; most names have one, the empty one. */
  readonly values: readonly string[]
  readonly indexed: readonly string[]
}

/** The byte of each value below 256. */
const BYTES: readonly string[] = Array.from({ length: 256 }, (_each, byte) => String.fromCharCode(byte))

/** RFC 7541, 5.1. @param pattern the bits before the prefix; `most` the ones of the prefix */
function integer(value: number, pattern: number, most: number): string {
  if (value < most) return BYTES[pattern | value] as string
  let bytes = BYTES[pattern | most] as string
  let rest = value - most
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += BYTES[(rest % 0x80) | 0x80] as string
  return bytes + BYTES[rest]
}

/** RFC 7541, 5.2, without Huffman: smaller bytes are not worth the time here. */
function string(text: string): string {
  return text.length < 0x7f ? (BYTES[text.length] as string) + text : integer(text.length, 0, 0x7f) + text
}

const STATIC_NAMES: ReadonlyMap<string, Name> = staticNames()
const STATUSES: readonly string[] = Array.from({ length: 1000 }, (_each, status) =>
  status < 100 ? '' : encode(nameOf(':status'), String(status)),
)
/** Names are those of applications: few, and the same for all connections. */
const learnt = new Map<string, Name>()

function staticNames(): Map<string, Name> {
  const names = new Map<string, { literal: string; values: string[]; indexed: string[] }>()
  for (const [index, field] of STATIC_TABLE.entries()) {
    if (field === undefined) continue
    const { name, value } = field
    const secret = SECRET.has(name)
    let known = names.get(name)
    if (known === undefined) {
      const literal = integer(index, secret ? NEVER_INDEXED : WITHOUT_INDEXING, 0x0f)
      known = { literal, values: [], indexed: [] }
      names.set(name, known)
    }
    if (secret) continue
    known.values.push(value)
    known.indexed.push(integer(index, 0x80, 0x7f))
  }
  return names
}

function nameOf(name: string): Name {
  return STATIC_NAMES.get(name) ?? learnt.get(name) ?? learn(name)
}

function learn(name: string): Name {
  // A copy: the name may be a slice of a head that would stay with it.
  const copy = Buffer.from(name, 'latin1').toString('latin1')
  const known = { literal: (BYTES[WITHOUT_INDEXING] as string) + string(copy), values: [], indexed: [] }
  if (copy.length <= LONGEST_LEARNT && learnt.size < MOST_LEARNT) learnt.set(copy, known)
  return known
}

function encode({ literal, values, indexed }: Name, value: string): string {
  const at = values.indexOf(value)
  return at < 0 ? literal + string(value) : (indexed[at] as string)
}

/** RFC 7541, 6.3. */
function sizeUpdate(size: number): string {
  return integer(size, 0x20, 0x1f)
}

export class HpackEncoder {
  #limit = MOST_TABLE
  /** What the peer knows that the size of the table is. */
  #told = MOST_TABLE
  /** The smallest limit since the peer was told. */
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
    return encode(nameOf(name), value)
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. */
  set tableLimit(size: number) {
    this.#limit = Math.min(size, MOST_TABLE)
    this.#smallest = Math.min(this.#smallest, this.#limit)
  }

  /**
   * What must stand at the beginning of the next block; '' as a rule. After changes of the limit, that is the smallest
   * size that the table had since, and the present one (RFC 7541, 4.2).
   */
  begin(): string {
    const smallest = this.#smallest
    const limit = this.#limit
    const told = this.#told
    if (told === limit && smallest === limit) return ''
    this.#told = this.#smallest = limit
    return smallest < limit ? sizeUpdate(smallest) + sizeUpdate(limit) : sizeUpdate(limit)
  }
}
