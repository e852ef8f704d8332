import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { connectWebSocket, nextMessage, WebSocketServer } from '../../../test/support/web-socket.ts'
import { type NodeHandlerOptions, nodeHandler } from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  vi.useRealTimers()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: some-protocol\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: some-protocol\r\n'

type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown

const start = async (upgrade: Upgrade, options: NodeHandlerOptions = {}): Promise<number> =>
  (await startHttp(nodeHandler((_request, response) => response.end('as usual'), { upgrade, ...options })))
    .port

describe('nodeHandler with ws', () => {
  it('carries messages both ways, compressed, and closes in order', async () => {
    const server = createServer()
    const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } })
    const closed = Promise.withResolvers<[number, string]>()
    sockets.on('connection', (socket, request) => {
      socket.send(`${request.url} ${request.socket.remoteAddress} ${socket.extensions}`)
      socket.on('message', (data, binary) => socket.send(data, { binary }))
      socket.on('close', (code, reason) => closed.resolve([code, String(reason)]))
    })
    const { port } = await startHttp(nodeHandler(server))
    const client = await connectWebSocket(`ws://127.0.0.1:${port}/x?y=1`)
    expect(String(await nextMessage(client))).toBe('/x?y=1 127.0.0.1 permessage-deflate')
    for (const size of [0, 1, 125, 126, 70_000, 3_000_000]) {
      const sent = Buffer.alloc(size, `message of ${size} bytes`)
      client.send(sent)
      const got = await nextMessage(client)
      expect(got.equals(sent)).toBe(true)
    }
    client.close(4001, 'enough')
    expect(await closed.promise).toEqual([4001, 'enough'])
  })

  it('answers whom the application refuses with what it says', async () => {
    const sockets = new WebSocketServer({
      noServer: true,
      verifyClient: (_info, done) => done(false, 401, 'who?'),
    })
    const port = await start((request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, () => {}),
    )
    await expect(connectWebSocket(`ws://127.0.0.1:${port}`)).rejects.toThrow('401')
    const { received } = await exchange(
      port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    )
    expect(received).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\n.*content-length: 43\r\n.*Sec-WebSocket-Key header$/s,
    )
  })

  it('tells either end when the other vanishes', async () => {
    const sockets = new WebSocketServer({ noServer: true })
    const port = await start((request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, ws => sockets.emit('connection', ws)),
    )
    for (const who of ['client', 'server']) {
      const connected = new Promise<WebSocket>(resolve => sockets.once('connection', resolve as never))
      const client = await connectWebSocket(`ws://127.0.0.1:${port}`)
      const server = (await connected) as unknown as typeof client
      const [one, other] = who === 'client' ? [client, server] : [server, client]
      const closed = new Promise<number>(resolve => other.on('close', resolve))
      one.terminate()
      expect(await closed).toBe(1006)
    }
  })
})

describe('nodeHandler with upgrade', () => {
  it('gives what was sent ahead to the application, and what it writes to the client', async () => {
    const port = await start((request, socket, head) => {
      expect([request.method, request.headers.upgrade, head.length]).toEqual(['GET', 'some-protocol', 0])
      socket.write(`${SWITCH}X-More: 1\r\n\r\nhello `)
      socket.write('there ')
      socket.on('data', chunk => socket.write(String(chunk).toUpperCase()))
      socket.on('end', () => socket.end('!'))
    })
    const client = await RawClient.connect(port)
    client.send(`${UPGRADE}ahead `)
    await client.until(() => client.received.endsWith('AHEAD '))
    client.send('and after').socket.end()
    await client.over()
    expect(client.received).toMatch(/^HTTP\/1\.1 101 .*X-More: 1\r\n.*\r\n\r\nhello there AHEAD AND AFTER!$/s)
    expect(client.failed).toBeUndefined()
  })

  it('takes the head however it is written, with informational ones before it', async () => {
    const port = await start(async (_request, socket) => {
      for (const byte of `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${SWITCH}\r\nhello`) {
        socket.write(byte)
        if (byte === '\n') await new Promise(setImmediate)
      }
    })
    const client = await RawClient.connect(port)
    await client.send(UPGRADE).until(() => client.received.endsWith('hello'))
    expect(client.statuses).toEqual([103, 101])
  })

  it.each([
    ['a length', 'Content-Length: 5\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'],
    ['the end of the connection', '\r\nhello'],
  ])('passes on other answers, with a body by %s, and keeps the connection', async (_what, rest) => {
    const events: string[] = []
    const port = await start((_request, socket) => {
      socket.on('finish', () => events.push('finish'))
      socket.on('close', () => events.push('close'))
      socket.end(`HTTP/1.1 403 Forbidden\r\nX-Why: so\r\n${rest}`)
    })
    const client = await RawClient.connect(port)
    client.send(UPGRADE)
    await client.until(() => /hello/.test(client.received))
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.over()
    expect(client.received).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\nX-Why: so\r\n.*hello.*HTTP\/1\.1 200 .*as usual$/s,
    )
    expect(events).toEqual(['finish', 'close'])
  })

  it.each<[string, Upgrade, string]>([
    ['closes', (_request, socket) => socket.destroy(), 'HTTP_UPGRADE_REFUSED'],
    ['ends', (_request, socket) => socket.end(), 'HTTP_UPGRADE_REFUSED'],
    ['ends inside a head', (_request, socket) => socket.end('HTTP/1.1 101 Sw'), 'HTTP_UPGRADE_REFUSED'],
    ['throws', () => Promise.reject(new Error('secret')), 'INTERNAL'],
    ['writes no HTTP', (_request, socket) => socket.write('hello\r\n\r\n'), 'HTTP_RESPONSE_INVALID'],
    [
      'writes two lengths',
      (_request, socket) => socket.write('HTTP/1.1 400 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
      'HTTP_RESPONSE_INVALID',
    ],
    [
      'changes to something else',
      (_request, socket) => socket.write(`${SWITCH.replace('some-protocol', 'other')}\r\n`),
      'HTTP_RESPONSE_INVALID',
    ],
    [
      'writes an endless head',
      (_request, socket) => socket.write('x'.repeat(40_000)),
      'HTTP_RESPONSE_INVALID',
    ],
  ])('answers with an error when the application %s', async (_what, upgrade, code) => {
    const port = await start(upgrade)
    const { received, statuses } = await exchange(port, UPGRADE.replace('Upgrade\r\n', 'Upgrade, close\r\n'))
    expect(statuses).toEqual([code === 'HTTP_UPGRADE_REFUSED' ? 501 : 500])
    expect(received).toMatch(new RegExp(`: ${code}\n$`))
  })

  it('cuts an answer with more or fewer bytes than it says', async () => {
    const port = await start(({ url }, socket) => {
      socket.write('HTTP/1.1 400 No\r\nContent-Length: 5\r\n\r\nhel')
      setImmediate(() => socket.end(url === '/more' ? 'lo!' : ''))
    })
    // Not told by the reset, which Node 22 may take for an end.
    const fewer = await exchange(port, UPGRADE.replace('/', '/fewer'))
    expect(fewer.received).toMatch(/\r\ncontent-length: 5\r\n\r\nhel$/)
    const more = await exchange(port, UPGRADE.replace('/', '/more'))
    expect(more.received).toMatch(/\r\ncontent-length: 5\r\n\r\nhello$/)
    expect(logs.map(({ code }) => code)).toEqual(['HTTP_RESPONSE_INVALID', 'HTTP_RESPONSE_INVALID'])
  })

  it('leaves requests to the application that ask for no upgrade, or for h2c, or when nobody listens', async () => {
    const asked: string[] = []
    const server = createServer((_request, response) => response.end('as usual'))
    const { port } = await startHttp(nodeHandler(server))
    const ask = async (upgrade: string): Promise<string> => {
      const request = UPGRADE.replace('Upgrade\r\n', 'Upgrade, close\r\n').replace('some-protocol', upgrade)
      return (await exchange(port, request)).received
    }
    expect(await ask('websocket')).toMatch(/as usual$/)
    server.on('upgrade', (request, socket) => {
      asked.push(request.headers.upgrade ?? '')
      socket.destroy()
    })
    expect(await ask('h2c')).toMatch(/as usual$/)
    expect(await ask('websocket')).toMatch(/HTTP_UPGRADE_REFUSED\n$/)
    expect(asked).toEqual(['websocket'])
  })

  it('lets either end wait for the other', async () => {
    let socket: Duplex | undefined
    const port = await start((_request, given) => {
      socket = given
      // It reads once, and no more.
      given.once('readable', () => given.read(1))
      given.write(`${SWITCH}\r\n`)
    })
    const client = await RawClient.connect(port)
    await client.send(UPGRADE).until(() => client.statuses.length === 1)
    client.socket.pause()
    const chunk = Buffer.alloc(64 * 1024)
    // The client reads nothing: what is written stays with the application once the system takes no more.
    let written = 0
    while (socket?.write(chunk) === true || (await drains(socket as Duplex))) written += chunk.length
    expect(written).toBeLessThan(32 * 1024 * 1024)
    expect(socket?.writableLength).toBeLessThan(1024 * 1024)
    // And the other way round.
    while (client.socket.write(chunk) || (await drains(client.socket))) written += chunk.length
    expect(written).toBeLessThan(64 * 1024 * 1024)
    expect(socket?.readableLength).toBeLessThan(1024 * 1024)
    let read = 0
    socket?.on('data', data => {
      read += data.length
    })
    socket?.resume()
    await until(() => read > 0 && client.socket.writableLength === 0)
  })

  it('closes a tunnel in which nothing has moved for an hour', async () => {
    holdTime()
    const closed = Promise.withResolvers<void>()
    const port = await start((_request, socket) => {
      socket.on('close', () => closed.resolve())
      socket.on('data', chunk => socket.write(chunk))
      socket.write(`${SWITCH}\r\n`)
    })
    const client = await RawClient.connect(port)
    await client.send(UPGRADE).until(() => client.statuses.length === 1)
    for (const word of ['one', 'two']) {
      vi.advanceTimersByTime(3599_000)
      await client.send(word).until(() => client.received.endsWith(word))
    }
    vi.advanceTimersByTime(3601_000)
    await closed.promise
    await client.over()
  })

  it('closes the socket of the application when its answer is not wanted', async () => {
    const closed = Promise.withResolvers<void>()
    const handler = nodeHandler(() => {}, {
      upgrade: (_request, socket) => {
        socket.on('close', () => closed.resolve())
        socket.write(`${SWITCH}\r\n`)
      },
    })
    const { port } = await startHttp(async request => {
      const { body } = await handler(request)
      body.discard()
      return { ...(await handler(request)), tunnel: undefined, status: 403 }
    })
    const client = await RawClient.connect(port)
    await client.send(UPGRADE).until(() => client.statuses.length === 1)
    await closed.promise
  })
})

/** Whether a stream that is full takes more within some turns of the event loop. */
async function drains(stream: Duplex): Promise<boolean> {
  for (let turn = 0; turn < 50; turn++) {
    if (!stream.writableNeedDrain) return true
    await new Promise(next => setImmediate(next))
  }
  return false
}
