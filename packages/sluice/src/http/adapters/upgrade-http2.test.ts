// WebSockets of applications of Node over HTTP/2 (RFC 8441).
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { connectWebSocketHttp2, nextMessage, WebSocketServer } from '../../../test/support/web-socket.ts'
import { nodeHandler } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

async function session(port: number): Promise<ClientHttp2Session> {
  const made = connect(`http://127.0.0.1:${port}`)
  made.on('error', () => {})
  sessions.push(made)
  await once(made, 'remoteSettings')
  return made
}

describe('nodeHandler with ws over HTTP/2', () => {
  it('carries messages both ways, compressed, several on one connection, and closes in order', async () => {
    const server = createServer()
    const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } })
    const closed = Promise.withResolvers<[number, string]>()
    sockets.on('connection', (socket, request) => {
      socket.send(`${request.method} ${request.url} ${request.httpVersion} ${socket.extensions}`)
      socket.on('message', (data, binary) => socket.send(data, { binary }))
      socket.on('close', (code, reason) => closed.resolve([code, String(reason)]))
    })
    const { port } = await startHttp(nodeHandler(server))
    const connection = await session(port)
    const clients = [
      await connectWebSocketHttp2(connection, '/one'),
      await connectWebSocketHttp2(connection, '/two'),
    ]
    const greetings = await Promise.all(clients.map(nextMessage))
    expect(greetings.map(String)).toEqual([
      'GET /one 1.1 permessage-deflate',
      'GET /two 1.1 permessage-deflate',
    ])
    for (const size of [0, 1, 126, 70_000, 3_000_000]) {
      const sent = Buffer.alloc(size, `message of ${size} bytes`)
      for (const client of clients) client.send(sent)
      for (const client of clients) expect((await nextMessage(client)).equals(sent)).toBe(true)
    }
    clients[0]?.close(4001, 'enough')
    expect(await closed.promise).toEqual([4001, 'enough'])
    clients[1]?.send('still here')
    expect(String(await nextMessage(clients[1] as (typeof clients)[0]))).toBe('still here')
  })

  it('sends no answer to a key that the client never sent, and the answer of an application that refuses', async () => {
    const server = createServer()
    const sockets = new WebSocketServer({ server, path: '/here' })
    const { port } = await startHttp(nodeHandler(server))
    const connection = await session(port)
    const ask = async (path: string) => {
      const head = {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': path,
        'sec-websocket-version': '13',
      }
      const stream = connection.request(head, { endStream: false })
      const [answer] = await once(stream, 'response')
      return answer
    }
    const accepted = await ask('/here')
    expect([accepted[':status'], accepted['sec-websocket-accept']]).toEqual([200, undefined])
    expect((await ask('/there'))[':status']).toBe(400)
    sockets.close()
  })

  it('tells either end when the other vanishes', async () => {
    const server = createServer()
    const sockets = new WebSocketServer({ server })
    const { port } = await startHttp(nodeHandler(server))
    const connection = await session(port)
    for (const who of ['client', 'server', 'session']) {
      const connected = once(sockets, 'connection')
      const client = await connectWebSocketHttp2(connection, '/')
      const [accepted] = (await connected) as [typeof client]
      const closed = new Promise<number>(resolve =>
        (who === 'server' ? client : accepted).on('close', resolve),
      )
      if (who === 'session') connection.destroy()
      else (who === 'server' ? accepted : client).terminate()
      expect([who, await closed]).toEqual([who, 1006])
    }
  })
})
