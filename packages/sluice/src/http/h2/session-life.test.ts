// How an HTTP/2 session goes on and ends: drained, watched, and kept within its memory.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  frame,
  GET,
  GOAWAY,
  HEADERS,
  headers,
  POST,
  settings,
  WINDOW_UPDATE,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { until } from '../../../test/support/sockets.ts'
import { empty, type HttpResponse, respond, text } from '../index.ts'

const logs = testsInHeldTime()

const LARGEST = 2 ** 31 - 1

/** The last streams that GOAWAY has named. */
const named = (client: FrameClient): number[] =>
  client.frames.filter(one => one.type === GOAWAY).map(one => one.payload.readUInt32BE(0))

/** Room that was given for a stream, or with 0 for all. */
const room = (client: FrameClient, stream: number): number =>
  client.frames
    .filter(one => one.type === WINDOW_UPDATE && one.stream === stream)
    .reduce((sum, one) => sum + one.payload.readUInt32BE(0), 0)

/** Lets time pass in steps of the sweep. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    vi.advanceTimersByTime(1000)
    for (let turns = 0; turns < 3; turns++) await turn()
  }
}

/** A service that waits at `/wait` until `gate` is opened. */
function gated(answer: () => HttpResponse = () => text('done')) {
  const gate = Promise.withResolvers<void>()
  const asked: string[] = []
  const service = async ({ path }: { readonly path: string }): Promise<HttpResponse> => {
    asked.push(path)
    if (path === '/wait') await gate.promise
    return answer()
  }
  return { asked, gate, service }
}

const to = (path: string) => block(...fields(GET, { ':path': path }))

describe('a session that is drained', () => {
  it('takes what was under way, and says then which stream was the last', async () => {
    const { asked, gate, service } = gated()
    const { port, listener } = await startHttp(service)
    const client = await FrameClient.connect(port)
    client.send(headers(1, to('/wait')))
    await until(() => asked.length === 1)
    const closing = listener.close()
    // The client has not heard of it.
    client.send(headers(3, to('/late')))
    await client.until(() => client.isDone(3) && named(client).length === 2)
    expect(client.answer(3)).toMatchObject({ statuses: [200], body: 'done' })
    expect(named(client)).toEqual([LARGEST, 3])
    // Now it has.
    client.send(headers(5, to('/too-late')), data(5, 'x'), windowUpdate(5, 1))
    await client.seen()
    gate.resolve()
    await client.over()
    expect(client.answer(1)).toMatchObject({ statuses: [200], body: 'done', ended: true })
    expect(client.frames.filter(one => one.stream === 5)).toEqual([])
    expect(asked).toEqual(['/wait', '/late'])
    expect(logs).toEqual([])
    client.raw.socket.destroy()
    await closing
  })

  it('waits a second for the client to hear of it', async () => {
    const { port, listener } = await startHttp(() => text(''))
    // It answers no PING.
    const client = await RawClient.connect(port)
    client.send(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings()]))
    await client.until(() => client.received.length > 0)
    const closing = listener.close()
    const goaways = () => client.received.split('\0\0\x08\x07\0\0\0\0\0').length - 1
    await client.until(() => goaways() === 1)
    expect(client.ended).toBe(false)
    await pass(2)
    await client.over()
    expect(goaways()).toBe(2)
    client.socket.destroy()
    await closing
    expect(logs).toEqual([])
  })
})

describe('a session that is watched', () => {
  it('ends when the fields of a message do not come to an end', async () => {
    const { service } = gated()
    const { port } = await startHttp(service)
    const client = await FrameClient.connect(port)
    client.send(headers(1, to('/wait')), frame(HEADERS, END_STREAM, 3, block(...GET).subarray(0, 5)))
    await until(() => client.frames.length > 0)
    for (let turns = 0; turns < 10; turns++) await turn()
    await pass(13)
    expect(client.isOver).toBe(false)
    await pass(3)
    await client.over()
    expect(client.goaway).toBe('ENHANCE_YOUR_CALM')
    expect(logs).toMatchObject([{ code: 'HTTP2_PROTOCOL' }])
  })

  it('ends when it speaks something else', async () => {
    const { port } = await startHttp(() => text(''))
    const client = await RawClient.connect(port)
    // What begins otherwise is HTTP/1.1, so that this is the frame that comes first.
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nHello, server')
    await client.over()
    expect(logs).toMatchObject([{ code: 'HTTP2_PROTOCOL' }])
  })

  it('reads no more from a client that asks without end and takes no answer', async () => {
    let asked = 0
    const { port } = await startHttp(() => {
      asked++
      return empty(204, { 'x-long': 'x'.repeat(15_000) })
    })
    const client = await FrameClient.connect(port)
    await client.seen()
    client.raw.socket.pause()
    const { socket } = client.raw
    let sent = 0
    // As much as the buffers of the kernel take on the way back, and then on the way there.
    for (let before = -1; before < asked && sent < 20_000; ) {
      before = asked
      for (let each = 0; each < 100; each++) client.send(headers(1 + 2 * sent++, block(...GET)))
      for (let turns = 0; turns < 200 && asked < sent; turns++) await turn()
    }
    expect(asked).toBeLessThan(sent)
    // And goes on when it does.
    socket.resume()
    await client.until(() => client.isDone(2 * sent - 1))
    expect(asked).toBe(sent)
    // Nothing is taken for half a minute, and that is the end.
    socket.pause()
    for (let before = -1; before < asked; ) {
      before = asked
      for (let each = 0; each < 100; each++) client.send(headers(1 + 2 * sent++, block(...GET)))
      for (let turns = 0; turns < 200 && asked < sent; turns++) await turn()
    }
    await pass(70)
    expect(logs).toMatchObject([{ code: 'HTTP_WRITE_TIMEOUT' }])
  })
})

it('gives no more room while 8 MB of bodies wait to be read, and more when they are', async () => {
  const gate = Promise.withResolvers<void>()
  const { port } = await startHttp(async ({ body }) => {
    await gate.promise
    let count = 0
    for await (const chunk of body) count += chunk.length
    return respond(String(count))
  })
  const client = await FrameClient.connect(port)
  const streams = Array.from({ length: 50 }, (_each, count) => 1 + 2 * count)
  client.send(...streams.map(stream => headers(stream, block(...POST), 0)))
  await client.seen()
  const size = 16_000
  const sent = new Map(streams.map(stream => [stream, 0]))
  let total = 0
  /** Sends what there is room for. */
  const send = async (): Promise<void> => {
    for (const stream of streams) {
      const before = sent.get(stream) ?? 0
      if (before + size > 256 * 1024 || total + size > 65_535 + room(client, 0)) continue
      client.send(data(stream, Buffer.alloc(size)))
      sent.set(stream, before + size)
      total += size
    }
    await client.seen()
  }
  for (let before = -1; before < total; ) {
    before = total
    await send()
  }
  expect(total).toBeGreaterThan(8 * 1024 * 1024)
  expect(total).toBeLessThan(9.1 * 1024 * 1024)
  gate.resolve()
  await client.until(() => room(client, 0) > total)
  client.send(...streams.map(stream => data(stream, '', END_STREAM)))
  await client.until(() => streams.every(stream => client.isDone(stream)))
  expect(streams.map(stream => client.answer(stream).body)).toEqual(
    streams.map(stream => String(sent.get(stream))),
  )
  expect(logs).toEqual([])
})
