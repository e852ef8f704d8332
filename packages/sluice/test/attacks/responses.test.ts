// Origins that attack, or are broken: nothing that they send reaches a client but what can't be misread, nothing ends the
// process, and no connection on which something was wrong is used again.
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { ownResponse } from '../support/own-codec.ts'
import { startProxy } from '../support/proxy.ts'
import { answering, OK, type OriginConnection, type RawOrigin, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { ANSWERS, type Answer, BAD_CHUNKS, BAD_HEADS, type BadBody, type BadHead } from './responses.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const GET = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'
const LAST = 'GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** What a client got, without what is the same in all answers. */
function plain(received: string): string {
  return received.replaceAll(/date: [^\r]+\r\n/g, '')
}

/** The connection on which something was wrong is closed; good requests get their answers on another, which they share. */
async function expectRecovery(origin: RawOrigin, port: number, code: string): Promise<void> {
  await origin.connections[0]?.gone()
  const good = await exchange(port, LAST)
  expect(plain(good.received)).toBe('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok')
  expect(origin.connections.length).toBe(2)
  expect(origin.received[0]?.match(/ HTTP\/1\.1\r\n/g)?.length).toBe(1)
  expect(origin.faults).toEqual([])
  expect(logs.map(line => line.code)).toEqual([code])
}

/** Asks an origin that answers the first time as it is told, and later as it should. */
async function ask(
  first: (connection: OriginConnection) => Promise<unknown>,
): Promise<{ origin: RawOrigin; port: number; client: RawClient }> {
  const origin = await startOrigin([
    async connection => {
      await connection.request()
      await first(connection)
    },
    answering(OK),
  ])
  const { port } = await startProxy(origin.url)
  const client = (await RawClient.connect(port)).send(GET)
  return { origin, port, client }
}

async function expectBadGateway(
  first: (connection: OriginConnection) => Promise<unknown>,
  code: string,
): Promise<void> {
  const { origin, port, client } = await ask(first)
  await client.until(() => client.received.endsWith(`\r\n\r\n502 Bad Gateway: ${code}\n`))
  expect(client.statuses.at(-1)).toBe(502)
  expect(client.statuses.filter(status => status >= 200)).toEqual([502])
  // It is not the client's fault: the connection to it goes on.
  await client.send(LAST).over()
  expect(client.statuses.slice(-2)).toEqual([502, 200])
  await expectRecovery(origin, port, code)
}

describe.each(BAD_HEADS)('502 for what is wrong with %s', (_about, heads) => {
  it.each(named(heads))('$name', async ({ entry: [, bytes] }: { entry: BadHead }) => {
    await expectBadGateway(connection => connection.send(bytes), 'HTTP_UPSTREAM_MALFORMED')
  })
})

describe('502 when the connection ends', () => {
  it.each([
    ['without an answer', ''],
    ['inside the status line', 'HTTP/1.1 20'],
    ['inside a field', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['before the empty line', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'],
    ['after an informational response', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('%s: in order, or with a reset', async (_name, bytes) => {
    for (const how of ['end', 'reset'] as const) {
      await expectBadGateway(async connection => {
        if (bytes !== '') await connection.send(bytes)
        connection[how]()
      }, 'HTTP_UPSTREAM_CLOSED')
      await stopHttp()
      logs.length = 0
    }
  })
})

/** Sends a good head, and what is wrong once the client has the head: all that it gets is what is told. */
async function expectCut(
  head: string,
  rest: (connection: OriginConnection) => Promise<unknown> | unknown,
  reached: string,
  code: string,
): Promise<void> {
  const { promise: go, resolve } = Promise.withResolvers<void>()
  const { origin, port, client } = await ask(async connection => {
    await connection.send(`HTTP/1.1 200 OK\r\n${head}\r\n`)
    await go
    await rest(connection)
  })
  await client.until(() => client.received.includes('\r\n\r\n'))
  resolve()
  await client.over()
  const got = client.received.slice(client.received.indexOf('\r\n\r\n') + 4)
  expect(reached.startsWith(got), `${JSON.stringify(got)} of ${JSON.stringify(reached)}`).toBe(true)
  const { response } = ownResponse([Buffer.from(client.received, 'latin1')], 'GET', true)
  expect(response, 'it could be taken for the whole').toBeUndefined()
  await expectRecovery(origin, port, code)
}

describe('an answer is cut off for', () => {
  it.each(named(BAD_CHUNKS))('$name', async ({ entry: [, body, reached] }: { entry: BadBody }) => {
    await expectCut(
      'Transfer-Encoding: chunked\r\n',
      connection => connection.send(body),
      reached,
      'HTTP_UPSTREAM_MALFORMED',
    )
  })

  it.each([
    ['a body that ends before its length', 'Content-Length: 10\r\n', 'hello', 'hello'],
    ['chunks that end', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n', '5\r\nhello\r\n'],
    ['chunks that end inside one', 'Transfer-Encoding: chunked\r\n', '5\r\nhel', '3\r\nhel\r\n'],
    ['chunks that end inside a size', 'Transfer-Encoding: chunked\r\n', '5', ''],
    ['chunks that end inside the trailers', 'Transfer-Encoding: chunked\r\n', '0\r\nX: y\r\n', ''],
    ['chunks that end before the last line', 'Transfer-Encoding: chunked\r\n', '0\r\n', ''],
  ])('%s: in order, or with a reset', async (_name, head, body, reached) => {
    for (const how of ['end', 'reset'] as const) {
      await expectCut(
        head,
        async connection => {
          await connection.send(body)
          connection[how]()
        },
        reached,
        'HTTP_UPSTREAM_INCOMPLETE',
      )
      await stopHttp()
      logs.length = 0
    }
  })

  it('a body that was to last as long as the connection, which was reset', async () => {
    await expectCut('X: y\r\n', connection => connection.reset(), '', 'HTTP_UPSTREAM_INCOMPLETE')
  })
})

describe('an answer is handed on as it is understood', () => {
  it.each(named(ANSWERS))('$name', async ({ entry }: { entry: Answer }) => {
    const [, method, bytes, expected, reused] = entry
    const origin = await startOrigin([answering(bytes, OK), answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(`${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`)
    await client.until(() => plain(client.received).length >= expected.length)
    await client.send(LAST).over()
    expect(plain(client.received)).toBe(
      `${expected}HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok`,
    )
    expect(origin.connections.length).toBe(reused ? 1 : 2)
    if (!reused) await origin.connections[0]?.gone()
    expect(logs).toEqual([])
  })
})

describe('a client of HTTP/1.0, whose answers end with their connection', () => {
  it('gets chunks without their framing, and no trailers', async () => {
    const chunks = 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n'
    const origin = await startOrigin(answering(`HTTP/1.1 200 OK\r\n${chunks}`))
    const { port } = await startProxy(origin.url)
    const client = await exchange(port, 'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
    expect(plain(client.received)).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok')
    expect(client.ended).toBe(true)
  })

  it.each([
    ['chunks that break off', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['a broken chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx'],
    ['a body that is too short', 'Content-Length: 9\r\n\r\nhello'],
  ])('is reset, so that it can not take a part for the whole: %s', async (_name, bytes) => {
    const origin = await startOrigin(async connection => {
      await connection.request()
      await connection.send('HTTP/1.1 200 OK\r\n', bytes)
      connection.end()
    })
    const { port } = await startProxy(origin.url)
    const client = await exchange(port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    expect(client.ended).toBe(false)
    expect(client.failed).toBe('ECONNRESET')
  })
})

/** Cases under their names. */
function named<E extends BadHead | BadBody | Answer>(entries: readonly E[]): { name: string; entry: E }[] {
  return entries.map(entry => ({ name: entry[0], entry }))
}
