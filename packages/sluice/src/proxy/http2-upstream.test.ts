import http2, { type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, stopHttp } from '../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  frame,
  GOAWAY,
  headers,
  rstStream,
  uint32,
} from '../../test/support/http2-frames.ts'
import { startFrameOrigin, startHttp2Origin, stopHttp2 } from '../../test/support/http2-origin.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { startProxy } from '../../test/support/proxy.ts'
import { closeSockets, startServer, until } from '../../test/support/sockets.ts'

const logs = captureLogs()
const clients: ClientHttp2Session[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await stopHttp()
  await stopHttp2()
  await closeSockets()
  logs.length = 0
})

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`

function http2Client(port: number): ClientHttp2Session {
  const client = http2.connect(`http://127.0.0.1:${port}`)
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

describe('a reverse proxy in front of an upstream that speaks HTTP/2', () => {
  it('sends the requests of many clients on one connection', async () => {
    let sessions = 0
    const seen: (readonly string[])[] = []
    const { port: upstream } = await startHttp2Origin((stream, raw) => {
      seen.push(raw)
      if (stream.id === 1) sessions++
      stream.respond({ ':status': 200, 'x-a': '1' })
      stream.end('hello')
    })
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const asked = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(port)))
    for (const client of asked) client.send(get('/a?b', 'X-B: 1\r\n'))
    for (const client of asked) await client.until(() => client.received.endsWith('hello\r\n0\r\n\r\n'))
    expect(sessions).toBe(1)
    expect(seen[0]).toEqual([
      ...[':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/a?b', 'x-b', '1'],
      ...['x-forwarded-for', '127.0.0.1', 'x-forwarded-proto', 'http', 'x-forwarded-host', 'a'],
      ...['forwarded', 'for=127.0.0.1;host="a";proto=http', 'via', '1.1 sluice'],
    ])
  })

  it('opens another connection when the upstream takes no more streams on the first', async () => {
    const streams: ServerHttp2Stream[] = []
    const sessions = new Set<unknown>()
    const { port: upstream } = await startHttp2Origin(
      stream => {
        streams.push(stream)
        sessions.add(stream.session)
      },
      { settings: { maxConcurrentStreams: 2 } },
    )
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const first = await RawClient.connect(port)
    first.send(get('/'))
    await until(() => streams.length === 1)
    const others = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(port)))
    for (const client of others) client.send(get('/'))
    await until(() => streams.length === 6)
    expect(sessions.size).toBe(3)
    for (const stream of streams) {
      stream.respond({ ':status': 200 })
      stream.end('hello')
    }
    for (const client of [first, ...others]) await client.until(() => client.received.endsWith('0\r\n\r\n'))
  })

  it('carries gRPC: fields, messages both ways at once, and the status at the end', async () => {
    let fields: readonly string[] = []
    const { port: upstream } = await startHttp2Origin((stream, raw) => {
      fields = raw
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'ok' }))
      stream.on('data', (chunk: Buffer) => stream.write(`re:${chunk}`))
      stream.on('end', () => stream.end())
    })
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const call = http2Client(port).request({
      ':method': 'POST',
      ':path': '/echo.Echo/Chat',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let received = ''
    let trailers: http2.IncomingHttpHeaders = {}
    call.on('data', (chunk: Buffer) => {
      received += chunk.toString()
    })
    call.on('trailers', sent => {
      trailers = sent
    })
    for (const message of ['one', 'two', 'three']) {
      call.write(message)
      await until(() => received.endsWith(message))
    }
    expect(received).toBe('re:onere:twore:three')
    expect(call.readableEnded).toBe(false)
    call.end()
    await new Promise(resolve => call.on('close', resolve))
    expect(trailers).toMatchObject({ 'grpc-status': '0', 'grpc-message': 'ok' })
    expect(fields.slice(8)).toEqual(
      expect.arrayContaining(['content-type', 'application/grpc', 'te', 'trailers']),
    )
  })

  it('gives a call that fails at once its status, and one that is cancelled its end', async () => {
    const codes: (number | undefined)[] = []
    let asked = 0
    const { port: upstream } = await startHttp2Origin((stream, raw) => {
      asked++
      stream.on('close', () => codes.push(stream.rstCode))
      if (raw[7] !== '/fails') return
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' },
        { endStream: true },
      )
    })
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const client = http2Client(port)
    const failing = client.request({ ':method': 'POST', ':path': '/fails', te: 'trailers' })
    const fields = await new Promise<http2.IncomingHttpHeaders>(resolve => failing.on('response', resolve))
    expect(fields['grpc-status']).toBe('5')
    failing.end()
    const waiting = client.request({ ':method': 'POST', ':path': '/waits', te: 'trailers' })
    waiting.on('error', () => undefined)
    waiting.write('hello')
    await until(() => codes.length === 1 && asked === 2)
    waiting.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => codes.length === 2)
    expect(codes).toEqual([0, http2.constants.NGHTTP2_CANCEL])
  })

  it('asks again what the upstream refused to begin with', async () => {
    const origin = await startFrameOrigin()
    const { port } = await startProxy(`h2c://127.0.0.1:${origin.port}`)
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    await until(() => origin.connections.length === 1)
    const [first] = origin.connections
    await first?.requests(1)
    first?.send(rstStream(1, 'REFUSED_STREAM'))
    await first?.requests(2)
    first?.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(1), uint32(0)])))
    await until(() => origin.connections.length === 2)
    const [, second] = origin.connections
    await second?.requests(1)
    second?.send(headers(1, block([':status', '200']), 0), data(1, 'ok', END_STREAM))
    await client.until(() => client.received.endsWith('2\r\nok\r\n0\r\n\r\n'))
    expect(logs).toEqual([])
  })

  it('asks nothing again that the upstream may have begun with', async () => {
    const origin = await startFrameOrigin()
    const { port } = await startProxy(`h2c://127.0.0.1:${origin.port}`)
    const client = await RawClient.connect(port)
    for (let count = 1; count <= 2; count++) {
      client.send(get('/'))
      await until(() => origin.connections.length === 1)
      const [connection] = origin.connections
      const stream = 2 * count - 1
      await connection?.requests(count)
      if (count === 1) connection?.send(headers(stream, block([':status', '204'])))
      else connection?.send(rstStream(stream, 'INTERNAL_ERROR'))
      await client.until(() => client.statuses.length === count)
    }
    expect(client.statuses).toEqual([204, 502])
    expect(logs).toMatchObject([{ code: 'HTTP_UPSTREAM_CLOSED' }])
  })

  it('hands WebSocket on, for a client of HTTP/1.1', async () => {
    const { port: upstream } = await startHttp2Origin(
      (stream, raw) => {
        expect(raw.slice(0, 4)).toEqual([':method', 'CONNECT', ':protocol', 'websocket'])
        stream.respond({ ':status': 200 })
        stream.pipe(stream)
      },
      { settings: { enableConnectProtocol: true } },
    )
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const client = await RawClient.connect(port)
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
    client.send(get('/', `Upgrade: websocket\r\nConnection: Upgrade\r\n${key}`))
    await client.until(() => client.received.endsWith('\r\n\r\n'))
    expect(client.received).toMatch(/^HTTP\/1\.1 101 /)
    expect(client.received).toContain('sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n')
    client.send('frames')
    await client.until(() => client.received.endsWith('frames'))
    client.socket.end()
    await client.over()
  })

  it('moves large bodies both ways, to a client that is slower', async () => {
    const { port: upstream } = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const { port } = await startProxy(`h2c://127.0.0.1:${upstream}`)
    const call = http2Client(port).request({ ':method': 'POST', ':path': '/' })
    let received = 0
    call.on('data', (chunk: Buffer) => {
      received += chunk.length
      call.pause()
      setImmediate(() => call.resume())
    })
    const piece = Buffer.alloc(65_536)
    for (let count = 0; count < 80; count++) {
      if (!call.write(piece)) await new Promise(resolve => call.once('drain', resolve))
    }
    call.end()
    await new Promise(resolve => call.on('end', resolve))
    expect(received).toBe(80 * 65_536)
  })

  it('answers 502 where the upstream speaks HTTP/1.1', async () => {
    const { address } = await startServer('tcp', socket => {
      socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')).resume()
    })
    const { port } = await startProxy(`h2c://127.0.0.1:${'port' in address ? address.port : 0}`)
    const client = await RawClient.connect(port)
    client.send(get('/'))
    await client.until(() => client.statuses.length === 1)
    expect(client.statuses).toEqual([502])
    expect(logs).toMatchObject([{ code: 'HTTP_UPSTREAM_PROTOCOL' }])
  })
})
