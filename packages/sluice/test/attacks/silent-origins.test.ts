// Origins that take connections and do not do their part: no TLS where it is asked for, no answer, half an answer, or one
// that comes byte by byte. Time is in the hands of the tests.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../support/held-time.ts'
import { exchange, RawClient, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { forwarded, startProxy } from '../support/proxy.ts'
import { answering, OK, type OriginConnection, type RawOrigin, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { testCertificate } from '../support/test-certificate.ts'

const logs = captureLogs()
afterEach(async () => {
  vi.useRealTimers()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const GET = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

describe('an origin that is to speak TLS', () => {
  const tls = { ca: testCertificate }
  const overTls = (port: number): string => `https://localhost:${port}`

  it.each([
    ['an answer in clear, before the handshake', `${OK}${OK}`],
    ['an answer in clear that is never complete', 'HTTP/1.1 200 OK\r\n'],
    [
      'a 101 in clear',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
    ['an alert', '\x15\x03\x03\0\x02\x02\x28'],
    ['SETTINGS of HTTP/2 in clear', '\0\0\0\x04\0\0\0\0\0'],
    ['a banner', 'SSH-2.0-OpenSSH_10.0\r\n'],
  ])('and says something else gives 502 (CVE-2026-1642): %s', async (_name, bytes) => {
    for (const when of ['at once', 'after the ClientHello'] as const) {
      const origin = await startOrigin(async connection => {
        if (when === 'after the ClientHello') await connection.until(() => connection.received !== '')
        await connection.send(bytes)
        await connection.gone()
      })
      const { port } = await startProxy(overTls(origin.port), { tls })
      const client = await exchange(port, LAST)
      expect(client.statuses, when).toEqual([502])
      expect(client.received, when).toMatch(/\r\n\r\n502 Bad Gateway: TLS_UPSTREAM_FAILED\n$/)
      await Promise.all(origin.connections.map(connection => connection.gone()))
      // Nothing of the request has left in clear.
      expect(origin.received.join(''), when).not.toContain('HTTP/1.1')
      expect(logs.map(line => line.code)).toEqual(['TLS_UPSTREAM_FAILED'])
      logs.length = 0
    }
  })

  it('and resets the connection in the handshake gives 502', async () => {
    const origin = await startOrigin(async connection => {
      await connection.until(() => connection.received !== '')
      connection.reset()
    })
    const { port } = await startProxy(overTls(origin.port), { tls })
    expect((await exchange(port, LAST)).received).toMatch(/502 Bad Gateway: TLS_UPSTREAM_FAILED\n$/)
  })

  it('and whose certificate nobody vouches for gives 502, and is told nothing', async () => {
    const origin = await startOrigin(answering(OK), { tls: true })
    const { port } = await startProxy(origin.url)
    expect((await exchange(port, LAST)).received).toMatch(/502 Bad Gateway: TLS_UPSTREAM_UNVERIFIED\n$/)
    expect(origin.received.join('')).toBe('')
  })

  it('and does is asked as any other', async () => {
    const origin = await startOrigin(answering(OK), { tls: true })
    const { port } = await startProxy(origin.url, { tls })
    expect((await exchange(port, LAST)).statuses).toEqual([200])
    expect(origin.received).toEqual([forwarded('GET', '/last')])
  })
})

describe('an origin that keeps silent', () => {
  beforeEach(holdTime)

  /** Lets time pass, and then what came of it. */
  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      vi.advanceTimersByTime(1000)
      for (let turns = 0; turns < 10; turns++) await turn()
    }
  }

  async function ask(
    bytes: string,
    answer: (connection: OriginConnection) => Promise<unknown> | unknown,
  ): Promise<{ origin: RawOrigin; port: number; client: RawClient }> {
    const origin = await startOrigin([answer, answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(bytes)
    await origin.connected(1)
    await origin.connections[0]?.until(() => origin.received[0]?.includes('\r\n\r\n') === true)
    return { origin, port, client }
  }

  async function expectEnd(origin: RawOrigin, port: number, code: string): Promise<void> {
    await origin.connections[0]?.gone()
    expect((await exchange(port, LAST)).statuses).toEqual([200])
    expect(origin.connections.length).toBe(2)
    expect(logs.map(line => line.code)).toEqual([code])
  }

  it('gives 504 after 60 s without an answer', async () => {
    const { origin, port, client } = await ask(GET, () => undefined)
    await pass(59)
    expect(client.received).toBe('')
    await pass(2)
    await client.until(() => client.received.endsWith('504 Gateway Timeout: HTTP_UPSTREAM_TIMEOUT\n'))
    await expectEnd(origin, port, 'HTTP_UPSTREAM_TIMEOUT')
  })

  it('gives 504 for a head that comes byte by byte, after the same time', async () => {
    const head = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100)}`
    const { origin, port, client } = await ask(GET, () => undefined)
    for (const byte of head.slice(0, 59)) {
      await origin.connections[0]?.send(byte)
      await pass(1)
    }
    expect(client.received).toBe('')
    await pass(2)
    await client.until(() => client.received.endsWith('504 Gateway Timeout: HTTP_UPSTREAM_TIMEOUT\n'))
    await expectEnd(origin, port, 'HTTP_UPSTREAM_TIMEOUT')
  })

  it('gives 504 for informational responses without an end', async () => {
    const { origin, port, client } = await ask(GET, () => undefined)
    for (let count = 0; count < 10; count++) {
      await origin.connections[0]?.send('HTTP/1.1 102 Processing\r\n\r\n')
      await pass(5)
    }
    expect(client.statuses.every(status => status === 102)).toBe(true)
    await pass(12)
    await client.until(() => client.received.endsWith('504 Gateway Timeout: HTTP_UPSTREAM_TIMEOUT\n'))
    await expectEnd(origin, port, 'HTTP_UPSTREAM_TIMEOUT')
  })

  it('is cut after 60 s inside a body', async () => {
    const { origin, port, client } = await ask(GET, connection =>
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
    )
    await client.until(() => client.received.endsWith('half'))
    await pass(59)
    expect(client.failed).toBeUndefined()
    await pass(3)
    await client.over()
    await expectEnd(origin, port, 'HTTP_UPSTREAM_BODY_TIMEOUT')
  })

  it('is not cut while its body comes, however slowly: it may be a stream of events', async () => {
    const { origin, client } = await ask(GET, connection =>
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n'),
    )
    await client.until(() => client.received.endsWith('\r\n\r\n'))
    for (let minutes = 0; minutes < 5; minutes++) {
      await pass(58)
      await origin.connections[0]?.send('x')
      await client.until(() => client.received.endsWith('x'.repeat(minutes + 1)))
    }
    expect(client.failed).toBeUndefined()
    expect(logs).toEqual([])
  })

  it('does not keep a client that has ended its side, and does not go', async () => {
    const { origin, client } = await ask(GET, () => undefined)
    client.socket.end()
    await origin.connections[0]?.gone()
    await pass(6)
    await client.over()
    expect(client.received).toBe('')
    expect(logs).toEqual([])
  })

  it('does not keep the connection of a client that has gone meanwhile', async () => {
    const { origin, client } = await ask(GET, () => undefined)
    client.socket.resetAndDestroy()
    await origin.connections[0]?.gone()
    expect(origin.connections[0]?.failed).toBe('ECONNRESET')
    expect(logs.filter(line => line.code !== undefined).length).toBeLessThanOrEqual(1)
  })
})
