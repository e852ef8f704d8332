// Uploads of a session in which others, that nobody reads, have filled what may be kept.
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { startHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  headers,
  POST,
  WINDOW_UPDATE,
} from '../../../test/support/http2-frames.ts'
import { text } from '../index.ts'

const logs = testsInHeldTime()

const FRAME = Buffer.alloc(16 * 1024)

describe('an upload that the session has no room for', () => {
  it('does not fail for being slow, and goes on when there is room again', async () => {
    const go = Promise.withResolvers<void>()
    const { port } = await startHttp(async ({ body, path }) => {
      if (path === '/later') await go.promise
      return text(`${(await body.bytes()).length}`)
    })
    const client = await FrameClient.connect(port)
    const credit = () =>
      client.frames
        .filter(({ type, stream }) => type === WINDOW_UPDATE && stream === 0)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535)
    client.send(headers(99, block(...POST), 0)).send(data(99, 'ab'))
    let sent = 2
    fill: for (let stream = 101; stream < 199; stream += 2) {
      client.send(headers(stream, block(...fields(POST, { ':path': '/later' })), 0))
      for (let count = 0; count < 16; count++) {
        if (credit() - sent < FRAME.length) await client.seen()
        if (credit() - sent < FRAME.length) break fill
        client.send(data(stream, FRAME))
        sent += FRAME.length
      }
    }
    expect(sent).toBeLessThan(10 * 1024 * 1024)
    for (let second = 0; second < 60; second++) vi.advanceTimersByTime(1000)
    await client.seen()
    expect(client.isDone(99)).toBe(false)
    expect(logs).toEqual([])
    go.resolve()
    await client.until(() => credit() - sent > 100)
    client.send(data(99, 'cd', END_STREAM))
    await client.until(() => client.isDone(99))
    expect(client.answer(99)).toMatchObject({ statuses: [200], body: '4' })
  })
})
