import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'

const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index))

describe('crc32c', () => {
  it.each<[string, Uint8Array, number]>([
    ['nothing', Buffer.alloc(0), 0],
    ['"a"', Buffer.from('a'), 0xc1d04330],
    ['"123456789"', Buffer.from('123456789'), 0xe3069283],
    // RFC 3720, appendix B.4, read as numbers.
    ['32 bytes of zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 ascending bytes', ascending, 0x46dd794e],
  ])('gives the published sum of %s', (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum)
  })

  it('goes on from the sum of what came before', () => {
    expect(crc32c(ascending.subarray(11), crc32c(ascending.subarray(0, 11)))).toBe(crc32c(ascending))
  })
})
