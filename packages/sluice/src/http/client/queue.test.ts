// Who gets a connection when there are fewer than requests.
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { perClient } from '../../../test/support/proxy.ts'
import { answering, OK, startOrigin } from '../../../test/support/raw-origin.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import type { Connection, ConnectLayer } from '../../net/index.ts'
import { type ReverseProxyOptions, reverseProxy } from '../../proxy/index.ts'
import { sendProxyHeader } from '../../proxy-protocol/index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** A proxy with one connection, and two clients of it. */
async function startAll(url: string, options: ReverseProxyOptions<Connection> = {}) {
  const proxy = reverseProxy(url, { ...options, maxConnections: 1 })
  const asked: string[] = []
  const { port } = await startHttp(request => {
    asked.push(request.path)
    return proxy(request)
  })
  const [first, second] = await Promise.all([RawClient.connect(port), RawClient.connect(port)])
  return { first, second, asked }
}

describe('requests that wait for a connection', () => {
  it('get the place of one that another client has left idle', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.until(() => connection.rest === 'go')
      await connection.send(OK)
      await answering(OK)(connection)
    })
    const { first, second, asked } = await startAll(origin.url, {
      connect: sendProxyHeader({ version: 1 }),
      idleTimeout: '1h',
      queueTimeout: '1h',
    })
    first.send(GET)
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    second.send(GET)
    await until(() => asked.length === 2)
    origin.connections[0]?.socket.emit('data', Buffer.from('go'))
    await first.until(() => first.statuses.length === 1)
    await until(() => origin.connections[1]?.received.endsWith('\r\n\r\n') === true)
    expect(origin.connections[0]?.over).toBe(true)
  })

  it('get the place of one that could not be made for another client', async () => {
    const failing = Promise.withResolvers<never>()
    let made = 0
    const firstFails: ConnectLayer = Object.assign<ConnectLayer, object>(
      next => request => (made++ === 0 ? failing.promise : next(request)),
      { perClient: true },
    )
    const origin = await startOrigin(answering(OK))
    const { first, second, asked } = await startAll(origin.url, { connect: firstFails, queueTimeout: '1h' })
    first.send(GET)
    await until(() => made === 1)
    second.send(GET)
    await until(() => asked.length === 2)
    failing.reject(new Error('no'))
    await first.until(() => first.statuses.length === 1)
    await second.until(() => second.statuses.length === 1)
    expect([first.statuses, second.statuses]).toEqual([[502], [200]])
  })

  it('get a new one where theirs has died and the others were taken meanwhile', async () => {
    const origin = await startOrigin([
      async connection => {
        await connection.request()
        await connection.send(OK)
        await connection.head()
        connection.reset()
      },
      answering(OK),
    ])
    const { first, second } = await startAll(origin.url, { idleTimeout: '1h', queueTimeout: '1h' })
    await first.send(GET).until(() => first.statuses.length === 1)
    // The first is on the kept connection, which dies; the second waits, and has a new one made.
    first.send(GET)
    second.send(GET)
    await first.until(() => first.statuses.length === 2)
    await second.until(() => second.statuses.length === 1)
    expect([first.statuses, second.statuses]).toEqual([[200, 200], [200]])
  })

  it('are not counted while their connections are being made', async () => {
    const gate = Promise.withResolvers<void>()
    let made = 0
    const slow: ConnectLayer = next => async request => {
      made++
      await gate.promise
      return next(request)
    }
    const origin = await startOrigin(answering(OK))
    const { first, second, asked } = await startAll(origin.url, { connect: slow, maxWaiting: 1 })
    first.send(GET)
    await until(() => made === 1)
    second.send(GET)
    await until(() => asked.length === 2)
    gate.resolve()
    await first.until(() => first.statuses.length === 1)
    await second.until(() => second.statuses.length === 1)
    expect([first.statuses, second.statuses]).toEqual([[200], [200]])
  })

  it('are limited in number while a connection is made that will be enough for all of them', async () => {
    const origin = await startOrigin(() => undefined)
    const proxy = reverseProxy(origin.url.replace('http:', 'h2c:'), {
      connect: () => () => new Promise<never>(() => undefined),
      maxWaiting: 1,
    })
    const { port } = await startHttp(proxy)
    const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(port)))
    for (const client of clients) client.send(GET)
    const refused = await Promise.race(
      clients.map(client => client.until(() => client.statuses.length === 1)),
    )
    expect(refused.received).toMatch(/503 Service Unavailable: HTTP_QUEUE_FULL\n$/)
  })
})

it('has connections to many upstreams made for one client without a warning of the platform', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error): number => warnings.push(warning)
  process.on('warning', warned)
  const origin = await startOrigin(answering(OK))
  const urls = Array.from({ length: 20 }, () => origin.url)
  const { port } = await startHttp(reverseProxy(urls, { connect: perClient }))
  const client = await RawClient.connect(port)
  for (let count = 1; count <= urls.length; count++) {
    await client.send(GET).until(() => client.statuses.length === count)
  }
  process.off('warning', warned)
  expect(origin.connections).toHaveLength(urls.length)
  expect(warnings).toEqual([])
})
