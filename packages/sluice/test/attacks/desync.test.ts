// Attacks in which what is sent depends on what has come: requests that wait behind an upgrade, an expectation or an early
// answer, and answers that nobody has asked for. The client and the origin must never disagree about which answer belongs
// to which request.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { forwarded, startProxy } from '../support/proxy.ts'
import { answering, OK, type OriginScript, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string): string => `POST /x HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const LAST = get('/last', 'Connection: close\r\n')
const SMUGGLED = get('/smuggled')
const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
const UPGRADE = { framing: 'connection: upgrade\r\nupgrade: websocket\r\n' }
const answer = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** Lets what was sent arrive, so that what must not happen would have happened. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await turn()
}

/** The bodies of all answers that a client has got. */
function bodies(received: string): string[] {
  return [...received.matchAll(/content-length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n/g)].map(match => {
    const start = match.index + match[0].length
    return received.slice(start, start + Number(match[1]))
  })
}

describe('behind an upgrade', () => {
  it.each([
    ['200', OK],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno'],
    [
      '426',
      'HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: h3\r\nContent-Length: 0\r\n\r\n',
    ],
  ])('nothing passes unread when it is answered with %s (CVE-2026-2833)', async (status, bytes) => {
    const { promise: go, resolve } = Promise.withResolvers<void>()
    const origin = await startOrigin(async connection => {
      await connection.request()
      await go
      await connection.send(bytes)
      await answering(OK)(connection)
    })
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(get('/ws', WEBSOCKET) + get('/2') + LAST)
    await origin.connected(1)
    await settle()
    expect(origin.received).toEqual([forwarded('GET', '/ws', UPGRADE)])
    resolve()
    await client.over()
    expect(client.statuses).toEqual([Number(status), 200, 200])
    expect(origin.received).toEqual([
      forwarded('GET', '/ws', UPGRADE) + forwarded('GET', '/2') + forwarded('GET', '/last'),
    ])
  })

  it('nothing passes when the origin changes to something else than was asked for', async () => {
    for (const fields of [
      'Connection: upgrade\r\nUpgrade: h2c\r\n',
      'Upgrade: websocket\r\n',
      WEBSOCKET.slice(21),
      '',
    ]) {
      const origin = await startOrigin([
        async connection => {
          await connection.request()
          await connection.send(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\nraw`)
        },
        answering(OK),
      ])
      const { port } = await startProxy(origin.url)
      const client = await exchange(port, get('/ws', WEBSOCKET) + LAST)
      expect(client.statuses).toEqual([502, 200])
      expect(origin.received).toEqual([forwarded('GET', '/ws', UPGRADE), forwarded('GET', '/last')])
    }
    expect(logs.map(line => line.code)).toEqual(Array.from({ length: 4 }, () => 'HTTP_UPSTREAM_MALFORMED'))
  })

  it('what follows is no HTTP once it is granted, and nothing of it comes back to the pool', async () => {
    const origin = await startOrigin([
      async connection => {
        await connection.request()
        await connection.send(`HTTP/1.1 101 Switching Protocols\r\n${WEBSOCKET}\r\n`)
        await connection.until(() => connection.rest !== '')
        await connection.send(answer('tunnel'))
        connection.end()
      },
      answering(OK),
    ])
    const { port } = await startProxy(origin.url)
    const client = await exchange(port, get('/ws', WEBSOCKET) + SMUGGLED)
    expect(client.received.endsWith(`\r\n\r\n${answer('tunnel')}`)).toBe(true)
    client.socket.end()
    const other = await exchange(port, LAST)
    expect(bodies(other.received)).toEqual(['ok'])
    expect(origin.received).toEqual([forwarded('GET', '/ws', UPGRADE) + SMUGGLED, forwarded('GET', '/last')])
  })
})

describe('behind Expect: 100-continue', () => {
  const expecting = post('Content-Length: 41\r\nExpect: 100-continue\r\n')
  const head = forwarded('POST', '/x', { framing: 'content-length: 41\r\nexpect: 100-continue\r\n' })

  it.each([
    ['an early final answer', OK, 200],
    ['417', 'HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n', 417],
    [
      'a refusal that keeps the connection',
      `HTTP/1.1 401 No\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n`,
      401,
    ],
  ])('a request that comes in place of the body is never one: %s', async (_name, bytes, status) => {
    const origin = await startOrigin([answeringHeads(bytes), answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(expecting)
    await client.until(() => client.statuses.length > 0)
    // To the client it may be the body, or the next request: nobody can tell, so the connection has ended.
    await client.send(SMUGGLED).over()
    expect(client.statuses).toEqual([status])
    expect(client.received).toContain('connection: close\r\n')
    const other = await exchange(port, LAST)
    expect(bodies(other.received)).toEqual(['ok'])
    expect(origin.received).toEqual([head, forwarded('GET', '/last')])
  })

  it('an expectation without a body is not handed on, as nothing would ever be waited for', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await exchange(port, get('/x', 'Expect: 100-continue\r\n') + LAST)
    expect(client.statuses.at(-1)).toBe(200)
    expect(bodies(client.received)).toEqual(['ok', 'ok'])
    expect(origin.received).toEqual([forwarded('GET', '/x') + forwarded('GET', '/last')])
  })

  it('a body that came without being asked for is sent once, whatever the origin says how often', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send('HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n')
      await connection.until(() => connection.rest.length === 41)
      await connection.send('HTTP/1.1 100 Continue\r\n\r\n', OK)
      await answering(OK)(connection)
    })
    const { port } = await startProxy(origin.url)
    const body = get('/body', 'X: abcde\r\n')
    const client = await exchange(port, expecting + body + LAST)
    expect(client.statuses.filter(status => status >= 200)).toEqual([200, 200])
    expect(origin.received).toEqual([head + body + forwarded('GET', '/last')])
  })
})

/** Answers at once, when the head has come, and takes whatever else comes. */
function answeringHeads(bytes: string): OriginScript {
  return async connection => {
    await connection.head()
    await connection.send(bytes)
  }
}

describe('behind an early answer', () => {
  it.each([
    [
      'a length',
      `Content-Length: ${SMUGGLED.length}\r\n`,
      SMUGGLED,
      { framing: `content-length: ${SMUGGLED.length}\r\n` },
    ],
    [
      'chunks',
      'Transfer-Encoding: chunked\r\n',
      `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
      { framing: 'transfer-encoding: chunked\r\n' },
    ],
  ])('the rest of a body is no request (CVE-2025-4366): %s', async (_name, framing, rest, parts) => {
    const origin = await startOrigin([answeringHeads(answer('early')), answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(post(framing))
    await client.until(() => client.received.endsWith('early'))
    await client.send(rest)
    await settle()
    client.send(LAST)
    await client.over()
    const other = await exchange(port, LAST)
    expect(bodies(other.received)).toEqual(['ok'])
    // What was sent of the body before the origin's answer was known is no request either.
    expect(origin.received[0]).toBe(forwarded('POST', '/x', parts))
    expect(origin.received.slice(1).join('')).not.toContain('/smuggled')
    expect(bodies(client.received).slice(1)).toEqual(
      bodies(client.received)
        .slice(1)
        .map(() => 'ok'),
    )
  })

  it('a connection on which a request was left unfinished is not used again', async () => {
    const origin = await startOrigin([answeringHeads(answer('early')), answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(`${post('Content-Length: 1000\r\n')}${SMUGGLED}`)
    await client.until(() => client.received.endsWith('early'))
    const other = await exchange(port, LAST)
    expect(bodies(other.received)).toEqual(['ok'])
    expect(origin.connections.length).toBe(2)
    await origin.connections[0]?.gone()
  })
})

describe('answers that nobody has asked for', () => {
  it.each([
    ['an answer', answer('smuggled')],
    ['half an answer', 'HTTP/1.1 200 OK\r\n'],
    ['an informational response', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n'],
    [
      '408 before closing, as some servers send it',
      'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n',
    ],
    ['a line end', '\r\n'],
    ['one byte', '\0'],
  ])('close the idle connection on which they come: %s', async (_name, bytes) => {
    const { promise: go, resolve } = Promise.withResolvers<void>()
    const origin = await startOrigin([
      async connection => {
        await connection.request()
        await connection.send(OK)
        await go
        await connection.send(bytes)
      },
      answering(answer('own')),
    ])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(get('/1'))
    await client.until(() => client.received.endsWith('ok'))
    resolve()
    await origin.connections[0]?.gone()
    await client.send(LAST).over()
    expect(bodies(client.received)).toEqual(['ok', 'own'])
    expect(origin.received).toEqual([forwarded('GET', '/1'), forwarded('GET', '/last')])
    expect(logs).toEqual([])
  })

  it('an answer that was there before the request costs the connection', async () => {
    const origin = await startOrigin([
      async connection => {
        await connection.send(answer('before'))
        await answering(answer('late'))(connection)
      },
      answering(answer('own')),
    ])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(get('/1'))
    // Nobody can tell that it was there before: it is what came first.
    await client.until(() => client.received.endsWith('before'))
    await origin.connections[0]?.gone()
    await client.send(LAST).over()
    expect(bodies(client.received)).toEqual(['before', 'own'])
    expect(origin.received).toEqual([forwarded('GET', '/1'), forwarded('GET', '/last')])
  })

  it("two answers to one request: the second is nobody's", async () => {
    const origin = await startOrigin([
      answering(answer('first') + answer('smuggled')),
      answering(answer('own')),
    ])
    const { port } = await startProxy(origin.url)
    // The next request waits already when both come.
    const client = await exchange(port, get('/1') + LAST)
    expect(bodies(client.received)).toEqual(['first', 'own'])
  })
})

describe('a request that is not answered', () => {
  it('is not sent twice unless it is idempotent', async () => {
    for (const [method, times] of [
      ['GET', 2],
      ['DELETE', 2],
      ['POST', 1],
      ['PATCH', 1],
    ] as const) {
      const dying: OriginScript = async connection => {
        await connection.request()
        await connection.send(OK)
        await connection.request()
        connection.reset()
      }
      const origin = await startOrigin([dying, answering(OK)])
      const { port } = await startProxy(origin.url)
      const client = (await RawClient.connect(port)).send(get('/1'))
      await client.until(() => client.received.endsWith('ok'))
      await client.send(`${method} /2 HTTP/1.1\r\nHost: a\r\n\r\n`)
      await client.until(() => client.statuses.length === 2)
      const sent = origin.received.join('').split(`${method} /2 `).length - 1
      expect(sent, method).toBe(times)
      expect(client.statuses, method).toEqual([200, times === 2 ? 200 : 502])
    }
  })

  it('is not sent again once anything of an answer has come', async () => {
    const origin = await startOrigin([
      async connection => {
        await connection.request()
        await connection.send(OK)
        await connection.request()
        await connection.send('HTTP/1.1 2')
        connection.end()
      },
      answering(OK),
    ])
    const { port } = await startProxy(origin.url)
    const client = (await RawClient.connect(port)).send(get('/1'))
    await client.until(() => client.received.endsWith('ok'))
    await client.send(get('/2')).until(() => client.statuses.length === 2)
    expect(client.statuses).toEqual([200, 502])
    expect(origin.connections.length).toBe(1)
  })
})
