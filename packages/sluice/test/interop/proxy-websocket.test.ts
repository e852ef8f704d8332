// WebSockets through the reverse proxy: the package ws at both ends, over HTTP/1.1 and HTTP/2 from clients and to origins,
// with compression. HAProxy is the origin that speaks WebSocket over HTTP/2, with ws behind it.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { configureLogging } from 'sluice'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ClientOptions, WebSocket } from 'ws'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { type NodeOrigin, startNodeOrigin } from '../support/node-origin.ts'
import { freePort, type Peer, startPeer, temporaryFolder } from '../support/peers.ts'
import { closeSockets } from '../support/sockets.ts'
import { connectWebSocket, connectWebSocketHttp2, nextMessage } from '../support/web-socket.ts'

configureLogging({ directives: 'off' })

const folder = temporaryFolder()
const edges = new Map<string, Edge>()
const sessions: ClientHttp2Session[] = []
let origin: NodeOrigin
let haproxy: Peer
let count = 0

beforeAll(async () => {
  origin = await startNodeOrigin()
  const port = await freePort()
  writeFileSync(
    `${folder.path}/haproxy.cfg`,
    `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend h2
  bind 127.0.0.1:${port} proto h2
  default_backend node
backend node
  server node ${new URL(origin.urls.http).host}
`,
  )
  haproxy = await startPeer({
    program: 'haproxy',
    package: 'haproxy',
    args: ['-f', `${folder.path}/haproxy.cfg`, '-db'],
    ports: [port],
  })
  const { http, https, h2 } = origin.urls
  for (const [name, to] of Object.entries({ http, https, h2, haproxy: `h2c://127.0.0.1:${port}` })) {
    edges.set(name, await startEdge(to, { tls: { ca: origin.ca } }))
  }
})

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await closeSockets()
})

afterAll(async () => {
  await stopEdges()
  await haproxy?.stop()
  origin?.stop()
  folder.remove()
})

const ORIGINS = [
  { kind: 'http', to: 'HTTP/1.1' },
  { kind: 'https', to: 'HTTP/1.1 and TLS' },
  { kind: 'h2', to: 'an origin with both versions' },
  { kind: 'haproxy', to: 'HTTP/2' },
] as const

const CLIENTS = [
  { client: 'HTTP/1.1', at: 'plain', http2: false },
  { client: 'HTTP/1.1 and TLS', at: 'secure', http2: false },
  { client: 'HTTP/2', at: 'plain', http2: true },
  { client: 'HTTP/2 and TLS', at: 'secure', http2: true },
] as const

const WAYS = ORIGINS.flatMap(way => CLIENTS.map(client => ({ ...way, ...client })))

describe.each(WAYS)('from $client to $to', ({ kind, at, http2 }) => {
  async function dial(
    path: string,
    options: ClientOptions = {},
    protocols: string[] = [],
  ): Promise<WebSocket> {
    const base = edges.get(kind)?.[at] ?? ''
    if (!http2) return connectWebSocket(base.replace(/^http/, 'ws') + path, options, protocols)
    const session = connect(base, { rejectUnauthorized: false })
    session.on('error', () => {})
    sessions.push(session)
    return connectWebSocketHttp2(session, path, options)
  }

  /** A path that no other test has. */
  const unique = (path: string): string => `${path}${path.includes('?') ? '&' : '?'}id=${count++}`
  const closed = (url: string) => origin.until(one => one.event === 'socket-closed' && one.url === url)

  it('messages of all sizes, compressed and not', async () => {
    for (const deflate of ['?deflate', '']) {
      const socket = await dial(unique(`/ws/echo${deflate}`), { perMessageDeflate: { threshold: 0 } })
      expect(socket.extensions).toBe(deflate === '' ? '' : 'permessage-deflate')
      for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
        for (const sent of [Buffer.alloc(size, 'much alike '), randomBytes(size)]) {
          socket.send(sent)
          expect(hash(await nextMessage(socket))).toBe(hash(sent))
        }
      }
      socket.send('what is text stays text: ü')
      expect(String(await nextMessage(socket))).toBe('what is text stays text: ü')
      socket.close()
    }
  })

  it('many messages, one behind the other, in their order', async () => {
    const socket = await dial(unique('/ws/echo?deflate'))
    const sent = Array.from(
      { length: 500 },
      (_, index) => `message ${index} ${'x'.repeat((index * 37) % 500)}`,
    )
    for (const message of sent) socket.send(message)
    const got: string[] = []
    for (const _ of sent) got.push(String(await nextMessage(socket)))
    expect(got).toEqual(sent)
    socket.close()
  })

  it('a message of 8 MB', async () => {
    const socket = await dial(unique('/ws/echo'))
    const sent = randomBytes(8 * 1024 * 1024)
    socket.send(sent)
    expect(hash(await nextMessage(socket))).toBe(hash(sent))
    socket.close()
  })

  if (!http2) {
    it('the subprotocol that the origin chooses', async () => {
      const socket = await dial(unique('/ws/echo'), {}, ['other', 'chat'])
      expect(socket.protocol).toBe('chat')
      socket.close()
    })
  }

  it('pings and pongs from either side', async () => {
    const url = unique('/ws/ping')
    const socket = await dial(url)
    await origin.until(one => one.event === 'pong' && one.url === url)
    const pong = once(socket, 'pong')
    socket.ping('from the client')
    expect(String((await pong)[0])).toBe('from the client')
    socket.close()
  })

  it('the code and the reason with which the client closes', async () => {
    const url = unique('/ws/echo')
    const socket = await dial(url)
    const ended = once(socket, 'close')
    socket.close(4001, 'enough of this')
    expect(await closed(url)).toMatchObject({ code: 4001, reason: 'enough of this' })
    expect((await ended)[0]).toBe(4001)
  })

  it('the code and the reason with which the origin closes', async () => {
    const url = unique('/ws/close?code=4002&reason=go')
    const socket = await dial(url)
    const ended = once(socket, 'close')
    socket.send('now')
    const [code, reason] = await ended
    expect([code, String(reason)]).toEqual([4002, 'go'])
    expect(await closed(url)).toMatchObject({ code: 4002 })
  })

  it('a client that vanishes', async () => {
    const url = unique('/ws/echo')
    const socket = await dial(url)
    socket.terminate()
    expect(await closed(url)).toMatchObject({ code: 1006 })
  })

  it('an origin that vanishes', async () => {
    const url = unique('/ws/terminate')
    const socket = await dial(url)
    socket.on('error', () => {})
    const ended = once(socket, 'close')
    socket.send('now')
    expect((await ended)[0]).toBe(1006)
  })

  it('the refusal of an origin', async () => {
    await expect(dial('/none')).rejects.toThrow('Unexpected server response: 400')
  })
})

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
