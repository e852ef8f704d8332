// A header field as HPACK carries it (RFC 7541, 1.3).

/** What an entry counts beside its two strings (RFC 7541, 4.1), in bytes. */
export const FIELD_OVERHEAD = 32

/**
 * One field as it came. Entries of the static and dynamic table are one object for all that refer to them, so whoever
 * checks a field may keep on it what was found.
 */
export class HpackField {
  /** One character per byte. */
  readonly name: string
  /** One character per byte. */
  readonly value: string
  /** What it counts in a table and in a list of fields (RFC 7541, 4.1), in bytes. */
  readonly size: number
  /** What the reader of heads made of it; 0 before. */
  kind = 0
  /** As a line of HTTP/1.1, once somebody made it; '' before. */
  line = ''

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
    this.size = name.length + value.length + FIELD_OVERHEAD
  }
}
