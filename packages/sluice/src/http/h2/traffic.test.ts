// What moves on a session: what is no flood, and who takes too little of an answer.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { startHttp } from '../../../test/support/http.ts'
import {
  ACK,
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  frame,
  GET,
  headers,
  PING,
  POST,
  SETTINGS,
  settings,
  WINDOW_UPDATE,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { until } from '../../../test/support/sockets.ts'
import { empty, respond, text } from '../index.ts'

const logs = testsInHeldTime()

/** Lets time pass in steps of the sweep, with what the client does in each. */
async function pass(seconds: number, each: (second: number) => unknown): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await each(second)
    vi.advanceTimersByTime(1000)
  }
}

describe('what is no flood', () => {
  it('is a client that keeps its session open with PINGs', async () => {
    const { port } = await startHttp(() => new Promise(() => undefined))
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)))
    const pings = Buffer.concat(Array.from({ length: 90 }, () => frame(PING, 0, 0, '12345678')))
    await pass(1200, () => {
      client.frames.length = 0
      return client.send(pings).seen()
    })
    expect(client.raw.ended).toBe(false)
    expect(logs).toEqual([])
  })

  it('is a client that measures with a PING for each answer, and opens two windows', async () => {
    const { port } = await startHttp(() => text('hello'))
    const client = await FrameClient.connect(port)
    let stream = 1
    for (let round = 0; round < 60; round++) {
      for (let each = 0; each < 50; each++) {
        client.send(headers(stream, block(...GET)), frame(PING, 0, 0, '12345678'), windowUpdate(0, 5))
        stream += 2
      }
      await client.until(() => client.isDone(stream - 2))
      client.frames.length = 0
      vi.advanceTimersByTime(500)
    }
    expect(client.goaway).toBeUndefined()
    expect(logs).toEqual([])
  })

  it('is an upload in small frames', async () => {
    let length = 0
    const { port } = await startHttp(async ({ body }) => {
      for await (const chunk of body) length += chunk.length
      return text('')
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...POST), 0))
    const frames = Array.from({ length: 10_000 }, () => data(1, '12345'))
    await pass(30, () => client.send(...frames).seen())
    client.send(data(1, '', END_STREAM))
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([200])
    expect(length).toBe(30 * 50_000)
    expect(logs).toEqual([])
  })

  it('is a session’s whole window of uploads that wait for a service that does not read', async () => {
    const { port } = await startHttp(() => new Promise(() => undefined))
    const client = await FrameClient.connect(port)
    // Its settings hold when the client says that it has them.
    await client.until(() => client.frames.some(one => one.type === WINDOW_UPDATE))
    client.send(frame(SETTINGS, ACK, 0))
    for (const stream of [1, 3, 5, 7]) {
      client.send(headers(stream, block(...POST), 0))
      for (let count = 0; count < 15; count++) client.send(data(stream, 'x'.repeat(16_384)))
    }
    await pass(10, () => client.seen())
    expect(client.goaway).toBeUndefined()
    expect(logs).toEqual([])
  })

  it.each([
    ['download', GET],
    ['tunnel', [...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'a'] as const]],
  ])('is a %s with two windows for every 450 bytes', async (_name, request) => {
    const size = 30_000_000
    const { port } = await startHttp(({ upgrade }) => {
      if (upgrade === undefined) return respond(Buffer.alloc(size))
      return {
        ...empty(),
        status: 101,
        tunnel: ({ socket }) => {
          let left = size
          const write = (): void => {
            while (left > 0) {
              left -= 60_000
              if (!socket.write(Buffer.alloc(60_000))) return
            }
          }
          socket.on('drain', write)
          write()
        },
      }
    })
    const client = await FrameClient.connect(port, settings([1, 0], [4, 2 ** 20]))
    client.send(windowUpdate(0, 2 ** 20), headers(1, block(...request), request === GET ? END_STREAM : 0))
    const windows = Buffer.concat(
      Array.from({ length: 100 }, () => Buffer.concat([windowUpdate(0, 450), windowUpdate(1, 450)])),
    )
    let length = 0
    for (let opened = 0; length < size; ) {
      for (const { type, payload } of client.frames.splice(0)) if (type === 0) length += payload.length
      for (; opened < length; opened += 45_000) client.send(windows)
      await turn()
    }
    await client.seen()
    vi.advanceTimersByTime(500)
    await client.seen()
    expect(client.goaway).toBeUndefined()
    expect(logs).toEqual([])
  })
})

describe('an answer over HTTP/2 that waits for its client', () => {
  /** Asks for 200,000 bytes with windows of nothing, and waits until none move any more. */
  async function ask(port: number): Promise<FrameClient> {
    const client = await FrameClient.connect(port, settings([1, 0], [4, 0]))
    client.send(windowUpdate(0, 2 ** 30), headers(1, block(...GET)))
    await client.until(() => client.answer(1).statuses.length === 1)
    await client.seen()
    return client
  }

  const start = () => startHttp(() => respond(Buffer.alloc(200_000)))

  async function isCut(client: FrameClient): Promise<void> {
    await client.until(() => client.isDone(1))
    expect(client.answer(1).reset).toBe('INTERNAL_ERROR')
    expect(logs).toMatchObject([{ code: 'HTTP_WRITE_TIMEOUT' }])
  }

  it('is cut when the client takes nothing for 30 s', async () => {
    const { port } = await start()
    const client = await ask(port)
    await pass(29, () => client.seen())
    expect(client.answer(1).reset).toBeUndefined()
    await pass(2, () => client.seen())
    await isCut(client)
  })

  it('is cut when the client takes a byte a second', async () => {
    const { port } = await start()
    const client = await ask(port)
    await pass(31, () => client.send(windowUpdate(1, 1)).seen())
    await isCut(client)
  })

  it('goes on for a client that is slow, but not as slow as that', async () => {
    const { port } = await start()
    const client = await ask(port)
    await pass(200, () => client.send(windowUpdate(1, 400)).seen())
    expect(client.answer(1).reset).toBeUndefined()
    client.send(windowUpdate(1, 200_000))
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ ended: true, reset: undefined })
    expect(client.answer(1).body).toHaveLength(200_000)
    expect(logs).toEqual([])
  })

  it('is cut in the end when the client takes others, but not this one', async () => {
    const { port } = await startHttp(({ path }) => respond(path === '/' ? Buffer.alloc(20_000) : unlimited()))
    const client = await FrameClient.connect(port, settings([1, 0], [4, 0]))
    const other = headers(3, block(...fields(GET, { ':path': '/other' })))
    client.send(windowUpdate(0, 2 ** 30), headers(1, block(...GET)), other)
    await client.until(() => client.answer(3).statuses.length === 1)
    await pass(60, () => client.send(windowUpdate(3, 1000)).seen())
    expect(client.answer(1).reset).toBeUndefined()
    // 20,000 bytes may take 83 s at 240 bytes a second, beside the 30 s.
    await pass(60, () => client.send(windowUpdate(3, 1000)).seen())
    await isCut(client)
    expect(client.answer(3).reset).toBeUndefined()
  })

  it('is cut, like all others of its session, without much memory for any of them', async () => {
    const { port, listener } = await startHttp(() => respond(unlimited()))
    const client = await FrameClient.connect(port, settings([1, 0], [4, 0]))
    const before = process.memoryUsage().rss
    for (let stream = 1; stream < 200; stream += 2) client.send(headers(stream, block(...GET)))
    await client.until(() => client.answer(199).statuses.length === 1)
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    await pass(31, () => client.send(windowUpdate(1, 1)).seen())
    await client.until(() => client.isDone(199))
    expect(logs).toHaveLength(100)
    client.raw.socket.destroy()
    await until(() => listener.counts.serving === 0)
  })
})

async function* unlimited(): AsyncGenerator<Buffer> {
  for (;;) yield Buffer.alloc(16_384)
}
