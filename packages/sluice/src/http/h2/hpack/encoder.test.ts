import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NaiveDecoder } from '../../../../test/support/naive-hpack.ts'
import { HpackDecoder } from './decoder.ts'
import { HpackEncoder } from './encoder.ts'
import { integerLiteral } from './literals.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY

type Field = readonly [name: string, value: string]

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex')
}

function write(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  const block = fields.reduce((text, [name, value]) => text + encoder.field(name, value), encoder.begin())
  return Buffer.from(block, 'latin1')
}

function read(decoder: HpackDecoder, block: Buffer): Field[] {
  return decoder.decode(block, 0, block.length, NO_LIMIT, NO_LIMIT).map(({ name, value }) => [name, value])
}

describe('integers', () => {
  it('are those of RFC 7541, C.1', () => {
    expect(hex(integerLiteral(10, 0, 0x1f))).toBe('0a')
    expect(hex(integerLiteral(1337, 0, 0x1f))).toBe('1f9a0a')
    expect(hex(integerLiteral(42, 0, 0xff))).toBe('2a')
    expect(hex(integerLiteral(31, 0, 0x1f))).toBe('1f00')
    expect(hex(integerLiteral(2 ** 28, 0x80, 0x7f))).toBe('ff81ffff7f')
  })
})

describe('HpackEncoder', () => {
  it('has one byte for what is in the static table, and every status', () => {
    const encoder = new HpackEncoder()
    expect(hex(encoder.status(200))).toBe('88')
    expect(hex(encoder.status(500))).toBe('8e')
    expect(hex(encoder.status(503))).toBe(`0803${hex('503')}`)
    expect(hex(encoder.field(':method', 'POST'))).toBe('83')
    expect(hex(encoder.field(':path', '/index.html'))).toBe('85')
    expect(hex(encoder.field('accept-encoding', 'gzip, deflate'))).toBe('90')
    expect(hex(encoder.field('www-authenticate', ''))).toBe('bd')
    const decoder = new HpackDecoder()
    for (let status = 100; status < 1000; status++) {
      expect(read(decoder, Buffer.from(encoder.status(status), 'latin1'))).toEqual([
        [':status', String(status)],
      ])
    }
  })

  it('never lets what is secret be indexed, by whoever comes after', () => {
    const encoder = new HpackEncoder()
    for (const [name, begin] of [
      ['set-cookie', '1f28'],
      ['cookie', '1f11'],
      ['authorization', '1f08'],
      ['proxy-authorization', '1f22'],
    ] as const) {
      for (const value of ['a=b', 'a=b', '']) {
        expect(hex(encoder.field(name, value))).toBe(
          `${begin}${hex(String.fromCharCode(value.length) + value)}`,
        )
      }
    }
  })

  it('puts fields that repeat in the table, and no others', () => {
    const encoder = new HpackEncoder()
    expect(hex(encoder.field('server', 'x'))).toBe(`7601${hex('x')}`)
    expect(hex(encoder.field('server', 'x'))).toBe('be')
    expect(hex(encoder.field('x-frame-options', 'DENY'))).toBe(
      `400f${hex('x-frame-options')}04${hex('DENY')}`,
    )
    expect(hex(encoder.field('x-frame-options', 'DENY'))).toBe('be')
    expect(hex(encoder.field('server', 'x'))).toBe('bf')
    for (const name of ['date', 'etag', 'content-length', 'location', 'last-modified', 'x-request-id']) {
      const once = encoder.field(name, 'value')
      expect(encoder.field(name, 'value')).toBe(once)
      expect(once.charCodeAt(0)).toBeLessThan(0x10)
    }
    expect(hex(encoder.field('server', 'x'))).toBe('bf')
  })

  it('gives a name up whose values never repeat, until one is found again', () => {
    const encoder = new HpackEncoder()
    const isAdded = (value: string) => (encoder.field('content-type', value).charCodeAt(0) & 0xc0) === 0x40
    const kinds = Array.from({ length: 20 }, (_each, kind) => `kind/${kind}`)
    expect(kinds.filter(isAdded)).toEqual(kinds.slice(0, 8))
    expect(hex(encoder.field('content-type', 'kind/7'))).toBe('be')
    expect(isAdded('kind/19')).toBe(true)
    expect(isAdded('kind/18')).toBe(false)
    expect(hex(encoder.field('content-type', 'kind/19'))).toBe('be')
    // The eight that were met last are looked for.
    expect(encoder.field('content-type', 'kind/0').charCodeAt(0)).toBe(0x5f)
  })

  it('knows what is in the table after one is evicted that it had forgotten', () => {
    const encoder = new HpackEncoder()
    for (let kind = 0; kind < 8; kind++) encoder.field('content-type', `kind/${kind}`)
    encoder.field('content-type', 'kind/7')
    encoder.field('content-type', 'kind/8')
    encoder.tableLimit = 449
    encoder.begin()
    expect(hex(encoder.field('content-type', 'kind/1'))).toBe('c5')
  })

  it('does not put in what would take more than half of the table', () => {
    const encoder = new HpackEncoder()
    const name = 'content-security-policy'
    const fits = 'v'.repeat(2048 - 32 - name.length)
    expect(encoder.field(name, `${fits}v`).charCodeAt(0)).toBe(0x00)
    expect(encoder.field(name, fits).charCodeAt(0)).toBe(0x40)
    encoder.tableLimit = 100
    expect(encoder.field('server', 'v'.repeat(13)).charCodeAt(0)).toBe(0x0f)
    expect(encoder.field('server', 'v'.repeat(12)).charCodeAt(0)).toBe(0x76)
  })

  it('says at the beginning of a block how large the table is, when the peer has changed its limit', () => {
    const encoder = new HpackEncoder()
    expect(encoder.begin()).toBe('')
    encoder.tableLimit = 4096
    encoder.tableLimit = 65_536
    expect(encoder.begin()).toBe('')
    encoder.tableLimit = 1337
    expect(hex(encoder.begin())).toBe('3f9a0a')
    expect(encoder.begin()).toBe('')
    encoder.tableLimit = 0
    encoder.tableLimit = 10
    expect(hex(encoder.begin())).toBe('202a')
    encoder.tableLimit = 0
    encoder.tableLimit = 10
    expect(hex(encoder.begin())).toBe('202a')
    encoder.tableLimit = 2 ** 32 - 1
    expect(hex(encoder.begin())).toBe('3fe11f')
  })

  it('forgets what a smaller table evicts', () => {
    const encoder = new HpackEncoder()
    encoder.field('server', 'x')
    encoder.field('vary', 'y')
    encoder.tableLimit = 40
    expect(hex(encoder.begin())).toBe('3f09')
    // Of 37 bytes, the entry may stay, but another of its kind would be too large.
    expect(hex(encoder.field('vary', 'y'))).toBe('be')
    expect(hex(encoder.field('server', 'x'))).toBe(`0f2701${hex('x')}`)
    encoder.tableLimit = 0
    encoder.tableLimit = 4096
    expect(hex(encoder.begin())).toBe('203fe11f')
    expect(hex(encoder.field('vary', 'y'))).toBe(`7b01${hex('y')}`)
  })
})

const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(byte => String.fromCharCode(byte)) })
const field = fc.tuple(
  fc.oneof(
    fc.constantFrom(
      'server',
      'content-type',
      'vary',
      'cache-control',
      'x-frame-options',
      'nel',
      ':status',
      'via',
    ),
    fc.constantFrom('date', 'set-cookie', 'x-own', 'etag', 'content-length'),
    fc.string({ maxLength: 200 }),
  ),
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c', '', '200') },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 70 }).map(length => 'v'.repeat(length * 30)) },
    latin1,
  ),
)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(field, { maxLength: 30 }) },
  fc.oneof(fc.nat(5000), fc.constantFrom(0, 4096, 65_536)),
)

describe('HpackEncoder and decoders', () => {
  it('mean the same, whatever is sent and however often the limit changes', () => {
    let indexed = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder(65_536)
        const naive = new NaiveDecoder(65_536)
        for (const next of steps) {
          if (typeof next === 'number') encoder.tableLimit = next
          else {
            const block = write(encoder, next)
            expect(read(decoder, block)).toEqual(next)
            expect(naive.decode(block)).toEqual(next)
            indexed = Math.max(indexed, naive.entries.length)
          }
        }
      }),
      { numRuns: 200 },
    )
    expect(indexed).toBeGreaterThan(10)
  })

  it('mean the same after more entries than there is room for', () => {
    const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()]
    const names = ['server', 'vary', 'via', 'nel', 'pragma', 'accept-ch', 'alt-svc', 'content-encoding']
    for (let round = 0; round < 2000; round++) {
      // A value now and then, and one of before, so that further ones are put in.
      const fields = names.flatMap((name, at): Field[] => [
        [name, `${(round >> 3) + at}`],
        [name, `${((round >> 3) + at) * 7}`],
      ])
      expect(read(decoder, write(encoder, fields))).toEqual(fields)
    }
  })

  it('have names of any number, of which few are remembered', () => {
    const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()]
    for (let round = 0; round < 2000; round++) {
      const fields: Field[] = [
        [`x-${round}`, 'v'],
        [`x-${round}`, 'w'],
        [`x-${'n'.repeat(round)}`, 'v'],
      ]
      expect(read(decoder, write(encoder, fields))).toEqual(fields)
    }
  })
})
