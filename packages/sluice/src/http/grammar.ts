// The character classes of HTTP (RFC 9110, section 5.6 and RFC 9112, section 3) as one table of bits for each byte.

/** `tchar` (RFC 9110, 5.6.2): methods and field names are made of these. */
export const TOKEN = 1
/** What a field value may have: visible ASCII, obs-text, space and tab (RFC 9110, 5.5). */
export const VALUE = 2
/** What a start line may have: visible ASCII and space. */
export const LINE = 4
/**
 * What a path may have: `pchar` and `/` (RFC 3986, 3.3), and four more that browsers send as they are, because the
 * WHATWG URL standard does not encode them.
 */
export const PATH = 8
/** What a query may have: RFC 3986, 3.4 and what browsers send as it is. Never `#`, which would begin a fragment. */
export const QUERY = 16
/** What a host name may have: `unreserved` (RFC 3986, 2.3). Its sub-delims (`,`, `;`) occur in no name, only in tricks. */
export const HOST = 32
/** Space and tab, what may stand around a field value (OWS, RFC 9110, 5.6.3). */
export const SPACE = 64

const classes = new Uint8Array(256)

mark("!#$%&'*+-.^_`|~", TOKEN)
mark("-._~!$&'()*+,;=:@/%[]|^", PATH)
mark("-._~!$&'()*+,;=:@/%[]|^?{}`\\", QUERY)
mark('-._~', HOST)
mark(' \t', SPACE)
for (let byte = 0; byte < 256; byte++) {
  const alphanumeric =
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
  if (alphanumeric) add(byte, TOKEN | PATH | QUERY | HOST)
  if (byte >= 0x20 && byte <= 0x7e) add(byte, VALUE | LINE)
  if (byte === 0x09 || byte >= 0x80) add(byte, VALUE)
}

function mark(characters: string, bits: number): void {
  for (const character of characters) add(character.charCodeAt(0), bits)
}

function add(byte: number, bits: number): void {
  classes[byte] = (classes[byte] ?? 0) | bits
}

/** Whether a byte is in one of the classes. */
export function isIn(byte: number, bits: number): boolean {
  return ((classes[byte] as number) & bits) !== 0
}

/** The first position from `at` on, before `end`, whose byte is in none of the classes; `end` if there is none. */
export function skip(bytes: Buffer, at: number, end: number, bits: number): number {
  let next = at
  while (next < end && isIn(bytes[next] as number, bits)) next++
  return next
}

/** Whether all of `text` from `start` to `end` is in one of the classes, and nothing is beyond Latin-1. */
export function allIn(text: string, bits: number, start: number = 0, end: number = text.length): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code > 255 || !isIn(code, bits)) return false
  }
  return true
}

/**
 * The members of a list (RFC 9110, 5.6.1) in lower case, without the spaces and tabs around them. Not `trim`, which takes
 * a no-break space for one of them, as no other reader of HTTP does.
 */
export function membersOf(list: string): string[] {
  return list
    .toLowerCase()
    .split(',')
    .map(member => member.replace(/^[ \t]+|[ \t]+$/g, ''))
}

/** Compares ASCII text without regard to case, from `start` to `end` of `text`, with `lower`, which is in lower case. */
export function equalsIgnoringCase(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let at = start, other = 0; at < end; at++, other++) {
    let code = text.charCodeAt(at)
    if (code >= 0x41 && code <= 0x5a) code |= 0x20
    if (code !== lower.charCodeAt(other)) return false
  }
  return true
}

/** The number that a Content-Length is (RFC 9110, 8.6): 1 to 16 digits and nothing else, below 2^53; -1 for anything else. */
export function decimal(text: string): number {
  const { length } = text
  if (length === 0 || length > 16) return -1
  let value = 0
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > Number.MAX_SAFE_INTEGER ? -1 : value
}

/** The minor version in `HTTP/1.x`, eight bytes at `start`; -1 for anything else. */
export function minorVersion(bytes: Buffer, start: number): number {
  for (let at = 0; at < VERSION_1.length; at++) if (bytes[start + at] !== VERSION_1[at]) return -1
  const minor = (bytes[start + VERSION_1.length] as number) - 0x30
  return minor === 0 || minor === 1 ? minor : -1
}

const VERSION_1 = Buffer.from('HTTP/1.')
