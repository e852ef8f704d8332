// Floods over HTTP/2: each ends its session, with one log line, and nothing else suffers.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { startHttp } from '../../../test/support/http.ts'
import {
  ACK,
  block,
  CONTINUATION,
  data,
  END_STREAM,
  FrameClient,
  fields,
  frame,
  GET,
  GOAWAY,
  HEADERS,
  headers,
  indexed,
  literal,
  PADDED,
  PING,
  POST,
  PRIORITY,
  RST_STREAM,
  rstStream,
  SETTINGS,
  settings,
  uint32,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { until } from '../../../test/support/sockets.ts'
import { text } from '../index.ts'

const logs = testsInHeldTime()

/** A service that reads bodies; `/wait` waits for ever without, and `/now` answers without. */
async function start() {
  const counts = { asked: 0 }
  const { port, listener } = await startHttp(async ({ path, body }) => {
    counts.asked++
    if (path === '/wait') await new Promise(() => undefined)
    if (path !== '/now') for await (const _chunk of body);
    return text('hi')
  })
  return { port, listener, counts }
}

/** Sends what `make` gives for 0, 1, 2 …, until the connection ends, or so many times. */
async function flood(client: FrameClient, make: (count: number) => Buffer, most: number): Promise<number> {
  const { socket } = client.raw
  let count = 0
  while (count < most && !socket.destroyed && !client.raw.ended) {
    const batch: Buffer[] = []
    for (let each = 0; each < 200 && count < most; each++) batch.push(make(count++))
    client.send(...batch)
    if (socket.writableNeedDrain) {
      await new Promise<void>(resolve => {
        socket.once('drain', resolve)
        socket.once('close', resolve)
        socket.once('end', resolve)
      })
    } else await turn()
  }
  return count
}

const stream = (count: number) => 2 * count + 1
const to = (path: string, base = GET) => block(...fields(base, { ':path': path }))
const waiting = to('/wait')
const reading = to('/', POST)
const priority = Buffer.from('\0\0\0\0\x10', 'latin1')
/** A head and, after it, the same thing on and on. */
const after = (first: Buffer, then: Buffer) => (count: number) => (count === 0 ? first : then)
const both = (...frames: Buffer[]) => Buffer.concat(frames)
/** A field in the dynamic table, and then 4,000 bytes that each refer to it. */
const bomb = (name: string, value: string) =>
  both(block(...GET), literal(name, value, true), Buffer.alloc(4000, indexed(62)))

describe('an HTTP/2 session', () => {
  it.each<readonly [name: string, most: number, make: (count: number) => Buffer]>([
    // CVE-2023-44487
    [
      'resets by the client (rapid reset)',
      1000,
      count => both(headers(stream(count), waiting), rstStream(stream(count))),
    ],
    [
      'resets of uploads by the client',
      1000,
      count => both(headers(stream(count), reading, 0), rstStream(stream(count))),
    ],
    // MadeYouReset, CVE-2025-8671: the server is brought to reset the streams itself.
    [
      'windows by nothing',
      3000,
      count => both(headers(stream(count), waiting), windowUpdate(stream(count), 0)),
    ],
    [
      'windows that overflow',
      3000,
      count => both(headers(stream(count), waiting), windowUpdate(stream(count), 2 ** 31 - 1)),
    ],
    [
      'DATA on half-closed streams',
      3000,
      count => both(headers(stream(count), waiting), data(stream(count), 'x')),
    ],
    [
      'HEADERS on half-closed streams',
      3000,
      count => both(headers(stream(count), waiting), headers(stream(count), waiting)),
    ],
    [
      'PRIORITY of a wrong length',
      3000,
      count => both(headers(stream(count), waiting), frame(PRIORITY, 0, stream(count), 'x')),
    ],
    [
      'bodies that contradict their length',
      3000,
      count =>
        both(
          headers(stream(count), both(reading, block(['content-length', '5'])), 0),
          data(stream(count), 'x', END_STREAM),
        ),
    ],
    [
      'trailers that are none',
      3000,
      count => both(headers(stream(count), reading, 0), headers(stream(count), block([':x', 'y']))),
    ],
    ['requests that are malformed', 3000, count => headers(stream(count), block(...GET, ['X', 'y']))],
    ['more streams than allowed', 3000, count => headers(stream(count), waiting)],
    // CVE-2024-27316 and others
    [
      'CONTINUATION',
      20_000,
      after(frame(HEADERS, END_STREAM, 1, block(...GET)), frame(CONTINUATION, 0, 1, literal('x', 'y'))),
    ],
    [
      'empty CONTINUATION',
      20_000,
      after(frame(HEADERS, END_STREAM, 1, block(...GET)), frame(CONTINUATION, 0, 1, '')),
    ],
    ['SETTINGS', 1000, () => settings([1, 4096])],
    ['empty SETTINGS', 1000, () => settings()],
    [
      'SETTINGS with thousands of settings',
      100,
      () => settings(...Array.from({ length: 2000 }, () => [4, 65_535] as const)),
    ],
    ['PING', 120_000, () => frame(PING, 0, 0, '12345678')],
    ['empty DATA', 1000, after(headers(1, reading, 0), data(1, ''))],
    ['DATA that is all padding', 200_000, after(headers(1, reading, 0), data(1, '\x01\0', PADDED))],
    ['DATA of a byte', 400_000, after(headers(1, reading, 0), data(1, 'x'))],
    ['PRIORITY', 20_000, count => frame(PRIORITY, 0, stream(count), priority)],
    ['PRIORITY on one stream', 20_000, () => frame(PRIORITY, 0, 1, priority)],
    ['frames of an unknown type', 20_000, () => frame(99, 0, 0, '')],
    ['windows for the connection by 1', 150_000, () => windowUpdate(0, 1)],
    ['windows for a stream by 1', 150_000, after(headers(1, waiting), windowUpdate(1, 1))],
    ['windows for a stream that is done', 150_000, after(headers(1, to('/now')), windowUpdate(1, 1))],
    [
      'RST_STREAM on a stream that is done',
      200_000,
      after(headers(1, to('/now')), frame(RST_STREAM, 0, 1, uint32(8))),
    ],
    ['heads that are bombs', 1000, count => headers(stream(count), bomb('x', 'y'))],
  ])('ends after a flood of %s', async (_name, most, make) => {
    const { port, listener } = await start()
    const other = await FrameClient.connect(port)
    await other.seen()
    const client = await FrameClient.connect(port)
    await flood(client, make, most)
    // What is counted in bytes is looked at twice a second.
    if (!client.raw.ended && client.raw.failed === undefined) {
      await client.seen()
      vi.advanceTimersByTime(500)
    }
    await client.over()
    client.raw.socket.destroy()
    await until(() => listener.counts.serving === 1)
    expect(logs.at(-1)).toMatchObject({
      code: 'HTTP2_PROTOCOL',
      msg: expect.stringContaining('an HTTP/2 session was ended'),
    })
    // What was answered before, as one by one it was no flood.
    const others = logs.slice(0, -1).filter(line => line.code !== 'HTTP_HEAD_TOO_LARGE')
    // And the first stream that was reset because of what came on it.
    expect(others.length).toBeLessThanOrEqual(1)
    for (const line of others) expect(line.msg).toContain('an HTTP/2 request was refused: stream')
    expect(logs.length).toBeLessThan(250)
    other.send(headers(1, block(...GET)))
    await other.until(() => other.isDone(1))
    expect(other.answer(1)).toMatchObject({ statuses: [200], body: 'hi' })
  })

  it('is over at the first GOAWAY of a flood of them', async () => {
    const { port, listener } = await start()
    const client = await FrameClient.connect(port)
    await flood(client, () => frame(GOAWAY, 0, 0, '\0\0\0\0\0\0\0\0'), 2000)
    await client.over()
    client.raw.socket.destroy()
    await until(() => listener.counts.serving === 0)
    expect(logs).toEqual([])
  })

  it('ends after a burst of requests that can not be read, each of which was answered and logged', async () => {
    const { port, counts } = await start()
    const client = await FrameClient.connect(port)
    const refused = block(...fields(GET, { ':scheme': 'ftp' }))
    let count = 0
    while (count < 500 && !client.isOver) {
      for (let each = 0; each < 20; each++) client.send(headers(stream(count++), refused))
      await client.until(() => client.isDone(stream(count - 1)) || client.isOver)
    }
    await client.over()
    expect(count).toBeLessThan(200)
    expect(logs.length).toBeLessThan(250)
    expect(logs.at(-1)).toMatchObject({ code: 'HTTP2_PROTOCOL' })
    expect(counts.asked).toBe(0)
  })

  it('asks no service for what the client has taken back already', async () => {
    const { port, counts } = await start()
    const client = await FrameClient.connect(port)
    client.send(
      ...Array.from({ length: 50 }, (_each, count) =>
        both(headers(stream(count), waiting), rstStream(stream(count))),
      ),
    )
    await client.seen()
    expect(counts.asked).toBe(0)
  })

  it.each([
    ['8 KB of CONTINUATION', 8, 1000, 200],
    ['more than its 32 KB', 8, 5000, 431],
  ])('reads a head with %s', async (_name, frames, size, status) => {
    const { port } = await start()
    const client = await FrameClient.connect(port)
    client.send(frame(HEADERS, END_STREAM, 1, block(...GET)))
    for (let count = 0; count < frames; count++) {
      client.send(
        frame(CONTINUATION, count === frames - 1 ? 4 : 0, 1, literal(`x-${count}`, 'a'.repeat(size))),
      )
    }
    await client.until(() => client.isDone(1))
    const { statuses, reset } = client.answer(1)
    expect(reset === 'ENHANCE_YOUR_CALM' ? 431 : statuses[0]).toBe(status)
  })
})

it('many uploads that nobody reads yet are no flood', async () => {
  const gate = Promise.withResolvers<void>()
  const { port } = await startHttp(async ({ body }) => {
    await gate.promise
    let count = 0
    for await (const chunk of body) count += chunk.length
    return text(String(count))
  })
  const client = await FrameClient.connect(port)
  const streams = Array.from({ length: 20 }, (_each, count) => 1 + 2 * count)
  await client.until(() => client.frames.some(({ type, flags }) => type === SETTINGS && flags === 0))
  client.send(frame(SETTINGS, ACK, 0), ...streams.map(stream => headers(stream, block(...POST), 0)))
  for (let piece = 0; piece < 16; piece++) {
    client.send(...streams.map(stream => data(stream, Buffer.alloc(16_000))))
    await client.seen()
  }
  vi.advanceTimersByTime(1000)
  await client.seen()
  gate.resolve()
  client.send(...streams.map(stream => data(stream, '', END_STREAM)))
  await client.until(() => client.goaway !== undefined || streams.every(stream => client.isDone(stream)))
  expect(streams.map(stream => client.answer(stream).body)).toEqual(streams.map(() => '256000'))
})

describe('the fields of an HTTP/2 request', () => {
  it.each<readonly [name: string, block: Buffer]>([
    ['4,000 that are one byte each', bomb('x', 'y')],
    ['4,000 crumbs of a cookie', bomb('cookie', 'a=b')],
    [
      '90 that are one byte each, and 3,900 when they are read',
      both(block(...GET), literal('x', 'y'.repeat(3900), true), Buffer.alloc(90, indexed(62))),
    ],
    [
      '101 of them',
      block(...GET, ...Array.from({ length: 101 }, (_each, count) => [`x-${count}`, 'a'] as const)),
    ],
    [
      '101 crumbs of a cookie',
      block(...GET, ...Array.from({ length: 101 }, () => ['cookie', 'a=b'] as const)),
    ],
    ['one of 40,000 bytes', block(...GET, ['x', 'y'.repeat(16_000)], ['z', 'y'.repeat(17_000)])],
  ])('are refused: %s', async (_name, fieldBlock) => {
    const { port, counts } = await start()
    const client = await FrameClient.connect(port)
    const [first, ...rest] = Array.from({ length: Math.ceil(fieldBlock.length / 16_000) }, (_each, at) =>
      fieldBlock.subarray(at * 16_000, (at + 1) * 16_000),
    )
    client.send(frame(HEADERS, END_STREAM | (rest.length === 0 ? 4 : 0), 1, first ?? ''))
    for (const [at, part] of rest.entries())
      client.send(frame(CONTINUATION, at === rest.length - 1 ? 4 : 0, 1, part))
    await client.until(() => client.isDone(1))
    const { statuses, reset } = client.answer(1)
    if (reset === undefined) expect(statuses).toEqual([431])
    else expect(reset).toBe('ENHANCE_YOUR_CALM')
    expect(counts.asked).toBe(0)
    // The session goes on.
    client.send(headers(3, block(...GET)))
    await client.until(() => client.isDone(3))
    expect(client.answer(3).statuses).toEqual([200])
  })

  it('may be as many as the limit says', async () => {
    const { port } = await start()
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET, ...Array.from({ length: 100 }, () => ['cookie', 'a=b'] as const))))
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([200])
  })

  it('are limited behind a body, too', async () => {
    const { port } = await start()
    const client = await FrameClient.connect(port)
    const many = Array.from({ length: 101 }, (_each, count) => [`x-${count}`, 'a'] as const)
    client.send(headers(1, reading, 0), data(1, 'hello'), headers(1, block(...many)))
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([431])
  })
})
