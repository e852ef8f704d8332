import type { ServerHttp2Stream } from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { block, headers, RST_STREAM, settings } from '../../../test/support/http2-frames.ts'
import {
  ask,
  type Heard,
  type OpenSession,
  openSession,
  startFrameOrigin,
  startHttp2Origin,
  stopHttp2,
} from '../../../test/support/http2-origin.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, pair, until } from '../../../test/support/sockets.ts'
import { relay, type Stream } from '../../net/index.ts'
import { HeaderList } from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp2()
  await closeSockets()
  expect(logs.splice(0)).toEqual([])
})

const CONNECTING = { settings: { enableConnectProtocol: true } }

/** A session and the stream of a WebSocket on it, at both ends. */
async function tunnelled(fields: [string, string][] = []): Promise<{
  open: OpenSession
  heard: Heard
  raw: readonly string[]
  server: ServerHttp2Stream
  stream: Stream
}> {
  let server: ServerHttp2Stream | undefined
  let asked: readonly string[] = []
  const { port } = await startHttp2Origin((stream, raw) => {
    server = stream
    asked = raw
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' })
  }, CONNECTING)
  const open = await openSession(port)
  const heard = ask(open, { upgrade: 'websocket', target: '/chat', headers: new HeaderList(fields) })
  await until(() => heard.response !== undefined)
  const { stream } = heard.response ?? {}
  if (server === undefined || stream === undefined) throw new Error('no tunnel')
  return { open, heard, raw: asked, server, stream }
}

/** What comes on a stream. */
function collect(stream: Stream['socket']): { text: string; ended: boolean; closed: boolean } {
  const all = { text: '', ended: false, closed: false }
  stream.on('data', (chunk: Buffer) => {
    all.text += chunk.toString()
  })
  stream.on('end', () => {
    all.ended = true
  })
  stream.on('close', () => {
    all.closed = true
  })
  return all
}

describe('an upgrade over HTTP/2', () => {
  it('is an extended CONNECT, and its answer is what HTTP/1.1 would have said', async () => {
    const { raw, heard } = await tunnelled([
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ])
    expect(raw).toEqual([
      ...[
        ':method',
        'CONNECT',
        ':protocol',
        'websocket',
        ':scheme',
        'http',
        ':authority',
        'a',
        ':path',
        '/chat',
      ],
      ...['sec-websocket-version', '13'],
    ])
    expect(heard.status).toBe(101)
    expect(heard.fields.filter(([name]) => name !== 'date')).toEqual([
      ['sec-websocket-protocol', 'chat'],
      ['sec-websocket-accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
    ])
    expect(heard.response?.body.length).toBe(0)
  })

  it('carries bytes both ways, and each end by itself', async () => {
    const { open, server, stream } = await tunnelled()
    const atServer = collect(server)
    const atClient = collect(stream.socket)
    stream.socket.write('ping')
    await until(() => atServer.text === 'ping')
    server.write('pong')
    await until(() => atClient.text === 'pong')
    stream.socket.end('bye')
    await until(() => atServer.ended)
    expect(atServer.text).toBe('pingbye')
    expect(open.session.active).toBe(1)
    server.end('bye')
    await until(() => atClient.closed)
    expect(atClient).toEqual({ text: 'pongbye', ended: true, closed: true })
    await until(() => open.session.active === 0)
    expect(open.session.available).toBe(100)
  })

  it('is relayed like any stream', async () => {
    const { open, server, stream } = await tunnelled()
    const { connection, peer } = await pair('tcp')
    const relayed = relay(connection, stream)
    const atServer = collect(server)
    const atClient = collect(peer)
    peer.write('x'.repeat(1_000_000))
    await until(() => atServer.text.length === 1_000_000)
    server.end('y'.repeat(1_000_000))
    await until(() => atClient.ended)
    peer.end()
    expect(await relayed).toMatchObject({ reason: 'upstream-end', up: 1_000_000, down: 1_000_000 })
    await until(() => open.session.active === 0)
  })

  it.each(['reset by us', 'reset by the upstream', 'destroyed with its session'])(
    'is broken when it is %s',
    async how => {
      const { open, server, stream } = await tunnelled()
      const atServer = collect(server)
      const atClient = collect(stream.socket)
      stream.socket.on('error', () => undefined)
      if (how === 'reset by us') stream.reset()
      else if (how === 'reset by the upstream') server.close(8)
      else open.session.destroy()
      await until(() => atClient.closed && atServer.closed)
      await until(() => open.session.active === 0)
      stream.reset()
    },
  )

  it.each(['an end', 'a reset'])('is broken by %s of the connection', async how => {
    const origin = await startFrameOrigin(settings([8, 1]))
    const open = await openSession(origin.port)
    const heard = ask(open, { upgrade: 'websocket' })
    await until(() => origin.connections.length === 1)
    const [connection] = origin.connections
    await connection?.requests(1)
    connection?.send(headers(1, block([':status', '200'], ['content-length', '5']), 0))
    await until(() => heard.response?.stream !== undefined)
    // A tunnel has no length.
    expect(heard.fields).toEqual([])
    const { socket } = heard.response?.stream ?? {}
    let error: unknown
    socket?.on('error', cause => {
      error = cause
    })
    if (how === 'an end') connection?.socket.end()
    else connection?.socket.resetAndDestroy()
    await until(() => socket?.destroyed === true && open.session.active === 0)
    expect(error).toBeInstanceOf(Error)
    await until(() => open.closed === 1)
  })

  it('that is refused has an answer like any other', async () => {
    const { port } = await startHttp2Origin(stream => {
      stream.respond({ ':status': 403 })
      stream.end('no')
    }, CONNECTING)
    const open = await openSession(port)
    const heard = await ask(open, { upgrade: 'websocket' }).over()
    expect([heard.status, heard.body, heard.response?.stream]).toEqual([403, 'no', undefined])
    await until(() => open.session.active === 0)
  })

  it('fails where the upstream knows no extended CONNECT', async () => {
    const { port } = await startHttp2Origin(stream => stream.respond({ ':status': 200 }))
    const open = await openSession(port)
    const early = await ask(open, { upgrade: 'websocket' }).over()
    const late = await ask(open, { upgrade: 'websocket' }).over()
    expect([early.code, late.code]).toEqual(['HTTP_UPSTREAM_PROTOCOL', 'HTTP_UPSTREAM_PROTOCOL'])
    expect([open.session.active, open.closed]).toEqual([0, 0])
  })

  it('waits for what the upstream says about it, as long as somebody waits', async () => {
    const origin = await startFrameOrigin(Buffer.alloc(0))
    const open = await openSession(origin.port)
    const heard = ask(open, { upgrade: 'websocket' })
    const cancelled = ask(open, { upgrade: 'websocket' })
    const plain = ask(open)
    await until(() => origin.connections.length === 1)
    const [connection] = origin.connections
    await connection?.requests(1)
    cancelled.exchange?.cancel()
    expect(open.session.active).toBe(2)
    connection?.send(settings([8, 1]))
    await connection?.requests(2)
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(connection?.of(1).length).toBe(2)
    expect([heard.code, cancelled.code, plain.code]).toEqual([undefined, undefined, undefined])

    const other = await openSession((await startFrameOrigin(Buffer.alloc(0))).port)
    const waiting = ask(other, { upgrade: 'websocket' })
    other.session.close()
    expect((await waiting.over()).code).toBe('HTTP_UPSTREAM_REFUSED')
    await until(() => other.session.active === 0)
  })

  it('is reset when nobody takes it any more before its answer', async () => {
    const origin = await startFrameOrigin(settings([8, 1]))
    const open = await openSession(origin.port)
    const heard = ask(open, { upgrade: 'websocket' })
    await until(() => origin.connections.length === 1)
    const [connection] = origin.connections
    await connection?.requests(1)
    heard.exchange?.cancel()
    expect(await connection?.reset()).toBe('CANCEL')
    expect(connection?.of(RST_STREAM).length).toBe(1)
  })
})
