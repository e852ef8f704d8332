// CRC-32C (Castagnoli), the checksum of PROXY v2 headers: RFC 4960, appendix B. node:zlib has only the other CRC-32.

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78

const TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0)
  return remainder
})

/** The CRC-32C of some bytes as an unsigned number. Pass the sum so far as `sum` to go on with more bytes. */
export function crc32c(bytes: Uint8Array, sum: number = 0): number {
  let remainder = ~sum
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (TABLE[(remainder ^ byte) & 0xff] ?? 0)
  return ~remainder >>> 0
}
