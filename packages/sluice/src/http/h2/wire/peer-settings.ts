// SETTINGS of a client (RFC 9113, section 6.5).
import {
  ConnectionError,
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  ENHANCE_YOUR_CALM,
  FIRST_WINDOW,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE,
  FRAME_SIZE_ERROR,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  LARGEST_WINDOW,
  MAX_FRAME_SIZE,
  PROTOCOL_ERROR,
} from './frames.ts'

/** Settings in one frame: there are seven, and clients send some that mean nothing, to see whether that is borne. */
const MOST = 32

export interface PeerSettings {
  /** How much each stream takes before it says more. */
  readonly window: number
  readonly frameSize: number
  /** The table that our fields may use; undefined if nothing was said. */
  readonly tableSize: number | undefined
  /** The smallest that the frame said, as it may say several: the client's table was that small meanwhile. */
  readonly smallestTable: number | undefined
}

export const FIRST_SETTINGS: PeerSettings = {
  window: FIRST_WINDOW,
  frameSize: FRAME_SIZE,
  tableSize: undefined,
  smallestTable: undefined,
}

/**
 * What holds after a SETTINGS frame.
 *
 * @throws {ConnectionError}
 */
export function readSettings(bytes: Buffer, start: number, end: number, before: PeerSettings): PeerSettings {
  const length = end - start
  if (length % 6 !== 0) throw new ConnectionError(FRAME_SIZE_ERROR, `SETTINGS have ${length} bytes`)
  if (length > 6 * MOST)
    throw new ConnectionError(ENHANCE_YOUR_CALM, `there are ${length / 6} settings at once`)
  let { window, frameSize, tableSize } = before
  let smallestTable: number | undefined
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2)
    switch (bytes.readUInt16BE(at)) {
      case HEADER_TABLE_SIZE:
        tableSize = value
        smallestTable = Math.min(value, smallestTable ?? value)
        break
      case ENABLE_PUSH:
      case ENABLE_CONNECT_PROTOCOL:
        if (value > 1) throw new ConnectionError(PROTOCOL_ERROR, 'a setting that is on or off is neither')
        break
      case INITIAL_WINDOW_SIZE:
        if (value > LARGEST_WINDOW) throw new ConnectionError(FLOW_CONTROL_ERROR, 'a window is too large')
        window = value
        break
      case MAX_FRAME_SIZE:
        if (value < FRAME_SIZE || value >= 2 ** 24) {
          throw new ConnectionError(PROTOCOL_ERROR, `a largest frame of ${value} bytes can't be`)
        }
        frameSize = value
    }
  }
  return { window, frameSize, tableSize, smallestTable }
}
