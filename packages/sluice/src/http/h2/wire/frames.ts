// The frames of HTTP/2 (RFC 9113, sections 4 and 6) as they are written: text with one character for each byte, so that
// what is sent in one turn is put together and handed over as one string.

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const PRIORITIZED = 0x20

/** Bytes before the payload of a frame. */
export const HEAD = 9

/** How large a frame may be as long as nobody said otherwise (RFC 9113, 6.5.2); we never say otherwise. */
export const FRAME_SIZE = 16_384

/** The largest flow-control window (RFC 9113, 6.9.1). */
export const LARGEST_WINDOW: number = 2 ** 31 - 1

/** The window of a session, and of a stream as long as no setting says otherwise (RFC 9113, 6.9.2). */
export const FIRST_WINDOW = 65_535

/** Error codes (RFC 9113, section 7). */
export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11

/** Settings (RFC 9113, 6.5.2 and RFC 8441, 3). */
export const HEADER_TABLE_SIZE = 1
export const ENABLE_PUSH = 2
export const MAX_CONCURRENT_STREAMS = 3
export const INITIAL_WINDOW_SIZE = 4
export const MAX_FRAME_SIZE = 5
export const MAX_HEADER_LIST_SIZE = 6
export const ENABLE_CONNECT_PROTOCOL = 8

/** What the peer did that ends the connection, with the code for GOAWAY. */
export class ConnectionError extends Error {
  readonly code: number

  constructor(code: number, what: string) {
    super(what)
    this.name = 'ConnectionError'
    this.code = code
  }
}

/** The nine bytes before a payload of so many bytes. */
export function frameHead(length: number, type: number, flags: number, stream: number): string {
  return String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    stream >>> 24,
    (stream >>> 16) & 0xff,
    (stream >>> 8) & 0xff,
    stream & 0xff,
  )
}

/** The fields of a message: HEADERS, and CONTINUATION where they do not fit into one frame. */
export function headersFrames(stream: number, block: string, ends: boolean, most: number): string {
  const flags = ends ? END_STREAM : 0
  if (block.length <= most) return frameHead(block.length, HEADERS, flags | END_HEADERS, stream) + block
  let frames = frameHead(most, HEADERS, flags, stream) + block.slice(0, most)
  for (let at = most; at < block.length; at += most) {
    const part = block.slice(at, at + most)
    const last = at + most >= block.length
    frames += frameHead(part.length, CONTINUATION, last ? END_HEADERS : 0, stream) + part
  }
  return frames
}

export function rstStreamFrame(stream: number, code: number): string {
  return frameHead(4, RST_STREAM, 0, stream) + uint32(code)
}

export function windowUpdateFrame(stream: number, increment: number): string {
  return frameHead(4, WINDOW_UPDATE, 0, stream) + uint32(increment)
}

/** @param last the last stream that was, or may be, acted on */
export function goawayFrame(last: number, code: number): string {
  return frameHead(8, GOAWAY, 0, 0) + uint32(last) + uint32(code)
}

/** @param pairs setting, value, setting, value … */
export function settingsFrame(pairs: readonly number[]): string {
  let payload = ''
  for (let at = 0; at < pairs.length; at += 2) {
    payload += `\0${String.fromCharCode(pairs[at] as number)}${uint32(pairs[at + 1] as number)}`
  }
  return frameHead(payload.length, SETTINGS, 0, 0) + payload
}

export const SETTINGS_ACK: string = frameHead(0, SETTINGS, ACK, 0)

/** @param payload eight bytes */
export function pingFrame(payload: string, flags: number = 0): string {
  return frameHead(8, PING, flags, 0) + payload
}

function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}
