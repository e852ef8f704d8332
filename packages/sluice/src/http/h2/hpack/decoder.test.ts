import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  fromBits,
  huffmanCodes,
  integer,
  NaiveDecoder,
  type NaiveField,
  string,
} from '../../../../test/support/naive-hpack.ts'
import { HpackDecoder, HpackError } from './decoder.ts'
import { decodeHuffman } from './huffman.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY

type Bytes = Buffer | string | number

function bytesOf(...parts: readonly Bytes[]): Buffer {
  return Buffer.concat(
    parts.map(part =>
      typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part as string, 'latin1'),
    ),
  )
}

function read(decoder: HpackDecoder, block: Buffer, maxSize = NO_LIMIT, maxFields = NO_LIMIT): NaiveField[] {
  return decoder.decode(block, 0, block.length, maxSize, maxFields).map(({ name, value }) => [name, value])
}

function refuses(...parts: readonly Bytes[]): void {
  expect(() => read(new HpackDecoder(), bytesOf(...parts))).toThrow(HpackError)
}

/** A field that is put in the table. */
function added(name: string, value: string): Buffer {
  return bytesOf(0x40, string(name, false), string(value, false))
}

describe('HpackDecoder, errors', () => {
  it('refuses index 0 and indices beyond the tables, of fields and of names', () => {
    refuses(0x80)
    refuses(0xbe)
    refuses(0xff, 0x00)
    refuses(added('a', 'b'), 0xbf)
    refuses(0x7e, string('', false))
    refuses(0x0f, 0x2f, string('', false))
    expect(read(new HpackDecoder(), bytesOf(added('a', 'b'), 0xbe, 0x7e, string('c', false)))).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'c'],
    ])
  })

  it('knows the end of its table however many entries are there', () => {
    const decoder = new HpackDecoder(8192)
    read(decoder, integer(8192, 5, 0x20))
    for (let entries = 1; entries <= 200; entries++) {
      read(decoder, added('', `${entries}`))
      expect(read(decoder, integer(61 + entries, 7, 0x80))).toEqual([['', '1']])
      expect(() => read(decoder, integer(62 + entries, 7, 0x80))).toThrow(HpackError)
    }
  })

  it('refuses integers above 2^28, and those of more than five bytes after the first', () => {
    refuses(0xff, '\xff\xff\xff\xff\x7f')
    refuses(0x00, 0x7f, '\xff\xff\xff\xff\x0f')
    refuses(0xff, '\x80\x80\x80\x80\x80\x00')
    refuses(0xff, '\xff'.repeat(100))
    refuses(0x00, 0x7f, '\x82\x80\x80\x80\x80\x00', 'n'.repeat(129), '\x00')
    const vast = new HpackDecoder(2 ** 32)
    expect(read(vast, integer(2 ** 28, 5, 0x20))).toEqual([])
    expect(() => read(vast, integer(2 ** 28 + 1, 5, 0x20))).toThrow(HpackError)
    // Not the shortest form, but allowed: 127 + 0.
    expect(
      read(new HpackDecoder(), bytesOf(0x00, '\x7f\x82\x80\x80\x80\x00', 'n'.repeat(129), '\x00')),
    ).toEqual([['n'.repeat(129), '']])
  })

  it('refuses a block that ends within a field', () => {
    const block = bytesOf(0x40, string('name', true), 0x7f, '\x81\x00', 'v'.repeat(128))
    expect(read(new HpackDecoder(), block)).toEqual([['name', 'v'.repeat(128)]])
    for (let length = 1; length < block.length; length++) refuses(block.subarray(0, length))
  })

  it('reads nothing beyond the end of the block', () => {
    const block = bytesOf(0x00, string('name', false), 0x05, 'value')
    const decoder = new HpackDecoder()
    expect(() => decoder.decode(block, 0, block.length - 1, NO_LIMIT, NO_LIMIT)).toThrow(HpackError)
    expect(new HpackDecoder().decode(bytesOf('xx', block, 'xx'), 2, block.length + 2, 999, 9)).toMatchObject([
      { name: 'name', value: 'value', size: 41, kind: 0, line: '' },
    ])
  })

  it('takes changes of the size of the table at the beginning only, twice at most, within the limit', () => {
    expect(read(new HpackDecoder(), bytesOf(0x20, integer(4096, 5, 0x20), 0x82))).toEqual([
      [':method', 'GET'],
    ])
    expect(read(new HpackDecoder(), bytesOf(0x20))).toEqual([])
    expect(read(new HpackDecoder(8192), integer(8192, 5, 0x20))).toEqual([])
    refuses(0x20, 0x20, 0x20, 0x82)
    refuses(integer(4097, 5, 0x20))
    for (let first = 0x20; first < 0x40; first++) refuses(0x82, first, string('', false), string('', false))
    expect(() => read(new HpackDecoder(0), integer(1, 5, 0x20))).toThrow(HpackError)
  })

  it('has errors with a name', () => {
    expect(new HpackError('what')).toMatchObject({ name: 'HpackError', message: 'what' })
  })
})

describe('Huffman strings', () => {
  it('have the codes of the RFC, all 256, with padding of any length below a byte', () => {
    for (const [character, code] of huffmanCodes) {
      const bytes = fromBits(code)
      if (character === '\u0100') expect(decodeHuffman(bytes, 0, bytes.length)).toBe(undefined)
      else expect(decodeHuffman(bytes, 0, bytes.length)).toBe(character)
    }
    expect(huffmanCodes.size).toBe(257)
  })

  it('do not have EOS, padding of a byte, or padding that is not ones', () => {
    const zero = '00000'
    for (const bits of [
      `${zero}000`,
      `${zero}110`,
      `${zero}111${'1'.repeat(8)}`,
      `${zero.repeat(8)}${'1'.repeat(8)}`,
      `${zero}${'1'.repeat(30)}${zero}`,
      '1'.repeat(32),
    ]) {
      const bytes = fromBits(bits)
      expect(decodeHuffman(bytes, 0, bytes.length), bits).toBe(undefined)
      refuses(0x00, 0x80 | bytes.length, bytes, 0x00)
      refuses(0x00, 0x00, 0x80 | bytes.length, bytes)
    }
    expect(decodeHuffman(fromBits(zero.repeat(8)), 0, 5)).toBe('00000000')
  })

  it('of any length and any bytes are read', () => {
    const codesOf = (text: string) => Array.from(text, character => huffmanCodes.get(character)).join('')
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(byte => String.fromCharCode(byte)) }),
        text => {
          const bytes = fromBits(codesOf(text))
          expect(decodeHuffman(bytes, 0, bytes.length)).toBe(text)
        },
      ),
    )
    const long = 'a0'.repeat(20_000)
    const bytes = fromBits(codesOf(long))
    expect(decodeHuffman(bytes, 0, bytes.length)).toBe(long)
  })
})

describe('HpackDecoder, limits', () => {
  it('keeps fields up to the number and size that are given, and says whether there were more', () => {
    const decoder = new HpackDecoder()
    const three = bytesOf(added('a', '1'), added('b', '2'), added('c', '3'))
    expect(read(decoder, three, 102, 3)).toHaveLength(3)
    expect(decoder.overflowed).toBe(false)
    expect(read(decoder, three, 101, 3)).toHaveLength(2)
    expect(decoder.overflowed).toBe(true)
    expect(read(decoder, three, 102, 2)).toHaveLength(2)
    expect(decoder.overflowed).toBe(true)
    expect(read(decoder, bytesOf(0x82))).toHaveLength(1)
    expect(decoder.overflowed).toBe(false)
  })

  it('keeps nothing after the first that is too large, though it would fit', () => {
    const decoder = new HpackDecoder()
    expect(read(decoder, bytesOf(added('a', '1'), added('b', 'x'.repeat(99)), 0x82), 120, 9)).toEqual([
      ['a', '1'],
    ])
    expect(decoder.overflowed).toBe(true)
    expect(read(decoder, bytesOf(0xbe, 0xbf))).toEqual([
      ['b', 'x'.repeat(99)],
      ['a', '1'],
    ])
  })

  it('makes nothing of many references to a long entry but references', () => {
    const decoder = new HpackDecoder()
    const value = 'v'.repeat(4000)
    const bomb = bytesOf(added('n', value), Buffer.alloc(16_000, 0xbe))
    const fields = decoder.decode(bomb, 0, bomb.length, NO_LIMIT, NO_LIMIT)
    expect(fields).toHaveLength(16_001)
    expect(new Set(fields).size).toBe(1)
    expect(read(decoder, bomb, 32_768, 100)).toHaveLength(8)
    expect(decoder.overflowed).toBe(true)
  })

  it('gives the same object for an entry of a table each time', () => {
    const decoder = new HpackDecoder()
    const block = bytesOf(added('n', 'v'), 0xbe, 0x82)
    const [first, second, method] = decoder.decode(block, 0, block.length, NO_LIMIT, NO_LIMIT)
    expect(second).toBe(first)
    expect(new HpackDecoder().decode(bytesOf(0x82), 0, 1, NO_LIMIT, NO_LIMIT)[0]).toBe(method)
  })
})

/** Fields that mean something for sure, and how they are written. */
const part: fc.Arbitrary<Buffer> = fc.oneof(
  fc.integer({ min: 1, max: 61 }).map(index => integer(index, 7, 0x80)),
  fc.integer({ min: 62, max: 66 }).map(index => integer(index, 7, 0x80)),
  {
    weight: 12,
    arbitrary: fc
      .tuple(
        fc.constantFrom([6, 0x40] as const, [6, 0x40] as const, [4, 0x00] as const, [4, 0x10] as const),
        fc.oneof(fc.nat(63), fc.constant(0)),
        fc.string({ maxLength: 40 }),
        fc.oneof(
          fc.string({ maxLength: 60 }),
          fc.nat(500).map(length => 'v'.repeat(length)),
        ),
        fc.boolean(),
      )
      .map(([[bits, pattern], index, name, value, coded]) => {
        const head = integer(index, bits, pattern)
        return bytesOf(head, index === 0 ? string(name, coded) : '', string(value, !coded))
      }),
  },
)
const update = fc.oneof(fc.nat(600), fc.constant(1024)).map(size => integer(size, 5, 0x20))
const blocks = fc.array(
  fc
    .tuple(fc.array(update, { maxLength: 2 }), fc.array(part, { maxLength: 8 }))
    .map(([updates, parts]) => bytesOf(...(updates.length < 2 ? [] : updates), ...parts)),
  { maxLength: 12, size: 'max' },
)

/** What is read of blocks, up to the first with an error. */
function outcome(
  all: readonly Buffer[],
  decode: (block: Buffer) => NaiveField[],
): (NaiveField[] | 'error')[] {
  const seen: (NaiveField[] | 'error')[] = []
  for (const block of all) {
    try {
      seen.push(decode(block))
    } catch {
      return [...seen, 'error']
    }
  }
  return seen
}

describe('HpackDecoder and a naive one', () => {
  it('read the same of blocks that fill the table and empty it again', () => {
    let most = 0
    fc.assert(
      fc.property(blocks, all => {
        const [own, naive] = [new HpackDecoder(1024), new NaiveDecoder(1024)]
        expect(outcome(all, block => read(own, block))).toEqual(outcome(all, block => naive.decode(block)))
        most = Math.max(most, naive.entries.length)
      }),
      { numRuns: 500 },
    )
    expect(most).toBeGreaterThan(8)
  })

  it('have the same table after thousands of entries of all sizes', () => {
    const [own, naive] = [new HpackDecoder(8192), new NaiveDecoder(8192)]
    for (let step = 0; step < 3000; step++) {
      const size = step % 100 === 99 ? integer((step * 7919) % 8193, 5, 0x20) : ''
      const block = bytesOf(
        size,
        added(`n${step}`, 'v'.repeat((step * step) % (step % 50 === 0 ? 9000 : 60))),
      )
      expect(read(own, block)).toEqual(naive.decode(block))
      if (step % 10 > 0) continue
      const all = bytesOf(...naive.entries.map((_entry, place) => integer(62 + place, 7, 0x80)))
      expect(read(own, all)).toEqual(naive.entries)
      const beyond = integer(62 + naive.entries.length, 7, 0x80)
      expect(() => read(own, beyond)).toThrow(HpackError)
    }
  })

  it('read the same of any bytes, or find an error both, ours always an HpackError', () => {
    const any = fc.array(fc.oneof(fc.uint8Array({ maxLength: 60 }), part), { maxLength: 4 })
    fc.assert(
      fc.property(any, all => {
        const [own, naive] = [new HpackDecoder(1024), new NaiveDecoder(1024)]
        const whole = all.map(block => Buffer.from(block))
        const seen = outcome(whole, block => {
          try {
            return read(own, block)
          } catch (error) {
            if (!(error instanceof HpackError)) throw new Error('not an HpackError', { cause: error })
            throw error
          }
        })
        expect(seen).toEqual(outcome(whole, block => naive.decode(block)))
      }),
      { numRuns: 2000 },
    )
  })
})
