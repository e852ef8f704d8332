// A client of HTTP/2 that is made of frames: it sends what a test says, right or wrong, and keeps the frames that come
// back. Fields are written as literals or as indices (RFC 7541), never by an encoder that would know better.
import { RawClient } from './http.ts'

const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8
export const PRIORITIZED = 32

/** Error codes (RFC 9113, 7), by their number. */
export const ERRORS = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT'],
  ...['STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR'],
  ...['CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
] as const

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]))
  return frame(SETTINGS, 0, 0, Buffer.concat(payload))
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(WINDOW_UPDATE, 0, stream, uint32(increment))
}

export function rstStream(stream: number, code: (typeof ERRORS)[number] = 'CANCEL'): Buffer {
  return frame(RST_STREAM, 0, stream, uint32(ERRORS.indexOf(code)))
}

export function data(stream: number, bytes: string | Buffer, flags: number = 0): Buffer {
  return frame(DATA, flags, stream, bytes)
}

/** A HEADERS frame with all of its fields. */
export function headers(stream: number, block: Buffer, flags: number = END_STREAM): Buffer {
  return frame(HEADERS, flags | END_HEADERS, stream, block)
}

/** An integer with a prefix of so many bits (RFC 7541, 5.1); `pattern` has the bits before it. */
function integer(value: number, bits: number, pattern: number): Buffer {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.from([pattern | value])
  const bytes = [pattern | most]
  for (let rest = value - most; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 128)
  }
}

function string(text: string): Buffer {
  return Buffer.concat([integer(text.length, 7, 0), Buffer.from(text, 'latin1')])
}

/** A field of a name of its own: not indexed, or added to the dynamic table. */
export function literal(name: string, value: string, added: boolean = false): Buffer {
  return Buffer.concat([Buffer.from([added ? 0x40 : 0]), string(name), string(value)])
}

/** A field that a table has: the static one up to 61, from 62 on what was added, the newest first. */
export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80)
}

export type Fields = readonly (readonly [name: string, value: string])[]

/** Fields as literals, in this order. */
export function block(...fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(name, value)))
}

export const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
]
export const POST: Fields = [[':method', 'POST'], ...GET.slice(1)]

/** The fields of a request, some of them replaced (or removed: by undefined), and others behind them. */
export function fields(
  base: Fields,
  replaced: Readonly<Record<string, string | undefined>>,
  ...more: Fields
): Fields {
  const kept = base.flatMap(([name, value]) => {
    const other = name in replaced ? replaced[name] : value
    return other === undefined ? [] : [[name, other] as const]
  })
  return [...kept, ...more]
}

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** What came on a stream. */
export interface StreamAnswer {
  /** The statuses of all its field sections but trailers. */
  readonly statuses: readonly number[]
  readonly body: string
  readonly ended: boolean
  /** The error that it was reset with. */
  readonly reset: string | undefined
}

/** One connection of such a client. */
export class FrameClient {
  readonly raw: RawClient
  readonly frames: Frame[] = []
  #bytes = Buffer.alloc(0)

  private constructor(raw: RawClient) {
    this.raw = raw
    raw.socket.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  /**
   * Connects and sends the preface, with SETTINGS that keep the peer from indexing fields, as there is no table here.
   *
   * @param first SETTINGS in place of those, or whatever comes after the preface
   */
  static async connect(port: number, first: Buffer = settings([1, 0])): Promise<FrameClient> {
    const client = new FrameClient(await RawClient.connect(port))
    client.raw.send(Buffer.concat([PREFACE, first]))
    return client
  }

  send(...frames: readonly Buffer[]): this {
    this.raw.send(Buffer.concat(frames))
    return this
  }

  async until(holds: () => boolean): Promise<this> {
    await this.raw.until(holds)
    return this
  }

  /** Settled when the server has ended or broken the connection. */
  async over(): Promise<this> {
    await this.raw.over()
    return this
  }

  /** Settled when the server has answered a PING, and so has seen all that was sent before, or is gone. */
  async seen(): Promise<this> {
    const before = this.#pongs
    this.send(frame(PING, 0, 0, 'are seen'))
    await this.raw.until(() => this.#pongs > before || this.isOver)
    return this
  }

  /** Whether the server has ended or broken the connection. */
  get isOver(): boolean {
    const { ended, failed, socket } = this.raw
    return ended || failed !== undefined || socket.destroyed
  }

  /** The error that the connection was ended with. */
  get goaway(): string | undefined {
    const last = this.frames.findLast(one => one.type === GOAWAY)
    return last === undefined ? undefined : ERRORS[last.payload.readUInt32BE(4)]
  }

  /** What has come on a stream so far. */
  answer(stream: number): StreamAnswer {
    const own = this.frames.filter(one => one.stream === stream)
    const reset = own.find(one => one.type === RST_STREAM)
    return {
      statuses: own
        .filter(one => one.type === HEADERS)
        .map(one => statusOf(one.payload))
        .filter(status => status !== undefined),
      body: own
        .filter(one => one.type === DATA)
        .map(one => one.payload.toString('latin1'))
        .join(''),
      ended: own.some(one => one.type <= HEADERS && (one.flags & END_STREAM) !== 0),
      reset: reset === undefined ? undefined : ERRORS[reset.payload.readUInt32BE(0)],
    }
  }

  /** Whether a stream has its whole answer, or was reset. */
  isDone(stream: number): boolean {
    const { ended, reset } = this.answer(stream)
    return ended || reset !== undefined
  }

  get #pongs(): number {
    return this.frames.filter(one => one.type === PING && one.flags === ACK).length
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    while (this.#bytes.length >= 9) {
      const bytes = this.#bytes
      const length = bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      const payload = bytes.subarray(9, 9 + length)
      const stream = bytes.readUInt32BE(5)
      const type = bytes[3] as number
      const flags = bytes[4] as number
      this.frames.push({ type, flags, stream, payload })
      // As every client does, whatever the test is about.
      if (type === PING && flags === 0) this.send(frame(PING, ACK, 0, payload))
      this.#bytes = bytes.subarray(9 + length)
    }
  }
}

const STATUSES = [200, 204, 206, 304, 400, 404, 500]

/** `:status`, which a field section of a response begins with; undefined for trailers. */
function statusOf(fieldSection: Buffer): number | undefined {
  let at = 0
  // Changes of the table's size come first.
  while (((fieldSection[at] as number) & 0xe0) === 0x20) at += (fieldSection[at] as number) === 0x3f ? 2 : 1
  const first = fieldSection[at] as number
  if (first >= 0x88 && first <= 0x8e) return STATUSES[first - 0x88]
  // A literal with the name of one of those: with indexing, without, or never.
  const index = (first & 0xc0) === 0x40 ? first & 0x3f : first & 0x0f
  if (first >= 0x80 || index < 8 || index > 14) return undefined
  const length = fieldSection[at + 1] as number
  const text = fieldSection.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number(length < 0x80 ? text.toString('latin1') : digits(text))
}

/** Digits in the Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, 3 to 9 six, from 25 on. */
function digits(bytes: Buffer): string {
  let bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  let text = ''
  while (bits.length >= 5) {
    const five = Number.parseInt(bits.slice(0, 5), 2)
    const six = Number.parseInt(bits.slice(0, 6), 2) - 22
    if (five > 2 && (bits.length < 6 || six < 3 || six > 9)) break
    text += five <= 2 ? five : six
    bits = bits.slice(five <= 2 ? 5 : 6)
  }
  return text
}
