// From HTTP/2 to HTTP/1.1, where a line end in a value would be another field, and a body without framing another request:
// what would be so is refused, and the rest is forwarded as exactly these bytes.
import { once } from 'node:events'
import { connect } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { stopHttp } from '../support/http.ts'
import {
  block,
  data,
  END_STREAM,
  type Fields,
  FrameClient,
  fields,
  GET,
  headers,
  POST,
  rstStream,
} from '../support/http2-frames.ts'
import { LENIENCIES, startLenientOrigin } from '../support/lenient-origin.ts'
import { captureLogs } from '../support/logs.ts'
import { type Forwarded, forwarded, startProxy } from '../support/proxy.ts'
import { answering, OK, startOrigin } from '../support/raw-origin.ts'
import { closeSockets, until } from '../support/sockets.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const to = (method: string, target: string, parts: Forwarded = {}): string =>
  forwarded(method, target, { version: '2', ...parts })

type Replaced = Readonly<Record<string, string | undefined>>
type Refusal = readonly [name: string, replaced: Replaced, ...more: Fields]

/** Fields that HTTP/1.1 could not carry, or would carry as something else. */
const UNCARRIED: readonly Refusal[] = [
  ['CR LF in a value', {}, ['x', 'a\r\nhost: b']],
  ['CR LF and a request in a value', {}, ['x', 'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n']],
  ['LF in a value', {}, ['x', 'a\nhost: b']],
  ['CR in a value', {}, ['x', 'a\rhost: b']],
  ['NUL in a value', {}, ['x', 'a\0b']],
  ['a control character in a value', {}, ['x', 'a\x01b']],
  ['CR LF in a name', {}, ['x\r\nhost', 'b']],
  ['CR LF and a value in a name', {}, ['x: a\r\nhost', 'b']],
  ['a colon in a name', {}, ['x:y', 'b']],
  ['a colon at the end of a name', {}, ['transfer-encoding:', 'chunked']],
  ['a space in a name', {}, ['transfer-encoding ', 'chunked']],
  ['a space before a name', {}, [' transfer-encoding', 'chunked']],
  ['an empty name', {}, ['', 'b']],
  ['a name above ASCII', {}, ['\xe4', 'b']],
]

/** Field sections that must not reach an origin; `haproxy` has them in its h2_desync_attacks.vtc, too. */
const REFUSED: readonly Refusal[] = [
  ['a name in upper case', {}, ['Transfer-Encoding', 'chunked']],
  ['transfer-encoding', {}, ['transfer-encoding', 'chunked']],
  ['connection', {}, ['connection', 'x-forwarded-for']],
  ['keep-alive', {}, ['keep-alive', 'timeout=5']],
  ['proxy-connection', {}, ['proxy-connection', 'keep-alive']],
  ['upgrade', {}, ['upgrade', 'websocket']],
  ['te that is not trailers', {}, ['te', 'chunked']],
  ['CR LF in :path', { ':path': '/ HTTP/1.1\r\nhost: b\r\n\r\nGET /smuggled' }],
  ['a space in :path', { ':path': '/ HTTP/1.1' }],
  ['a tab in :path', { ':path': '/\tx' }],
  ['NUL in :path', { ':path': '/\0' }],
  ['a :path that is a URL', { ':path': 'http://b/' }],
  ['a :path without a slash', { ':path': 'x' }],
  ['a :path that begins with an at sign', { ':path': '@b/' }],
  ['an empty :path', { ':path': '' }],
  ['* for GET', { ':path': '*' }],
  ['a fragment in :path', { ':path': '/#' }],
  ['CR LF in :method', { ':method': 'GET / HTTP/1.1\r\nhost: b\r\n\r\nGET' }],
  ['a space in :method', { ':method': 'GET /admin HTTP/1.1' }],
  ['an empty :method', { ':method': '' }],
  ['CONNECT', { ':method': 'CONNECT', ':path': undefined, ':scheme': undefined }],
  ['CONNECT with a path', { ':method': 'CONNECT' }],
  ['CR LF in :authority', { ':authority': 'a\r\nx: y' }],
  ['a user in :authority', { ':authority': 'u@a' }],
  ['a path in :authority', { ':authority': 'a/b' }],
  ['a list in :authority', { ':authority': 'a,b' }],
  ['a :scheme that is none', { ':scheme': 'http://b/?' }],
  ['CR LF in :scheme', { ':scheme': 'http\r\nx: y' }],
  ['host that contradicts :authority', {}, ['host', 'b']],
  ['host twice', {}, ['host', 'a'], ['host', 'a']],
  ['a pseudo-field twice', {}, [':path', '/admin']],
  ['a pseudo-field behind a field', { ':path': undefined }, ['x', 'y'], [':path', '/']],
  ['an unknown pseudo-field', { ':path': undefined }, [':path', '/'], [':x', 'y']],
  ['no :path', { ':path': undefined }],
  ['no :method', { ':method': undefined }],
  ['content-length twice', {}, ['content-length', '0'], ['content-length', '5']],
  ['a list for content-length', {}, ['content-length', '0, 5']],
  ['a plus in content-length', {}, ['content-length', '+0']],
  ['more than 100 fields', {}, ...Array.from({ length: 101 }, (_each, index) => [`x${index}`, ''] as const)],
  ['a thousand crumbs of cookies', {}, ...Array.from({ length: 1000 }, () => ['cookie', 'a'] as const)],
]

/** What is answered, where it is not 400. */
const STATUSES: Readonly<Record<string, number>> = {
  CONNECT: 501,
  'more than 100 fields': 431,
  'a thousand crumbs of cookies': 431,
}

describe('what HTTP/1.1 could not carry, or would read otherwise', () => {
  it.each([...UNCARRIED, ...REFUSED].map(refusal => ({ name: refusal[0], refusal })))(
    'reaches no origin: $name',
    async ({ name, refusal: [, replaced, ...more] }) => {
      const origin = await startOrigin(answering(OK))
      const { port } = await startProxy(origin.url)
      for (const [method, base] of [
        ['GET', GET],
        ['POST', POST],
      ] as const) {
        const client = await FrameClient.connect(port)
        client.send(headers(1, block(...fields(base, replaced, ...more)), method === 'GET' ? END_STREAM : 0))
        if (method === 'POST') client.send(data(1, 'hello', END_STREAM))
        await client.until(() => client.isDone(1) || client.goaway !== undefined || client.raw.ended)
        expect(client.answer(1).statuses, method).toEqual([STATUSES[name] ?? 400])
        client.raw.socket.destroy()
      }
      const good = await FrameClient.connect(port)
      good.send(headers(1, block(...GET)))
      await good.until(() => good.isDone(1))
      expect(good.answer(1).body).toBe('ok')
      expect(origin.received).toEqual([forwarded('GET', '/', { version: '2' })])
    },
  )
})

type Forward = readonly [name: string, request: readonly Buffer[], expected: string, from?: string]

const CHUNKS = { framing: 'transfer-encoding: chunked\r\n', body: '5\r\nhello\r\n0\r\n\r\n' }
const LENGTH = { framing: 'content-length: 5\r\n', body: 'hello' }
const whole = (replaced: Replaced, ...more: Fields): Buffer =>
  headers(1, block(...fields(GET, replaced, ...more)))
const begun = (replaced: Replaced, ...more: Fields): Buffer =>
  headers(1, block(...fields(GET, replaced, ...more)), 0)

const FORWARDED: readonly Forward[] = [
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PURGE'].flatMap((method): Forward[] => [
    [
      `${method} with a body of unknown length`,
      [begun({ ':method': method }), data(1, 'hello', END_STREAM)],
      to(method, '/', CHUNKS),
      'CVE-2026-29057; a body without framing became a second request in Node proxies',
    ],
    [
      `${method} with a length`,
      [begun({ ':method': method }, ['content-length', '5']), data(1, 'hello', END_STREAM)],
      to(method, '/', LENGTH),
    ],
  ]),
  [
    'a body that is a request',
    [begun({ ':method': 'DELETE' }), data(1, 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', END_STREAM)],
    to('DELETE', '/', {
      framing: 'transfer-encoding: chunked\r\n',
      body: '23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n',
    }),
  ],
  [
    'a body that is the end of chunks',
    [begun({ ':method': 'POST' }), data(1, '0\r\n\r\n', END_STREAM)],
    to('POST', '/', { framing: 'transfer-encoding: chunked\r\n', body: '5\r\n0\r\n\r\n\r\n0\r\n\r\n' }),
  ],
  ['a GET without a body', [whole({})], to('GET', '/')],
  [
    'a POST without a body',
    [whole({ ':method': 'POST' })],
    to('POST', '/', { framing: 'content-length: 0\r\n' }),
  ],
  [
    'crumbs of a cookie, which are one field in HTTP/1.1',
    [whole({}, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'])],
    to('GET', '/', { fields: 'x: y\r\ncookie: a=1; b=2\r\n' }),
  ],
  [
    'host in place of :authority',
    [whole({ ':authority': undefined }, ['host', 'b'])],
    to('GET', '/', { host: 'b' }),
  ],
  ['host that says the same', [whole({}, ['host', 'a'])], to('GET', '/')],
  ['two slashes and dots', [whole({ ':path': '//b/%2e%2e/..;/%00?%' })], to('GET', '//b/%2e%2e/..;/%00?%')],
  ['* for OPTIONS', [whole({ ':method': 'OPTIONS', ':path': '*' })], to('OPTIONS', '*')],
  [
    'te: trailers',
    [whole({}, ['te', 'trailers'])],
    to('GET', '/', { framing: 'te: trailers\r\nconnection: te\r\n' }),
  ],
  [
    'what says who the client is, and names with underscores',
    [
      whole(
        {},
        ['x-forwarded-for', '10.0.0.1'],
        ['x_forwarded_for', '10.0.0.1'],
        ['forwarded', 'for=1'],
        ['proxy', 'x'],
      ),
    ],
    to('GET', '/'),
  ],
  [
    'trailers',
    [begun({ ':method': 'POST' }), data(1, 'hello'), headers(1, block(['x-sum', '1']))],
    to('POST', '/', {
      framing: 'transfer-encoding: chunked\r\n',
      body: '5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n',
    }),
  ],
]

describe('what is right is forwarded', () => {
  it.each(FORWARDED.map(([name, frames, expected]) => ({ name, frames, expected })))(
    '$name',
    async ({ frames, expected }) => {
      const origin = await startOrigin(async connection => {
        const request = await connection.request()
        await connection.send(request.startsWith('HEAD ') ? OK.slice(0, -2) : OK)
      })
      const { port } = await startProxy(origin.url)
      const client = await FrameClient.connect(port)
      client.send(...frames)
      await client.until(() => client.isDone(1))
      expect(client.answer(1).statuses).toEqual([200])
      expect(origin.received).toEqual([expected])
      expect(logs).toEqual([])
    },
  )

  it.each(LENIENCIES)('and an origin that prefers $prefers ($length) reads no more in it', async leniency => {
    const origin = await startLenientOrigin(leniency)
    const { port } = await startProxy(origin.url)
    for (const [, frames] of FORWARDED) {
      const client = await FrameClient.connect(port)
      client.send(...frames)
      await client.until(() => client.isDone(1))
    }
    expect(origin.believed.length).toBe(FORWARDED.length)
    expect(origin.believed.some(({ target }) => target.includes('smuggled'))).toBe(false)
  })
})

describe('an answer to HEAD', () => {
  it.each([
    ['without a length has none', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
    ['in chunks has none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['has the length that it was given', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '5'],
  ])('%s', async (_name, bytes, length) => {
    const origin = await startOrigin(answering(bytes))
    const { port } = await startProxy(origin.url)
    const session = connect(`http://127.0.0.1:${port}`)
    const [answer] = await once(session.request({ ':method': 'HEAD', ':authority': 'a' }), 'response')
    session.destroy()
    expect(answer['content-length']).toBe(length)
  })
})

describe('asking for a tunnel', () => {
  const asking = (protocol: string): Buffer =>
    headers(1, block(...fields(GET, { ':method': 'CONNECT' }, [':protocol', protocol])), 0)

  it.each(['web socket', 'websocket\r\nx: y', 'websocket, h2c', '', '\xe4'])(
    'reaches no origin with a protocol that is none: %j',
    async protocol => {
      const origin = await startOrigin(answering(OK))
      const { port } = await startProxy(origin.url)
      const client = await FrameClient.connect(port)
      client.send(asking(protocol))
      await client.until(() => client.isDone(1) || client.goaway !== undefined || client.raw.ended)
      expect(client.answer(1).statuses.every(status => status >= 400)).toBe(true)
      expect(origin.received).toEqual([])
    },
  )

  it.each(['h2c', 'h2', 'tls/1.0', 'http/1.1'])('changes no origin to %s', async protocol => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await FrameClient.connect(port)
    client.send(asking(protocol))
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses.every(status => status >= 400)).toBe(true)
    expect(origin.received.join('')).not.toMatch(/upgrade/i)
  })
})

describe('a trailer that HTTP/1.1 could not carry', () => {
  it('breaks its request off', async () => {
    const origin = await startOrigin(async connection => {
      await connection.request()
      await connection.send(OK)
    })
    const { port } = await startProxy(origin.url)
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...POST), 0), data(1, 'hello'))
    client.send(headers(1, block(['x', 'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'])))
    await client.until(() => client.isDone(1) || client.goaway !== undefined || client.raw.ended)
    const { framing, body } = CHUNKS
    expect(to('POST', '/', { framing, body }).startsWith(origin.received[0] ?? '')).toBe(true)
  })
})

describe('a body that contradicts what was said of it', () => {
  it.each([
    ['shorter than its length', ['10'], [data(1, 'hello', END_STREAM)], 'content-length: 10\r\n', 'hello'],
    ['longer than its length', ['3'], [data(1, 'hello', END_STREAM)], 'content-length: 3\r\n', 'hel'],
    ['broken off', ['10'], [data(1, 'hello'), rstStream(1)], 'content-length: 10\r\n', 'hello'],
    [
      'in chunks, broken off',
      [],
      [data(1, 'hello'), rstStream(1)],
      'transfer-encoding: chunked\r\n',
      '5\r\nhello\r\n',
    ],
    [
      'with a forbidden trailer',
      [],
      [data(1, 'hello'), headers(1, block(['content-length', '5']))],
      'transfer-encoding: chunked\r\n',
      '5\r\nhello\r\n',
    ],
  ] as const)('is no whole request to the origin: %s', async (_name, lengths, frames, framing, body) => {
    const origin = await startOrigin([connection => connection.gone(), answering(OK)])
    const { port } = await startProxy(origin.url)
    const client = await FrameClient.connect(port)
    const more = lengths.map(length => ['content-length', length] as const)
    client.send(headers(1, block(...fields(POST, {}, ...more)), 0))
    await until(() => origin.received[0]?.includes('\r\n\r\n') === true)
    client.send(...frames)
    await until(() => origin.connections[0]?.over === true)
    // All of it, or a part: never more.
    const expected = to('POST', '/', { framing, body })
    expect(expected.startsWith(origin.received[0] ?? '')).toBe(true)
    const good = await FrameClient.connect(port)
    await good.send(headers(1, block(...GET))).until(() => good.isDone(1))
    expect(good.answer(1).body).toBe('ok')
    expect(origin.received[1]).toBe(to('GET', '/'))
  })
})
