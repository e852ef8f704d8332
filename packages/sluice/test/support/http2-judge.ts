// Reads what a server of HTTP/2 has sent, as strictly as the RFC allows a client to: it throws what must not be.
import { ok } from 'node:assert'
import {
  type Frame,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './http2-frames.ts'
import { NaiveDecoder, type NaiveField } from './naive-hpack.ts'

const DATA = 0
const CONTINUATION = 9
const HEAD = 9
const TABLE = 4096
const INITIAL_WINDOW_SIZE = 4
const MAX_FRAME_SIZE = 5
const FIRST_WINDOW = 65_535
const FIRST_FRAME_SIZE = 16_384

/** What came on a stream. */
interface JudgedStream {
  readonly sections: NaiveField[][]
  readonly body: Buffer[]
  ended: boolean
  reset: number | undefined
}

export interface Judged {
  readonly streams: ReadonlyMap<number, JudgedStream>
  /** The codes of GOAWAY. */
  readonly goaways: readonly number[]
  /** What the server lets its client send for all streams, and how much more than at first on a stream. */
  readonly windows: ReadonlyMap<number, number>
}

/** Frames as they lie in bytes; what is no whole frame at the end is left out. */
export function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at + HEAD <= bytes.length; ) {
    const end = at + HEAD + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    const [type, flags] = [bytes[at + 3] as number, bytes[at + 4] as number]
    const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
    frames.push({ type, flags, stream, payload: bytes.subarray(at + HEAD, end) })
    at = end
  }
  return frames
}

/** The most that a client which sent these frames ever let a server send: for all streams (0), for each, and in a frame. */
function allowed(sent: readonly Frame[]): { window(stream: number): number; frameSize: number } {
  let initial = FIRST_WINDOW
  let frameSize = FIRST_FRAME_SIZE
  const more = new Map<number, number>()
  for (const { type, stream, payload } of sent) {
    if (type === WINDOW_UPDATE && payload.length === 4) {
      more.set(stream, (more.get(stream) ?? 0) + (payload.readUInt32BE(0) & 0x7fff_ffff))
    }
    if (type !== SETTINGS) continue
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE) initial = Math.max(initial, value)
      if (payload.readUInt16BE(at) === MAX_FRAME_SIZE) frameSize = Math.max(frameSize, value)
    }
  }
  return { frameSize, window: stream => (stream === 0 ? FIRST_WINDOW : initial) + (more.get(stream) ?? 0) }
}

/** @param sent what the client has sent: nothing but what that allows may have come */
export function judge(received: Buffer, sent: readonly Frame[]): Judged {
  const decoder = new NaiveDecoder(TABLE)
  const streams = new Map<number, JudgedStream>()
  const goaways: number[] = []
  const windows = new Map<number, number>()
  const limits = allowed(sent)
  let total = 0
  let block: { stream: number; parts: Buffer[]; ends: boolean } | undefined
  const streamOf = (id: number): JudgedStream => {
    ok(id % 2 === 1, `a frame is on stream ${id}`)
    const known = streams.get(id) ?? { sections: [], body: [], ended: false, reset: undefined }
    streams.set(id, known)
    return known
  }
  const open = (id: number, what: string): JudgedStream => {
    const stream = streamOf(id)
    ok(!stream.ended && stream.reset === undefined, `${what} came behind the end of stream ${id}`)
    return stream
  }
  const section = (id: number, parts: readonly Buffer[], ends: boolean): void => {
    const stream = open(id, 'HEADERS')
    const fields = decoder.decode(Buffer.concat(parts))
    const isHead = fields[0]?.[0] === ':status'
    ok(isHead || isFinal(stream.sections.at(-1)), `a first head without :status on stream ${id}`)
    ok(
      isHead ? !stream.sections.some(isFinal) : ends,
      `another head, or trailers that end nothing, on stream ${id}`,
    )
    stream.sections.push(fields)
    stream.ended = ends
  }
  for (const { type, flags, stream: id, payload } of framesOf(received)) {
    ok(payload.length <= limits.frameSize, `a frame has ${payload.length} bytes`)
    ok(block === undefined || (type === CONTINUATION && id === block.stream), 'a block is interrupted')
    switch (type) {
      case HEADERS:
        block = { stream: id, parts: [payload], ends: (flags & 1) !== 0 }
        break
      case CONTINUATION:
        ok(block !== undefined, 'CONTINUATION continues nothing')
        block.parts.push(payload)
        break
      case DATA: {
        const stream = open(id, 'DATA')
        ok(isFinal(stream.sections.at(-1)), `DATA came before the head on stream ${id}`)
        stream.body.push(payload)
        stream.ended = (flags & 1) !== 0
        total += payload.length
        const length = stream.body.reduce((sum, part) => sum + part.length, 0)
        ok(length <= limits.window(id), `more DATA than stream ${id} has room for`)
        break
      }
      case RST_STREAM: {
        // An answer may have ended before, and the rest of the request is not wanted.
        const stream = streamOf(id)
        ok(stream.reset === undefined, `stream ${id} is reset twice`)
        stream.reset = payload.readUInt32BE(0)
        break
      }
      case GOAWAY:
        ok(id === 0, 'GOAWAY is on a stream')
        goaways.push(payload.readUInt32BE(4))
        break
      case WINDOW_UPDATE:
        ok(payload.readUInt32BE(0) > 0, 'a window is opened by nothing')
        windows.set(id, (windows.get(id) ?? 0) + payload.readUInt32BE(0))
        break
      default:
        ok(type === SETTINGS || type === PING || type === PRIORITY, `a frame of type ${type}`)
    }
    if (block !== undefined && (flags & 4) !== 0) {
      section(block.stream, block.parts, block.ends)
      block = undefined
    }
  }
  ok(total <= limits.window(0), 'more DATA than the session has room for')
  return { streams, goaways, windows }
}

function isFinal(section: NaiveField[] | undefined): boolean {
  return section?.[0]?.[0] === ':status' && !section[0][1].startsWith('1')
}
