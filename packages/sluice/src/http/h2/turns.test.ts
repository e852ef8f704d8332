// Answers that wait for their turn, where a client takes many at once and is slow.
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { startHttp } from '../../../test/support/http.ts'
import {
  block,
  FrameClient,
  GET,
  headers,
  settings,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { Body, text } from '../index.ts'

const logs = testsInHeldTime()

const CHUNK = 16 * 1024

/** A body without end, in chunks of 16 KB, as fast as it is taken. */
function endless(): Body {
  let paused = false
  let flow: () => void = () => undefined
  return Body.of({
    start: sink => {
      flow = () => {
        while (!paused) sink.data(Buffer.alloc(CHUNK))
      }
      setImmediate(flow)
    },
    pause: () => {
      paused = true
    },
    resume: () => {
      paused = false
      flow()
    },
    cancel: () => {
      paused = true
    },
  })
}

describe('an answer that waits for its turn', () => {
  it('is not cut while the client takes others, though none of it is in line', async () => {
    const { port } = await startHttp(() => ({ ...text(''), body: endless() }))
    const client = await FrameClient.connect(port, settings([1, 0], [4, 2 ** 31 - 1]))
    const streams = Array.from({ length: 60 }, (_each, index) => 2 * index + 1)
    // Room for four chunks, which the first takes; from then on, one chunk a second for all.
    client.send(windowUpdate(0, 1), ...streams.map(stream => headers(stream, block(...GET))))
    for (let second = 0; second < 130; second++) {
      client.send(windowUpdate(0, CHUNK))
      await client.seen()
      vi.advanceTimersByTime(1000)
    }
    expect(logs).toEqual([])
    for (const stream of streams) expect(client.answer(stream).body.length).toBeGreaterThanOrEqual(CHUNK)
  })
})
