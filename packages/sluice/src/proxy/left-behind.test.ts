// What is given up on the way through the reverse proxy is closed, on both sides.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../test/support/http.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { startProxy } from '../../test/support/proxy.ts'
import { answering, OK, startOrigin } from '../../test/support/raw-origin.ts'
import { closeSockets, until } from '../../test/support/sockets.ts'
import type { Connected, ConnectLayer } from '../net/index.ts'
import { reverseProxy } from './index.ts'

const logs = captureLogs()

/** Connections to upstreams, as the proxy has them. */
const made: Connected[] = []
const recording: ConnectLayer = next =>
  async function record(request) {
    const connected = await next(request)
    made.push(connected)
    return connected
  }

afterEach(async () => {
  await stopHttp()
  await closeSockets()
  made.length = 0
  logs.length = 0
})

/** Settled when no more of what a client has written is taken. */
async function stuck({ socket }: RawClient): Promise<void> {
  for (let taken = -1, quiet = 0; quiet < 50; await turn()) {
    const now = socket.bytesWritten - socket.writableLength
    quiet = now === taken ? quiet + 1 : 0
    taken = now
  }
}

describe('a connection to an upstream', () => {
  it('is reset when the upstream answers an upload early and does not read the rest', async () => {
    const origin = await startOrigin(connection => void connection.socket.pause())
    const { port } = await startProxy(origin.url, { connect: recording })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
    client.send(Buffer.alloc(30_000_000))
    await origin.connected(1)
    await stuck(client)
    await origin.connections[0]?.send(OK)
    await client.until(() => client.statuses.length === 1)
    await until(() => made[0]?.socket.destroyed === true)
    expect(made).toHaveLength(1)
  })

  it('is closed when a service has read the body that was to be sent on it', async () => {
    const origin = await startOrigin(answering(OK))
    const proxy = reverseProxy(origin.url, { connect: recording })
    const { port } = await startHttp(async request => {
      await request.body.text()
      return proxy(request)
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
    await client.until(() => client.received.endsWith('\n'))
    expect(client.received).toMatch(/500 Internal Server Error: HTTP_BODY_USED\n$/)
    await until(() => made[0]?.socket.destroyed === true)
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_USED'])
  })

  it('is reset when the client goes between its 101 and the tunnel', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send('HTTP/1.1 101 Ok\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n')
    })
    const proxy = reverseProxy(origin.url, { connect: recording })
    const switched = Promise.withResolvers<void>()
    const { port } = await startHttp(async request => {
      const answer = await proxy(request)
      const gone = new Promise<void>(resolve => request.whenGone(resolve))
      switched.resolve()
      await gone
      return answer
    })
    const client = await RawClient.connect(port)
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
    await switched.promise
    client.socket.resetAndDestroy()
    await until(() => made[0]?.socket.destroyed === true)
  })
})
