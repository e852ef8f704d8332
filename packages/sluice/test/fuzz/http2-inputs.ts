// Changes sequences of HTTP/2 frames from those of the corpus: frames come in another order, twice or not at all, on other
// streams, with other flags, lengths and contents.
import {
  block,
  data,
  END_STREAM,
  fields,
  frame,
  GET,
  headers,
  indexed,
  literal,
  POST,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from '../support/http2-frames.ts'
import { framesOf } from '../support/http2-judge.ts'
import type { Random } from '../support/random.ts'

const PATHS = [
  '/echo',
  '/read',
  '/early',
  '/throw',
  '/never',
  '/info',
  '/pause',
  '/cancel',
  '/trailers',
  '/leave',
]
const SIZES = [0, 1, 2, 3, 100, 1023, 1024, 1025, 5000] as const
const INCREMENTS = [0, 1, 2, 10, 1000, 65_535, 2 ** 31 - 1] as const
const WINDOWS = [0, 1, 10, 65_535, 100_000, 2 ** 31 - 1, 2 ** 31] as const
const LONGEST = 40_000

/** A frame that a client could send, as a rule. */
function fresh(random: Random, stream: number): Buffer {
  const to = { ':path': random.pick(PATHS) }
  switch (random.below(14)) {
    case 0:
    case 1:
      return headers(stream, block(...fields(GET, to)))
    case 2:
    case 3:
      return headers(stream, block(...fields(POST, to)), 0)
    case 4:
      return headers(stream, block(...fields(POST, to, ['content-length', `${random.pick(SIZES)}`])), 0)
    case 5:
      return headers(stream, block(...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'websocket']), 0)
    case 6:
    case 7:
      return data(stream, Buffer.alloc(random.pick(SIZES), stream), random.below(2) * END_STREAM)
    case 8:
      return headers(stream, block(['x-trailer', 'y']), END_STREAM)
    case 9:
      return rstStream(stream)
    case 10:
      return windowUpdate(random.below(2) * stream, random.pick(INCREMENTS))
    case 11:
      return settings([random.below(9), random.pick(WINDOWS)], [1, random.below(2) * random.below(5000)])
    case 12:
      return headers(
        stream,
        Buffer.concat([
          block(...fields(POST, to)),
          literal('x', 'y'.repeat(random.below(50)), true),
          indexed(62),
        ]),
        0,
      )
    default:
      return frame(
        random.below(11),
        random.below(256),
        random.below(2) * stream,
        uint32(random.below(2 ** 31)),
      )
  }
}

/** A few changes to an input. */
export function mutateFrames(random: Random, input: Buffer, others: readonly Buffer[]): Buffer {
  const frames = framesOf(input).map(one => frame(one.type, one.flags, one.stream, one.payload))
  for (let changes = 1 + random.below(8); changes > 0; changes--) change(random, frames, others)
  return Buffer.concat(frames).subarray(0, LONGEST)
}

function change(random: Random, frames: Buffer[], others: readonly Buffer[]): void {
  const at = random.below(frames.length + 1)
  const one = frames[at]
  const stream = 2 * random.below(8) + 1
  if (one === undefined || random.below(3) === 0) {
    frames.splice(at, 0, fresh(random, stream))
    return
  }
  const changed = Buffer.from(one)
  switch (random.below(9)) {
    case 0:
      frames.splice(at, 1)
      return
    case 1:
      frames.splice(random.below(frames.length + 1), 0, changed)
      return
    case 2:
      frames.splice(at, 1)
      frames.splice(random.below(frames.length + 1), 0, changed)
      return
    case 3:
      changed.writeUInt32BE(random.below(10) === 0 ? random.below(2 ** 32) : stream, 5)
      break
    case 4:
      changed[4] = (changed[4] as number) ^ (1 << random.below(8))
      break
    case 5:
      changed[3] = random.below(11)
      break
    case 6:
      if (changed.length > 9) changed[9 + random.below(changed.length - 9)] = random.below(256)
      break
    case 7: {
      const [type, flags] = [changed[3] as number, changed[4] as number]
      const payload = changed.subarray(9, 9 + random.below(changed.length))
      frames[at] = frame(type, flags, changed.readUInt32BE(5), payload)
      return
    }
    default: {
      const theirs = framesOf(random.pick(others)).slice(-random.below(6))
      frames.splice(
        at,
        0,
        ...theirs.map(other => frame(other.type, other.flags, other.stream, other.payload)),
      )
      return
    }
  }
  frames[at] = changed
}
