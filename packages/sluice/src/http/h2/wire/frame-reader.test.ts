import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frame } from '../../../../test/support/http2-frames.ts'
import { type FrameHandler, FrameReader } from './frame-reader.ts'
import { ConnectionError, DATA, FRAME_SIZE, PADDED } from './frames.ts'

interface Read {
  /** What was told, in order; content that comes in pieces is one entry. */
  readonly events: readonly string[]
  readonly error: string | undefined
}

/** Reads bytes that come in pieces. */
function read(pieces: readonly Buffer[]): Read {
  const events: string[] = []
  let content = false
  const say = (event: string): void => {
    content = false
    events.push(event)
  }
  const handler: FrameHandler = {
    frame: (type, flags, stream, bytes, start, end) =>
      say(`${type} ${flags} ${stream} ${bytes.toString('hex', start, end)}`),
    dataBegins: (stream, flags, length, padding) => say(`data ${stream} ${flags} ${length} ${padding}`),
    data: chunk => {
      if (content) events[events.length - 1] += chunk.toString('hex')
      else say(chunk.toString('hex'))
      content = true
    },
    dataEnds: () => say('data ends'),
  }
  const reader = new FrameReader(handler)
  try {
    for (const piece of pieces) reader.read(piece)
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    return { events, error: error.message }
  }
  return { events, error: undefined }
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...at.map(each => each % (bytes.length + 1)).sort((one, other) => one - other), bytes.length]
  return ends
    .map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
    .filter(({ length }) => length > 0)
}

const anyFrame = fc
  .tuple(fc.nat(12), fc.nat(255), fc.nat(2 ** 31 - 1), fc.uint8Array({ maxLength: 40 }))
  .map(([type, flags, stream, payload]) => frame(type, flags, stream, Buffer.from(payload)))

/** DATA with padding that fits. */
const padded = fc
  .tuple(fc.nat(5), fc.uint8Array({ maxLength: 30 }), fc.nat(20))
  .map(([stream, content, padding]) =>
    frame(DATA, PADDED, stream, Buffer.concat([Buffer.of(padding), content, Buffer.alloc(padding)])),
  )

describe('FrameReader', () => {
  it('tells the same however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyFrame, padded, fc.uint8Array({ maxLength: 12 }))),
        fc.array(fc.nat()),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames)
          const whole = read([bytes])
          expect(read(cut(bytes, cuts))).toEqual(whole)
          expect(read(Array.from(bytes, byte => Buffer.of(byte)))).toEqual(whole)
        },
      ),
    )
  })

  it('tells of every frame, with all of its payload', () => {
    fc.assert(
      fc.property(fc.array(anyFrame), frames => {
        const plain = frames.filter(bytes => bytes[3] !== DATA)
        const told = plain.map(
          bytes => `${bytes[3]} ${bytes[4]} ${bytes.readUInt32BE(5)} ${bytes.toString('hex', 9)}`,
        )
        expect(read([Buffer.concat(plain)])).toEqual({ events: told, error: undefined })
      }),
    )
  })

  it.each<readonly [what: string, bytes: Buffer, events: readonly string[]]>([
    ['nothing', frame(DATA, 0, 1), ['data 1 0 0 0', 'data ends']],
    ['content', frame(DATA, 1, 1, 'ab'), ['data 1 1 2 0', '6162', 'data ends']],
    ['padding alone', frame(DATA, PADDED, 1, '\x02\0\0'), ['data 1 8 3 3', 'data ends']],
    ['a length of padding alone', frame(DATA, PADDED, 1, '\0'), ['data 1 8 1 1', 'data ends']],
    ['both', frame(DATA, PADDED, 1, '\x01ab\0'), ['data 1 8 4 2', '6162', 'data ends']],
  ])('reads DATA of %s', (_what, bytes, events) => {
    expect(read([bytes])).toEqual({ events, error: undefined })
    expect(read(Array.from(bytes, byte => Buffer.of(byte)))).toEqual({ events, error: undefined })
  })

  it.each([
    ['is one byte too long', frame(4, 0, 0, Buffer.alloc(FRAME_SIZE + 1))],
    ['is all padding, and more', frame(DATA, PADDED, 1, '\x01')],
  ])('refuses a frame that %s', (_what, bytes) => {
    const { events, error } = read([bytes])
    expect(events).toEqual([])
    expect(error).toBeDefined()
  })

  it('reads the largest frame in single bytes', () => {
    const bytes = frame(4, 0, 0, Buffer.alloc(FRAME_SIZE, 7))
    expect(read(Array.from(bytes, byte => Buffer.of(byte)))).toEqual(read([bytes]))
  })
})
