// HPACK (RFC 7541) as the RFC words it, with no thought for speed: what our own is compared with. Huffman strings are text
// of zeros and ones here, and the table is a list whose first entry is the newest.

export type NaiveField = readonly [name: string, value: string]

/** Appendix B by lengths: the symbols with codes of so many bits, in order, as characters; EOS is U+0100. */
const BY_LENGTH: readonly (readonly [bits: number, symbols: string])[] = [
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
  [13, '\x00$@[]~'],
  [14, '^}'],
  [15, '<`{'],
  [19, '\\\xc3\xd0'],
  [20, '\x80\x82\x83\xa2\xb8\xc2\xe0\xe2'],
  [21, '\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6'],
  [
    22,
    '\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9',
  ],
  [
    23,
    '\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef',
  ],
  [24, '\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed'],
  [25, '\xc7\xcf\xea\xeb'],
  [26, '\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff'],
  [27, '\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe'],
  [
    28,
    '\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9',
  ],
  [30, '\x0a\x0d\x16\u0100'],
]

const codes = new Map<string, string>()
const symbols = new Map<string, string>()
{
  let code = 0
  let before = 0
  for (const [bits, characters] of BY_LENGTH) {
    code *= 2 ** (bits - before)
    before = bits
    for (const character of characters) {
      const text = code.toString(2).padStart(bits, '0')
      codes.set(character, text)
      symbols.set(text, character)
      code++
    }
  }
}

/** Every code, by its character; EOS is U+0100. */
export const huffmanCodes: ReadonlyMap<string, string> = codes

/** Bytes from zeros and ones, filled up with ones. */
export function fromBits(bits: string): Buffer {
  const bytes = bits.match(/.{1,8}/g) ?? []
  return Buffer.from(bytes.map(byte => Number.parseInt(byte.padEnd(8, '1'), 2)))
}

function huffman(text: string): Buffer {
  return fromBits(Array.from(text, character => codes.get(character)).join(''))
}

function fromHuffman(bytes: Buffer): string {
  let text = ''
  let rest = ''
  for (const bit of Array.from(bytes, byte => byte.toString(2).padStart(8, '0')).join('')) {
    rest += bit
    const symbol = symbols.get(rest)
    if (symbol === undefined) continue
    if (symbol === '\u0100') throw new Error('EOS')
    text += symbol
    rest = ''
  }
  if (rest.length > 7 || rest.includes('0')) throw new Error('padding')
  return text
}

export function integer(value: number, bits: number, pattern: number): Buffer {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.from([pattern | value])
  const bytes = [pattern | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

export function string(text: string, coded: boolean): Buffer {
  const bytes = coded ? huffman(text) : Buffer.from(text, 'latin1')
  return Buffer.concat([integer(bytes.length, 7, coded ? 0x80 : 0), bytes])
}

const STATIC =
  `:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|
:status 204|:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|
date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|
link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|
strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
    .replaceAll('\n', '')
    .split('|')
    .map((entry): NaiveField => {
      const [name = '', ...value] = entry.split(' ')
      return [name, value.join(' ')]
    })

/** Throws whatever, where a decoder must find an error. */
export class NaiveDecoder {
  /** The newest first. */
  entries: NaiveField[] = []
  readonly #most: number
  #limit = 4096
  #rest: Buffer = Buffer.alloc(0)

  constructor(most: number) {
    this.#most = most
  }

  decode(block: Buffer): NaiveField[] {
    this.#rest = block
    const fields: NaiveField[] = []
    let updates = 0
    while (this.#rest.length > 0) {
      const first = this.#rest[0] as number
      if (first >= 0x80) fields.push(this.#field(this.#integer(7)))
      else if (first >= 0x40) {
        const field = this.#literal(6)
        fields.push(field)
        this.entries.unshift(field)
        this.#evict()
      } else if (first < 0x20) fields.push(this.#literal(4))
      else {
        if (fields.length > 0 || ++updates > 2) throw new Error('update')
        this.#limit = this.#integer(5)
        if (this.#limit > this.#most) throw new Error('larger')
        this.#evict()
      }
    }
    return fields
  }

  #evict(): void {
    const size = () => this.entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
    while (size() > this.#limit) this.entries.pop()
  }

  #literal(bits: number): NaiveField {
    const index = this.#integer(bits)
    const name = index === 0 ? this.#string() : this.#field(index)[0]
    return [name, this.#string()]
  }

  #field(index: number): NaiveField {
    const field = [...STATIC, ...this.entries][index - 1]
    if (field === undefined) throw new Error('index')
    return field
  }

  #string(): string {
    const coded = (this.#rest[0] ?? 0) >= 0x80
    const bytes = this.#take(this.#integer(7))
    return coded ? fromHuffman(bytes) : bytes.toString('latin1')
  }

  #integer(bits: number): number {
    const most = 2 ** bits - 1
    let value = this.#byte() & most
    if (value < most) return value
    for (let bytes = 0; bytes < 5; bytes++) {
      const byte = this.#byte()
      value += (byte & 127) * 2 ** (7 * bytes)
      if (byte >= 128) continue
      if (value > 2 ** 28) break
      return value
    }
    throw new Error('integer')
  }

  #byte(): number {
    return this.#take(1)[0] as number
  }

  #take(length: number): Buffer {
    if (length > this.#rest.length) throw new Error('end')
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }
}
