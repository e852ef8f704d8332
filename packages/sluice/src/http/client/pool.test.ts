// The pool as the reverse proxy uses it, in front of origins that behave badly. Time is in the hands of the tests.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { startProxy } from '../../../test/support/proxy.ts'
import { answering, OK, type OriginConnection, startOrigin } from '../../../test/support/raw-origin.ts'
import { until } from '../../../test/support/sockets.ts'
import { reverseProxy } from '../../proxy/index.ts'
import { sendProxyHeader } from '../../proxy-protocol/index.ts'
import { Body } from '../body.ts'

const logs = testsInHeldTime()

/** Lets time pass, and then what came of it. */
async function pass(seconds: number): Promise<void> {
  vi.advanceTimersByTime(seconds * 1000)
  for (let turns = 0; turns < 10; turns++) await turn()
}

const request = (method: string, body = ''): string =>
  `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Answers once, and is gone as soon as it is asked again. */
async function dying(connection: OriginConnection, leave: () => void): Promise<void> {
  await connection.request()
  await connection.send(OK)
  await connection.head()
  leave()
}

describe('a pool of connections', () => {
  it.each([
    ['GET', '', 200],
    ['DELETE', '', 200],
    ['POST', '', 502],
    ['PATCH', 'x', 502],
  ])('answers %s with %s on a kept connection that has died with %i', async (method, body, status) => {
    const origin = await startOrigin([
      connection => dying(connection, () => connection.reset()),
      answering(OK),
    ])
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    await client.send(request(method, body)).until(() => client.statuses.length === 2)
    expect(client.statuses[1]).toBe(status)
    expect(origin.connections).toHaveLength(status === 200 ? 2 : 1)
    expect(logs.map(line => line.code)).toEqual(status === 200 ? [] : ['HTTP_UPSTREAM_CLOSED'])
  })

  it('sends a long body that is in memory again on a new connection', async () => {
    const origin = await startOrigin([
      connection => dying(connection, () => connection.reset()),
      answering(OK),
    ])
    const proxy = reverseProxy(origin.url)
    const { port } = await startHttp(request => {
      const changed: { body: Body } = request
      if (request.method === 'PUT') changed.body = Body.from('x'.repeat(100_000))
      return proxy(request)
    })
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    await client.send(request('PUT')).until(() => client.statuses.length === 2)
    expect(client.statuses).toEqual([200, 200])
    expect(origin.received[1]).toMatch(/^PUT [\s\S]*\r\ncontent-length: 100000\r\n\r\nx{100000}$/)
  })

  it('does not try again what failed on a new connection', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      connection.end()
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    expect(client.statuses).toEqual([502])
    expect(origin.connections).toHaveLength(1)
  })

  it('does not try again once a byte of an answer has come', async () => {
    const origin = await startOrigin(connection =>
      dying(connection, () => {
        connection.socket.write('H')
        connection.end()
      }),
    )
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    await client.send(request('GET')).until(() => client.statuses.length === 2)
    expect(client.statuses).toEqual([200, 502])
    expect(origin.connections).toHaveLength(1)
  })

  it.each([
    ['bytes after the end of an answer', `${OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`],
    ['a body after 204', 'HTTP/1.1 204 No\r\ncontent-length: 4\r\n\r\n'],
    ['close', OK.replace('\r\n\r\n', '\r\nConnection: x, close\r\n\r\n')],
    ['HTTP/1.0', OK.replace('1.1', '1.0')],
    ['Keep-Alive of a second', OK.replace('\r\n\r\n', '\r\nKeep-Alive: max=9, timeout=1\r\n\r\n')],
  ])('does not use a connection again after %s', async (_what, answer) => {
    const origin = await startOrigin(answering(answer))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    for (let count = 1; count <= 2; count++) {
      await client.send(request('GET')).until(() => client.statuses.length === count)
      await until(() => origin.connections.every(connection => connection.over))
    }
    expect(client.received).not.toContain('evil')
    expect(origin.connections).toHaveLength(2)
  })

  it('closes a connection on which something comes that nobody asked for', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    await origin.connections[0]?.send('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil')
    await until(() => origin.connections[0]?.over === true)
    await client.send(request('GET')).until(() => client.statuses.length === 2)
    expect(client.received).not.toContain('evil')
  })

  it('closes a connection that is idle for 4 s, or for what the upstream says but a second', async () => {
    const origin = await startOrigin([
      answering(OK),
      answering(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=3\r\n\r\n')),
    ])
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.statuses.length === 1)
    await pass(3)
    await client.send(request('GET')).until(() => client.statuses.length === 2)
    expect(origin.connections).toHaveLength(1)
    await pass(5)
    await until(() => origin.connections[0]?.ended === true)
    await client.send(request('GET')).until(() => client.statuses.length === 3)
    await pass(1)
    expect(origin.connections[1]?.over).toBe(false)
    await pass(2)
    await until(() => origin.connections[1]?.ended === true)
  })

  it('lets requests wait for a connection, up to a number and a time', async () => {
    const origin = await startOrigin(() => undefined)
    const { port } = await startProxy(origin.url, { maxConnections: 1, maxWaiting: 1, queueTimeout: '5s' })
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))
    if (first === undefined || second === undefined || third === undefined) return
    first.send(request('GET'))
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    second.send(request('GET'))
    await pass(1)
    await third.send(request('GET')).until(() => third.statuses.length === 1)
    expect(third.received).toContain('HTTP_QUEUE_FULL')
    expect(third.statuses).toEqual([503])
    await pass(5)
    await second.until(() => second.statuses.length === 1)
    expect(second.received).toContain('HTTP_QUEUE_TIMEOUT')
    // Whoever waits gets the connection when it is free.
    third.send(request('GET'))
    await pass(0)
    await origin.connections[0]?.send(OK)
    await first.until(() => first.statuses.length === 1)
    await until(() => origin.received[0]?.split('GET').length === 3)
    await origin.connections[0]?.send(OK)
    await third.until(() => third.statuses.length === 2)
    expect(origin.connections).toHaveLength(1)
  })

  it('forgets a request whose client goes while it waits', async () => {
    const origin = await startOrigin(() => undefined)
    const { port } = await startProxy(origin.url, { maxConnections: 1 })
    const first = await RawClient.connect(port)
    first.send(request('GET'))
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    const second = await RawClient.connect(port)
    second.send(request('DELETE'))
    await pass(1)
    second.socket.resetAndDestroy()
    await pass(1)
    await origin.connections[0]?.send(OK)
    await first.until(() => first.statuses.length === 1)
    first.send(request('GET'))
    await until(() => origin.received[0]?.split('GET').length === 3)
    expect(origin.received.join('')).not.toContain('DELETE')
  })

  it('never lets clients share a connection that a PROXY header has announced for one', async () => {
    const origin = await startOrigin(async connection => {
      await connection.until(() => connection.received.startsWith('PROXY TCP4 127.0.0.1'))
      await answering(OK)(connection)
    })
    const { port } = await startProxy(origin.url, { connect: sendProxyHeader({ version: 1 }) })
    const clients = await Promise.all([1, 2].map(() => RawClient.connect(port)))
    for (let round = 1; round <= 2; round++) {
      for (const client of clients) {
        await client.send(request('GET')).until(() => client.statuses.length === round)
      }
    }
    expect(origin.connections).toHaveLength(2)
    const announced = origin.received.map(text => Number(/^PROXY TCP4 \S+ \S+ (\d+) /.exec(text)?.[1]))
    expect(announced.sort()).toEqual(clients.map(client => client.socket.localPort).sort())
    for (const text of origin.received) expect(text.match(/PROXY/g)).toHaveLength(1)
    // With the client go the connections that speak for it.
    clients[0]?.socket.end()
    await until(() => origin.connections.filter(connection => connection.over).length === 1)
  })

  it('has time limits for an upstream that does not answer, stands still, or does not read', async () => {
    const origin = await startOrigin([
      () => undefined,
      async connection => {
        await connection.head()
        await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
      },
      connection => void connection.socket.pause(),
    ])
    const { port } = await startProxy(origin.url)
    const first = await RawClient.connect(port)
    first.send(request('GET'))
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    await pass(59)
    expect(first.received).toBe('')
    await pass(2)
    await first.until(() => first.statuses.length === 1)
    expect(first.received).toMatch(/504 Gateway Timeout: HTTP_UPSTREAM_TIMEOUT\n$/)

    const second = await RawClient.connect(port)
    await second.send(request('GET')).until(() => second.received.endsWith('half'))
    await pass(61)
    await second.over()
    expect(second.failed).toBe('ECONNRESET')

    const third = await RawClient.connect(port)
    third.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n`)
    third.socket.write(Buffer.alloc(30_000_000))
    await until(() => origin.connections.length === 3)
    let written = 0
    while (third.socket.bytesWritten - third.socket.writableLength > written) {
      written = third.socket.bytesWritten - third.socket.writableLength
      for (let turns = 0; turns < 50; turns++) await turn()
    }
    await pass(61)
    await third.until(() => third.statuses.length === 1)
    expect(third.statuses).toEqual([504])
    expect(logs.map(line => line.code)).toEqual([
      'HTTP_UPSTREAM_TIMEOUT',
      'HTTP_UPSTREAM_BODY_TIMEOUT',
      'HTTP_UPSTREAM_WRITE_TIMEOUT',
    ])
  })

  it('lets an EventSource say little for as long as it says something', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: 0\n')
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(request('GET')).until(() => client.received.endsWith(': 0\n\r\n'))
    for (let count = 1; count <= 10; count++) {
      await pass(50)
      await origin.connections[0]?.send(`: ${count}\n`)
      await client.until(() => client.received.endsWith(`: ${count}\n\r\n`))
    }
    await pass(61)
    await client.over()
    expect(logs.map(line => line.code)).toEqual(['HTTP_UPSTREAM_BODY_TIMEOUT'])
  })

  it('sends a body after a second to an upstream that does not know 100-continue', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    await pass(2)
    await client.until(() => client.received === 'HTTP/1.1 100 Continue\r\n\r\n')
    client.send('hello')
    await client.until(() => client.received.endsWith('ok'))
    expect(origin.received[0]).toMatch(/\r\n\r\nhello$/)
  })
})
