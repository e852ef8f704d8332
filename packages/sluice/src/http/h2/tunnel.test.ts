import { once } from 'node:events'
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  GET,
  headers,
  rstStream,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, keep, read, startServer, until } from '../../../test/support/sockets.ts'
import { type RelayOutcome, relay, type Stream } from '../../net/index.ts'
import { empty, type HttpRequest, type HttpResponse, text } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** Connects a client, and waits until it knows what the server can do. */
async function connect(port: number): Promise<ClientHttp2Session> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  sessions.push(session)
  await once(session, 'remoteSettings')
  return session
}

function open(session: ClientHttp2Session, more: http2.OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat?a', ...more },
    { endStream: false },
  )
  stream.on('error', () => undefined)
  return stream
}

/** Settled when it is closed; `once` would fail with its error. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise(resolve => stream.on('close', () => resolve()))
}

async function answered(stream: ClientHttp2Stream): Promise<http2.IncomingHttpHeaders> {
  const [answer] = await once(stream, 'response')
  return answer as http2.IncomingHttpHeaders
}

const EXTENDED = [...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'websocket'] as const]

const agree = (tunnel: (client: Stream) => void): HttpResponse => ({ ...empty(), status: 101, tunnel })

/** A server of tunnels to a TCP server, and the last of its connections. */
async function startTunnels(): Promise<{
  port: number
  upstreams: Socket[]
  outcomes: RelayOutcome[]
  listener: Awaited<ReturnType<typeof startHttp>>['listener']
}> {
  const upstreams: Socket[] = []
  const outcomes: RelayOutcome[] = []
  const { address } = await startServer('tcp', socket => upstreams.push(socket))
  const { port, listener } = await startHttp(async () => {
    const socket = keep(connectTcp({ ...(address as { port: number }), allowHalfOpen: true }))
    await once(socket, 'connect')
    return agree(client => {
      relay(client, { socket, reset: () => socket.resetAndDestroy() }).then(outcome => outcomes.push(outcome))
    })
  })
  return { port, upstreams, outcomes, listener }
}

describe('a tunnel over HTTP/2 (RFC 8441)', () => {
  it('is asked for by a GET with an upgrade', async () => {
    const requests: HttpRequest[] = []
    const { port } = await startHttp(request => {
      requests.push(request)
      return text('no', { status: 403 })
    })
    const session = await connect(port)
    expect(session.remoteSettings?.enableConnectProtocol).toBe(true)
    const stream = open(session, {
      ':protocol': 'WebSocket',
      'sec-websocket-key': 'x',
      'sec-websocket-version': '13',
    })
    expect(await answered(stream)).toMatchObject({ ':status': 403, 'content-length': '2' })
    expect(requests).toMatchObject([
      {
        method: 'GET',
        upgrade: 'websocket',
        target: '/chat?a',
        authority: `127.0.0.1:${port}`,
        version: '2',
        expectsContinue: false,
      },
    ])
    expect(requests[0]?.body.length).toBe(0)
    expect([...(requests[0]?.headers ?? [])]).toEqual([['sec-websocket-version', '13']])
  })

  it('is agreed to by 101, which is sent as 200 without the fields of HTTP/1.1', async () => {
    const { port } = await startHttp(() => ({
      ...agree(({ socket }) => socket.pipe(socket)),
      headers: empty(101, {
        connection: 'upgrade',
        upgrade: 'websocket',
        'content-length': '7',
        'sec-websocket-accept': 'x',
        'sec-websocket-protocol': 'chat',
      }).headers,
    }))
    const stream = open(await connect(port))
    const names = Object.keys(await answered(stream))
    expect(names).toEqual([':status', 'sec-websocket-protocol', 'date'])
    let echoed = ''
    stream.setEncoding('latin1')
    stream.on('data', (chunk: string) => {
      echoed += chunk
    })
    stream.write('hello')
    await until(() => echoed === 'hello')
    stream.end(' you')
    await once(stream, 'end')
    expect(echoed).toBe('hello you')
  })

  it('has what the client sent before it was there', async () => {
    const gate = Promise.withResolvers<void>()
    const { port } = await startHttp(async () => {
      await gate.promise
      return agree(({ socket }) => {
        setImmediate(() => socket.pipe(socket))
      })
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED), 0), data(1, 'early '), data(1, 'bird', END_STREAM))
    await client.seen()
    gate.resolve()
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toEqual({ statuses: [200], body: 'early bird', ended: true, reset: undefined })
  })

  it('moves much in both directions at once, and ends each by itself', async () => {
    const { port, upstreams, outcomes } = await startTunnels()
    const stream = open(await connect(port))
    await answered(stream)
    const [upstream] = upstreams as [Socket]
    const there = read(upstream)
    let back = 0
    stream.on('data', (chunk: Buffer) => {
      back += chunk.length
    })
    const ended = once(stream, 'end')
    const piece = Buffer.alloc(50_000, 'x')
    for (let count = 0; count < 60; count++) {
      stream.write(piece)
      upstream.write(piece)
    }
    stream.end()
    await there.over
    expect(there).toMatchObject({ ended: true, bytes: 3_000_000 })
    // The client has ended, the upstream goes on.
    upstream.write('more')
    await until(() => back === 3_000_004)
    upstream.end()
    await ended
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ reason: 'client-end', up: 3_000_000, down: 3_000_004 }])
  })

  it('goes on when the upstream ends first', async () => {
    const { port, upstreams, outcomes } = await startTunnels()
    const stream = open(await connect(port))
    await answered(stream)
    const [upstream] = upstreams as [Socket]
    const there = read(upstream)
    upstream.end('last')
    stream.resume()
    await once(stream, 'end')
    stream.end('late')
    await there.over
    expect(there).toMatchObject({ ended: true, bytes: 4 })
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ reason: 'upstream-end', up: 4, down: 4 }])
  })

  it.each<[string, (client: FrameClient, upstream: Socket) => unknown]>([
    ['the client resets it', client => client.send(rstStream(1))],
    ['the client resets it without an error', client => client.send(rstStream(1, 'NO_ERROR'))],
    ['the client breaks the protocol', client => client.send(windowUpdate(0, 0))],
    ['the connection is lost', client => client.raw.socket.resetAndDestroy()],
    ['the connection is ended', client => client.raw.socket.end()],
  ])('tells the upstream of no orderly end when %s', async (_name, breaks) => {
    const { port, upstreams, outcomes, listener } = await startTunnels()
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED), 0))
    await client.until(() => client.answer(1).statuses.length === 1)
    const there = read(upstreams[0] as Socket)
    breaks(client, upstreams[0] as Socket)
    await there.over
    expect(there).toMatchObject({ ended: false, error: 'ECONNRESET' })
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ reason: 'client-reset' }])
    client.raw.socket.destroy()
    await until(() => listener.counts.serving === 0)
  })

  it('is reset, and did not end, when the client resets it after the upstream has ended', async () => {
    const { port, upstreams, outcomes } = await startTunnels()
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED), 0))
    await client.until(() => client.answer(1).statuses.length === 1)
    const there = read(upstreams[0] as Socket)
    upstreams[0]?.end()
    await client.until(() => client.answer(1).ended)
    client.send(rstStream(1))
    await there.over
    expect(there).toMatchObject({ ended: false, error: 'ECONNRESET' })
    await until(() => outcomes.length === 1)
  })

  it('is reset with CANCEL when the upstream is lost', async () => {
    const { port, upstreams, outcomes } = await startTunnels()
    const stream = open(await connect(port))
    await answered(stream)
    upstreams[0]?.resetAndDestroy()
    await closed(stream)
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL)
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ reason: 'upstream-reset' }])
  })

  it('is reset with CANCEL when the upstream is lost after the client has ended', async () => {
    const { port, upstreams } = await startTunnels()
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED), 0), data(1, 'all', END_STREAM))
    await until(() => upstreams.length === 1)
    const there = read(upstreams[0] as Socket)
    await there.over
    upstreams[0]?.resetAndDestroy()
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ statuses: [200], ended: false, reset: 'CANCEL' })
  })

  it('is reset when something other than data comes in it', async () => {
    const { port, outcomes } = await startTunnels()
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED), 0))
    await client.until(() => client.answer(1).statuses.length === 1)
    client.send(headers(1, block(['x-a', 'b'])))
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ reason: 'client-reset' }])
    await client.until(() => client.answer(1).reset !== undefined)
    expect(client.answer(1).reset).toBe('PROTOCOL_ERROR')
  })

  it.each([
    ['200', text('hello')],
    ['204', empty()],
  ])('is not taken for agreed to where a service answers %s by itself', async (_name, answer) => {
    const { port } = await startHttp(() => answer)
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...EXTENDED)))
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ statuses: [501], ended: true })
    expect(client.answer(1).body).toContain('HTTP_UPGRADE_REFUSED')
    expect(logs).toMatchObject([{ code: 'HTTP_UPGRADE_REFUSED' }])
  })

  it.each([
    ['a protocol without CONNECT', [...GET, [':protocol', 'websocket']], 400],
    [
      'CONNECT without a protocol',
      fields(GET, { ':method': 'CONNECT', ':scheme': undefined, ':path': undefined }),
      501,
    ],
    [
      'a protocol and no path',
      [...fields(GET, { ':method': 'CONNECT', ':path': undefined }), [':protocol', 'a']],
      400,
    ],
    ['a protocol that is none', [...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'a b']], 400],
    ['a length', [...EXTENDED, ['content-length', '5']], 400],
  ] as const)('refuses %s', async (_name, request, outcome) => {
    let asked = 0
    const { port } = await startHttp(() => {
      asked++
      return text('fooled')
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...request), 0))
    await client.until(() => client.answer(1).reset !== undefined || client.answer(1).ended)
    const { statuses, reset } = client.answer(1)
    expect(statuses[0] ?? reset).toBe(outcome)
    expect(asked).toBe(0)
  })

  it('is nobody else’s business: no limit of HTTP cuts it, and a drain waits for it', async () => {
    holdTime()
    const tunnels: Stream[] = []
    const { port, listener } = await startHttp(() => agree(stream => tunnels.push(stream)))
    const session = await connect(port)
    const stream = open(session)
    await answered(stream)
    // More than the client takes: it waits for the client, and for longer than an answer may.
    stream.pause()
    tunnels[0]?.socket.write(Buffer.alloc(4_000_000))
    for (let turns = 0; turns < 50; turns++) await turn()
    vi.advanceTimersByTime(600_000)
    for (let turns = 0; turns < 10; turns++) await turn()
    const goaway = once(session, 'goaway')
    const closing = listener.close()
    await goaway
    vi.advanceTimersByTime(20_000)
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    stream.resume()
    await until(() => bytes === 4_000_000)
    stream.end()
    tunnels[0]?.socket.on('data', () => undefined)
    tunnels[0]?.socket.end()
    await closed(stream)
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR)
    await closing
    expect(logs).toEqual([])
  })

  it('is cut when it can not begin', async () => {
    const { port } = await startHttp(() =>
      agree(() => {
        throw new Error('a fault')
      }),
    )
    const stream = open(await connect(port))
    await closed(stream)
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(logs).toMatchObject([{ code: 'INTERNAL', msg: 'an answer was cut: a tunnel could not begin' }])
  })
})
