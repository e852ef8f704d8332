// The examples of RFC 7541, appendix C.
import { describe, expect, it } from 'vitest'
import { HpackDecoder } from './decoder.ts'
import { decodeHuffman } from './huffman.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

function read(decoder: HpackDecoder, hex: string): string[] {
  const block = bytes(hex)
  const fields = decoder.decode(block, 0, block.length, NO_LIMIT, NO_LIMIT)
  return fields.map(({ name, value }) => `${name}: ${value}`)
}

/** The dynamic table, by indices that are read one by one until one is beyond it. */
function table(decoder: HpackDecoder): string[] {
  const entries: string[] = []
  try {
    for (let index = 62; ; index++) {
      entries.push(...read(decoder, Buffer.from([0x80 | index]).toString('hex')))
    }
  } catch {
    return entries
  }
}

/** A decoder with a table of 256 bytes, as in C.5 and C.6. */
function small(): HpackDecoder {
  const decoder = new HpackDecoder(256)
  read(decoder, '3fe1 01')
  return decoder
}

const date = 'date: Mon, 21 Oct 2013 20:13:21 GMT'
const later = 'date: Mon, 21 Oct 2013 20:13:22 GMT'
const location = 'location: https://www.example.com'
const cookie = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'

describe('C.2, one field', () => {
  it.each([
    [
      'C.2.1',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      'custom-key: custom-header',
      true,
    ],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', false],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', false],
    ['C.2.4', '82', ':method: GET', false],
  ])('%s', (_section, hex, field, kept) => {
    const decoder = new HpackDecoder()
    expect(read(decoder, hex)).toEqual([field])
    expect(table(decoder)).toEqual(kept ? [field] : [])
  })
})

const requests = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ],
]

describe.each([
  [
    'C.3, requests without Huffman',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
  ],
  [
    'C.4, requests with Huffman',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ],
])('%s', (_title, blocks) => {
  it('are read, and leave the table of the RFC', () => {
    const decoder = new HpackDecoder()
    expect(blocks.map(block => read(decoder, block))).toEqual(requests)
    expect(table(decoder)).toEqual([
      'custom-key: custom-value',
      'cache-control: no-cache',
      ':authority: www.example.com',
    ])
  })
})

const responses = [
  [':status: 302', 'cache-control: private', date, location],
  [':status: 307', 'cache-control: private', date, location],
  [':status: 200', 'cache-control: private', later, location, 'content-encoding: gzip', cookie],
]

describe.each([
  [
    'C.5, responses without Huffman',
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120
       474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738
       666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33
       3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
  ],
  [
    'C.6, responses with Huffman',
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
       63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7
       b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
  ],
])('%s', (_title, blocks) => {
  it('are read, and entries that no longer fit are evicted', () => {
    const decoder = small()
    const hex = blocks.map(block => block.replaceAll(/\s/g, ''))
    expect(hex.map(block => read(decoder, block))).toEqual(responses)
    expect(table(decoder)).toEqual([cookie, 'content-encoding: gzip', later])
  })

  it('leave the tables of the RFC on the way', () => {
    const hex = blocks.map(block => block.replaceAll(/\s/g, ''))
    const [once, twice] = [small(), small()]
    read(once, hex[0] ?? '')
    expect(table(once)).toEqual([location, date, 'cache-control: private', ':status: 302'])
    read(twice, hex[0] ?? '')
    read(twice, hex[1] ?? '')
    expect(table(twice)).toEqual([':status: 307', location, date, 'cache-control: private'])
  })
})

describe('the Huffman code', () => {
  it('has the text of C.4.1', () => {
    expect(decodeHuffman(bytes('f1e3 c2e5 f23a 6ba0 ab90 f4ff'), 0, 12)).toBe('www.example.com')
  })
})
