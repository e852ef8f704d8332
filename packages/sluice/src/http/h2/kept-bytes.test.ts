// What a session keeps of what clients send: about as much memory as there are bytes, however they come.
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  GET,
  headers,
  POST,
} from '../../../test/support/http2-frames.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import type { Stream } from '../../net/index.ts'
import { empty, text } from '../index.ts'

afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

const EXTENDED = [...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'websocket'] as const]
const FULL = Buffer.alloc(16_384)

/** A service that keeps the chunks of bodies, and the tunnels that it agrees to. */
async function start() {
  const chunks: Buffer[] = []
  const tunnels: Stream[] = []
  const { port } = await startHttp(async ({ upgrade, path, body }) => {
    if (upgrade !== undefined) return { ...empty(), status: 101, tunnel: client => tunnels.push(client) }
    for await (const chunk of body) if (path === '/keep') chunks.push(chunk)
    return text('all came')
  })
  return { client: await FrameClient.connect(port), chunks, tunnels }
}

/** How much more memory is kept than there are bytes. */
function excess(chunks: readonly Buffer[]): number {
  return Math.max(...chunks.map(({ buffer, length }) => buffer.byteLength / length))
}

describe('what is kept of an HTTP/2 session', () => {
  it('is not all that came with a few bytes of a body', async () => {
    const { client, chunks } = await start()
    client.send(headers(1, block(...fields(POST, { ':path': '/keep' })), 0), headers(3, block(...POST), 0))
    // A client that means harm sends them on and on.
    for (let count = 0; count < 10; count++) client.send(data(1, 'abc'), data(3, FULL))
    client.send(data(1, 'end', END_STREAM), data(3, '', END_STREAM))
    await client.until(() => client.isDone(1) && client.isDone(3))
    expect(Buffer.concat(chunks).toString()).toBe(`${'abc'.repeat(10)}end`)
    expect(excess(chunks)).toBeLessThanOrEqual(8)
  })

  it('is not all that came with a few bytes in a tunnel', async () => {
    const { client, tunnels } = await start()
    client.send(headers(1, block(...EXTENDED), 0), headers(3, block(...POST), 0))
    await until(() => tunnels.length === 1)
    const chunks: Buffer[] = []
    tunnels[0]?.socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    for (let count = 0; count < 10; count++) client.send(data(1, 'abc'), data(3, FULL))
    await client.seen()
    expect(Buffer.concat(chunks).toString()).toBe('abc'.repeat(10))
    expect(excess(chunks)).toBeLessThanOrEqual(8)
  })

  it('is not an object for each frame in a tunnel that nobody reads', async () => {
    const { client, tunnels } = await start()
    client.send(headers(1, block(...EXTENDED), 0))
    await until(() => tunnels.length === 1)
    const most = 80_000
    for (let sent = 0; sent < most; sent += 4) client.send(data(1, String(sent).padStart(4).slice(-4)))
    await client.seen()
    const socket = tunnels[0]?.socket
    const chunks: Buffer[] = []
    let length = 0
    socket?.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
    })
    await until(() => length === most)
    const whole = Array.from({ length: most / 4 }, (_each, count) =>
      String(count * 4)
        .padStart(4)
        .slice(-4),
    )
    expect(Buffer.concat(chunks).toString() === whole.join('')).toBe(true)
    expect(chunks.length).toBeLessThan(100)
  })

  it('is given on in full when the client ends a tunnel before it is read', async () => {
    const { client, tunnels } = await start()
    client.send(headers(1, block(...EXTENDED), 0))
    await until(() => tunnels.length === 1)
    for (let count = 0; count < 8; count++) client.send(data(1, FULL))
    client.send(data(1, 'the last', END_STREAM))
    await client.seen()
    const socket = tunnels[0]?.socket
    const chunks: Buffer[] = []
    let ended = false
    socket
      ?.on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        ended = true
      })
    await until(() => ended)
    expect(Buffer.concat(chunks).length).toBe(8 * FULL.length + 8)
    socket?.end('and ours')
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ body: 'and ours', ended: true, reset: undefined })
  })
})
