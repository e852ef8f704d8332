// Integers and strings of HPACK (RFC 7541, 5) as strings with one character per byte.

/** The string of each byte. */
const BYTES: readonly string[] = Array.from({ length: 256 }, (_each, byte) => String.fromCharCode(byte))

/**
 * RFC 7541, 5.1.
 *
 * @param pattern the bits before the prefix
 * @param most the ones of the prefix
 */
export function integerLiteral(value: number, pattern: number, most: number): string {
  if (value < most) return BYTES[pattern | value] as string
  let bytes = BYTES[pattern | most] as string
  let rest = value - most
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += BYTES[(rest % 0x80) | 0x80] as string
  return bytes + BYTES[rest]
}

/** RFC 7541, 5.2, without Huffman: what that saves is not worth its time to a server. */
export function stringLiteral(text: string): string {
  const { length } = text
  return length < 0x7f ? (BYTES[length] as string) + text : integerLiteral(length, 0, 0x7f) + text
}

/** A string that refers to no other: one cut from a head would keep the whole head. */
export function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
