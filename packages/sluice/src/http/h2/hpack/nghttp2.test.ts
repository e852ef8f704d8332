// HPACK against that of node:http2 (nghttp2 on Node): what each encodes, the other reads.
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  HEADERS,
  SETTINGS,
  settings,
} from '../../../../test/support/http2-frames.ts'
import { HpackDecoder } from './decoder.ts'
import { HpackEncoder } from './encoder.ts'

type Field = readonly [name: string, value: string]

const HEADER_TABLE_SIZE = 1

const pseudo: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
]

/** Fields of requests that came, and of the answers to them; answers are taken from the front. */
const requests: Field[][] = []
const answers: Field[][] = []

/** Without a date, which would be a field that no answer here has. */
const UNDATED = { endStream: true, sendDate: false }

function answer(stream: ServerHttp2Stream, raw: readonly string[]): void {
  const fields: Field[] = []
  for (let at = 0; at < raw.length; at += 2) fields.push([raw[at] as string, raw[at + 1] as string])
  requests.push(fields)
  const headers = Object.fromEntries([[':status', '200'], ...(answers.shift() ?? [])])
  stream.respond(headers, UNDATED)
}

let server: Http2Server
beforeAll(async () => {
  server = await serving()
})
afterAll(() => {
  server.close()
})

function serving(headerTableSize?: number): Promise<Http2Server> {
  const made = createServer({
    maxHeaderListPairs: 1000,
    settings: { maxHeaderListSize: 1_000_000, ...(headerTableSize === undefined ? {} : { headerTableSize }) },
  })
  made.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
    stream.on('error', () => undefined)
    answer(stream, raw)
  })
  return new Promise(resolve => {
    made.listen(0, '127.0.0.1', () => resolve(made))
  })
}

/** A connection with an encoder and a decoder of ours. */
class Peer {
  readonly decoder: HpackDecoder
  readonly encoder = new HpackEncoder()
  readonly #client: FrameClient
  #stream = -1

  private constructor(client: FrameClient, tableSize: number) {
    this.#client = client
    this.decoder = new HpackDecoder(tableSize)
  }

  /** Connected, with the settings of both sides in force. */
  static async connect(to: Http2Server, tableSize: number): Promise<Peer> {
    const { port } = to.address() as AddressInfo
    const client = await FrameClient.connect(port, settings([HEADER_TABLE_SIZE, tableSize]))
    const peer = new Peer(client, tableSize)
    const own = () => client.frames.find(({ type, flags }) => type === SETTINGS && flags === 0)
    await client.until(() => own() !== undefined)
    const payload = own()?.payload ?? Buffer.alloc(0)
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) === HEADER_TABLE_SIZE)
        peer.encoder.tableLimit = payload.readUInt32BE(at + 2)
    }
    client.send(frame(SETTINGS, 1, 0))
    return peer
  }

  /** @returns the fields of the answer */
  async ask(fields: readonly Field[]): Promise<Field[]> {
    const { encoder } = this
    const block = fields.reduce((text, [name, value]) => text + encoder.field(name, value), encoder.begin())
    this.#stream += 2
    const stream = this.#stream
    const size = 16_000
    for (let at = 0; at < block.length; at += size) {
      const flags = (at === 0 ? END_STREAM : 0) | (at + size >= block.length ? END_HEADERS : 0)
      this.#client.send(frame(at === 0 ? HEADERS : CONTINUATION, flags, stream, block.slice(at, at + size)))
    }
    await this.#client.until(() => this.#client.isDone(stream))
    const parts = this.#client.frames.filter(
      one => one.stream === stream && (one.type === HEADERS || one.type === CONTINUATION),
    )
    const whole = Buffer.concat(parts.map(({ payload }) => payload))
    return this.decoder
      .decode(whole, 0, whole.length, 1_000_000, 1000)
      .map(({ name, value }): Field => [name, value])
  }

  close(): void {
    this.#client.raw.socket.destroy()
  }
}

const character = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0x21, max: 0x7e }) },
  fc.integer({ min: 0x80, max: 0xff }),
)
const text = fc.string({
  unit: character.map(code => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 80,
})
const field: fc.Arbitrary<Field> = fc.tuple(
  fc.oneof(
    fc.constantFrom('server', 'content-type', 'cache-control', 'x-frame-options', 'nel', 'x-own', 'x-other'),
    fc
      .string({
        unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_'),
        minLength: 1,
        maxLength: 30,
      })
      .map(name => `x-${name}`),
  ),
  fc.oneof(fc.constantFrom('a', 'nginx', 'text/html; charset=utf-8'), text),
)
const section = fc.uniqueArray(field, { maxLength: 20, selector: ([name]) => name })
const exchanges = fc.array(fc.tuple(section, section), { minLength: 1, maxLength: 12 })

describe.each([
  ['tables of 4096 bytes', undefined, 4096],
  ['small tables', 300, 200],
  ['no tables', 0, 0],
  ['a large table of ours', 65_536, 65_536],
])('with %s', (_title, theirs, ours) => {
  let other: Http2Server
  beforeAll(async () => {
    other = theirs === undefined ? server : await serving(theirs)
  })
  afterAll(() => {
    if (other !== server) other.close()
  })

  it('nghttp2 reads what we encode, and we read what it does', async () => {
    await fc.assert(
      fc.asyncProperty(exchanges, async all => {
        const peer = await Peer.connect(other, ours)
        for (const [asked, answered] of all) {
          answers.push(answered)
          const seen = await peer.ask([...pseudo, ...asked])
          expect(requests.pop()).toEqual([...pseudo, ...asked])
          expect(seen).toEqual([[':status', '200'], ...answered])
        }
        peer.close()
      }),
      { numRuns: 30 },
    )
  })
})

describe('one connection', () => {
  it('has a thousand answers with fields that repeat, and others that push them out', async () => {
    const peer = await Peer.connect(server, 4096)
    for (let round = 0; round < 1000; round++) {
      const fields: Field[] = [
        ['server', 'own'],
        ['content-type', `kind/${round % 5}`],
        ['cache-control', `max-age=${round >> 4}`],
        ['x-own', `${round % 7}`.repeat(round % 300)],
        ['cookie', `session=${round}`],
      ].map(([name = '', value = '']): Field => [name, value])
      answers.push(fields.slice(0, 4))
      const seen = await peer.ask([...pseudo, ...fields])
      expect(requests.pop()).toEqual([...pseudo, ...fields])
      expect(seen).toEqual([[':status', '200'], ...fields.slice(0, 4)])
    }
    peer.close()
  })

  it('has a head that is longer than a frame', async () => {
    const peer = await Peer.connect(server, 4096)
    const long: Field[] = Array.from({ length: 40 }, (_each, at) => [`x-${at}`, `${at}`.padStart(1000, 'ab')])
    for (let round = 0; round < 3; round++) {
      answers.push(long)
      expect(await peer.ask([...pseudo, ...long])).toEqual([[':status', '200'], ...long])
      expect(requests.pop()).toEqual([...pseudo, ...long])
    }
    peer.close()
  })
})
