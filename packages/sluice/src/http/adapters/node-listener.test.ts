import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import express from 'express'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ask, VERSIONS, type Version } from '../../../test/support/ask.ts'
import { holdTime } from '../../../test/support/held-time.ts'
import { exchange, RawClient } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, keep, until } from '../../../test/support/sockets.ts'
import { testCertificate, testKey } from '../../../test/support/test-certificate.ts'
import { connectWebSocket, nextMessage, WebSocketServer } from '../../../test/support/web-socket.ts'
import type { Service } from '../../core/index.ts'
import {
  Body,
  empty,
  HeaderList,
  type HttpRequest,
  type HttpResponse,
  nodeHandler,
  nodeListener,
  nodeUpgradeListener,
  type RequestOutcome,
  respond,
  text,
} from '../index.ts'

const logs = captureLogs()
const servers: (Server | Http2Server)[] = []
afterEach(async () => {
  vi.useRealTimers()
  await closeSockets()
  await Promise.all(servers.splice(0).map(server => new Promise(done => server.close(done))))
  logs.length = 0
})

type Listener = (request: IncomingMessage, response: ServerResponse) => void

async function listening<S extends Server | Http2Server>(server: S): Promise<number> {
  servers.push(server)
  server.on('connection', (socket: Socket) => keep(socket))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

const start = (
  version: Version,
  service: Service<HttpRequest, HttpResponse>,
  options = {},
): Promise<number> => {
  const listener = nodeListener(service, options)
  return listening(version === '2' ? createHttp2Server(listener) : createServer(listener))
}

describe.each(VERSIONS)('nodeListener in a server of HTTP/%s', version => {
  it('gives the service the request and its connection', async () => {
    const port = await start(version, ({ connection, headers, ...request }) =>
      text(
        JSON.stringify({
          ...{ method: request.method, version: request.version, scheme: request.scheme },
          ...{ target: request.target, authority: request.authority },
          a: headers.get('x-a'),
          peer: String(connection.peer).replace(/\d+$/, 'port'),
          local: String(connection.local),
          waits: connection.draining.aborted || connection.aborted.aborted,
        }),
      ),
    )
    const { body } = await ask(version, port, { path: '/x%20y?z=1', headers: { 'X-A': ['1', '2'] } })
    expect(JSON.parse(body)).toEqual({
      ...{ method: 'GET', version, scheme: 'http', target: '/x%20y?z=1', authority: `127.0.0.1:${port}` },
      ...{ a: '1, 2', peer: '127.0.0.1:port', local: `127.0.0.1:${port}`, waits: false },
    })
  })

  it('sends what the service answers', async () => {
    const headers = new HeaderList([
      ['Set-Cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['X-List', '1'],
      ['x-list', '2'],
      ['Keep-Alive', 'timeout=1'],
      ['Connection', 'x-list'],
    ])
    const port = await start(version, ({ path }) =>
      respond(path === '/empty' ? '' : 'made', { status: 201, headers }),
    )
    const answer = await ask(version, port)
    expect(answer).toMatchObject({ status: 201, body: 'made' })
    expect(answer.headers).toMatchObject({
      'set-cookie': ['a=1', 'b=2'],
      'x-list': '1, 2',
      'content-length': '4',
    })
    expect(answer.headers['keep-alive']).not.toBe('timeout=1')
    expect((await ask(version, port, { path: '/empty' })).headers['content-length']).toBe('0')
  })

  it('sends answers without a body as such', async () => {
    const port = await start(version, ({ path }) => ({ ...respond('hello'), status: Number(path.slice(1)) }))
    expect(await ask(version, port, { path: '/204' })).toMatchObject({ status: 204, body: '' })
    expect(await ask(version, port, { path: '/304' })).toMatchObject({ status: 304, body: '' })
    const head = await ask(version, port, { path: '/200', method: 'HEAD' })
    expect([head.body, head.headers['content-length']]).toEqual(['', '5'])
  })

  it('streams both ways, with trailers', async () => {
    const port = await start(version, ({ body }) => {
      const upper = Body.of({
        start: sink =>
          void body.pipe({
            data: chunk => sink.data(Buffer.from(String(chunk).toUpperCase())),
            end: trailers => sink.end(new HeaderList([['X-After', `${trailers?.get('x-before')}`]])),
            fail: error => sink.fail(error),
          }),
        ...{ pause: () => {}, resume: () => {}, cancel: () => {} },
      })
      return { ...respond(upper), headers: new HeaderList([['trailer', 'x-after']]) }
    })
    async function* words(): AsyncGenerator<Buffer> {
      for (const word of ['one ', 'two ', 'three']) yield Buffer.from(word)
    }
    const { body, trailers } = await ask(version, port, {
      method: 'POST',
      headers: version === '2' ? {} : { 'transfer-encoding': 'chunked', trailer: 'x-before' },
      body: words(),
      trailers: { 'x-before': 'yes' },
    })
    expect(body).toBe('ONE TWO THREE')
    expect(trailers).toMatchObject({ 'x-after': 'yes' })
  })

  it('sends informational answers', async () => {
    const port = await start(version, request => {
      request.inform(103, new HeaderList([['link', '</a.css>; rel=preload']]))
      request.inform(102, new HeaderList())
      return text('ok')
    })
    const { informed } = await ask(version, port)
    expect(informed.map(({ status }) => status)).toEqual([103, 102])
    expect(informed[0]?.headers.link).toBe('</a.css>; rel=preload')
  })

  it('answers errors, and tells observers how it went', async () => {
    const outcomes: RequestOutcome[] = []
    const port = await start(version, async request => {
      request.observe(outcome => outcomes.push(outcome))
      if (request.path === '/throw') throw new Error('secret')
      if (request.path === '/nothing') return undefined as never
      if (request.path === '/status') return { ...text('no'), status: 99 }
      if (request.path === '/used') {
        const answer = respond(Readable.from([Buffer.from('a')]))
        await answer.body.bytes()
        return answer
      }
      return text(await request.body.text())
    })
    for (const path of ['/throw', '/nothing', '/status', '/used']) {
      const { status, body } = await ask(version, port, { path })
      expect([path, status, body.includes('secret')]).toEqual([path, 500, false])
    }
    const codes = ['INTERNAL', 'HTTP_RESPONSE_INVALID', 'HTTP_RESPONSE_INVALID', 'HTTP_BODY_USED']
    expect(logs.map(({ code }) => code)).toEqual(codes)
    await ask(version, port, { method: 'POST', body: 'hello' })
    await until(() => outcomes.length === 5)
    expect(outcomes[0]).toMatchObject({ status: 500, error: undefined })
    expect(outcomes[4]).toMatchObject({ status: 200, received: 5, sent: 5, error: undefined })
  })

  it('cuts an answer that breaks off, or is not as long as it says', async () => {
    const port = await start(version, ({ path }) => {
      async function* chunks(): AsyncGenerator<Buffer> {
        yield Buffer.from('some')
        await new Promise(setImmediate)
        if (path === '/throw') throw new Error('secret')
        if (path === '/more') yield Buffer.from('thing')
      }
      return respond(chunks(), path === '/throw' ? {} : { headers: { 'content-length': '6' } })
    })
    for (const path of ['/throw', '/more', '/fewer']) {
      await expect(ask(version, port, { path }), path).rejects.toThrow()
    }
    expect(logs.map(({ code }) => code)).toEqual([
      'INTERNAL',
      'HTTP_RESPONSE_INVALID',
      'HTTP_RESPONSE_INVALID',
    ])
  })

  it('limits bodies', async () => {
    const service: Service<HttpRequest, HttpResponse> = async ({ body }) => text(await body.text())
    const port = await start(version, service, { bodyLimit: 4 })
    async function* five(): AsyncGenerator<Buffer> {
      yield Buffer.from('hello')
    }
    const announced = { method: 'POST', headers: { 'content-length': '5' }, body: 'hello' }
    const chunked = version === '2' ? {} : { 'transfer-encoding': 'chunked' }
    for (const asked of [announced, { method: 'POST', headers: chunked, body: five() }]) {
      expect(await ask(version, port, asked)).toMatchObject({
        status: 413,
        body: expect.stringContaining('HTTP_BODY_TOO_LARGE'),
      })
    }
  })

  it('tells the service when the client goes', async () => {
    const events: string[] = []
    const outcome = Promise.withResolvers<RequestOutcome>()
    const port = await start(version, request => {
      request.observe(outcome.resolve)
      request.signal.addEventListener('abort', () => events.push('abort'))
      const stream = new ReadableStream({
        start: controller => controller.enqueue(Buffer.from('begun')),
        cancel: () => void events.push('cancel'),
      })
      return respond(stream)
    })
    const controller = new AbortController()
    if (version === '2') {
      const session = connectHttp2(`http://127.0.0.1:${port}`)
      session.request({ ':path': '/' }).once('data', () => session.destroy())
    } else {
      const response = await fetch(`http://127.0.0.1:${port}`, { signal: controller.signal })
      await response.body?.getReader().read()
      controller.abort()
    }
    expect(await outcome.promise).toMatchObject({ status: 200, sent: 5, error: 'DOWNSTREAM_CLOSED' })
    await until(() => events.length === 2)
    expect(events.sort()).toEqual(['abort', 'cancel'])
  })

  it('lets the service wait for a slow client, and gives up one that takes nothing', async () => {
    const MEGABYTE = 1024 * 1024
    let given = 0
    const cancelled = Promise.withResolvers<void>()
    const port = await start(version, () =>
      respond(
        new ReadableStream<Uint8Array>({
          pull: controller => {
            given += 64 * 1024
            controller.enqueue(Buffer.alloc(64 * 1024))
          },
          cancel: () => cancelled.resolve(),
        }),
      ),
    )
    holdTime()
    if (version === '2') {
      const session = connectHttp2(`http://127.0.0.1:${port}`)
      session.on('error', () => {})
      session.request({ ':path': '/' }).on('error', () => {})
    } else {
      const client = await RawClient.connect(port)
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').socket.pause()
    }
    let before = -1
    while (given !== before) {
      before = given
      for (let turn = 0; turn < 100; turn++) await new Promise(next => setImmediate(next))
    }
    expect(given).toBeLessThan(32 * MEGABYTE)
    vi.advanceTimersByTime(31_000)
    await cancelled.promise
    expect(logs.map(({ code }) => code)).toEqual(['HTTP_WRITE_TIMEOUT'])
  })
})

describe('nodeListener', () => {
  it.each([
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n', 400, 'HTTP_HOST_INVALID'],
    ['a Host that contradicts the target', 'GET http://a/ HTTP/1.1\r\nHost: b\r\n', 400, 'HTTP_HOST_INVALID'],
    ['a malformed Host', 'GET / HTTP/1.1\r\nHost: a,b\r\n', 400, 'HTTP_HOST_INVALID'],
    ['a target with a malformed escape', 'GET /%zz HTTP/1.1\r\nHost: a\r\n', 400, 'HTTP_TARGET_MALFORMED'],
    [
      'a target that is too long',
      `GET /${'a'.repeat(2000)} HTTP/1.1\r\nHost: a\r\n`,
      414,
      'HTTP_TARGET_TOO_LONG',
    ],
    ['too many fields', `GET / HTTP/1.1\r\nHost: a\r\n${'a: b\r\n'.repeat(101)}`, 431, 'HTTP_HEAD_TOO_LARGE'],
  ])('refuses what the server takes: %s', async (_what, head, status, code) => {
    const port = await start('1.1', () => text('fooled'), { targetLimit: '1kb' })
    const { statuses, received } = await exchange(port, `${head}Connection: close\r\n\r\n`)
    expect(statuses).toEqual([status])
    expect(received).toContain(code)
  })

  // The last would be a field of its own if only the lower halves of its characters were written.
  const broken = ['/a b', '', 'x', '/\u0120HTTP/1.1\u010d\u010aX-Evil:\u0120y']
  it.each(broken)('refuses a target that a middleware has broken: %j', async url => {
    const listener = nodeListener(({ target }) => text(`got ${target}`))
    const port = await listening(
      createServer((request, response) => {
        request.url = url
        listener(request, response)
      }),
    )
    expect((await ask('1.1', port)).status).toBe(400)
  })

  it('has one connection for all requests on a socket, and says what the options say', async () => {
    const ids: string[] = []
    const draining = AbortSignal.abort()
    const port = await start(
      '1.1',
      ({ connection }) => {
        ids.push(connection.id)
        return text(String(connection.draining.aborted))
      },
      { draining },
    )
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n'
    const { received } = await exchange(port, `${request}\r\n${request}Connection: close\r\n\r\n`)
    expect(received.match(/true$/gm)).toHaveLength(1)
    expect(ids).toEqual([ids[0], ids[0]])
    expect((await ask('1.1', port)).body).toBe('true')
    expect(ids[2]).not.toBe(ids[0])
  })

  it('works in a server of HTTPS', async () => {
    const listener = nodeListener(({ scheme, body }) => ({
      ...respond(body),
      headers: new HeaderList({ scheme }),
    }))
    const port = await listening(
      createHttpsServer({ cert: testCertificate, key: testKey }, listener) as Server,
    )
    const { headers, body } = await ask('1.1', port, { tls: true, method: 'POST', body: 'hello' })
    expect([headers.scheme, body]).toEqual(['https', 'hello'])
  })

  it('works in an application of Express, below its middlewares', async () => {
    const app = express()
    app.use('/mounted', nodeListener(({ target }) => text(`you asked for ${target}`)) as Listener)
    app.use(express.json())
    app.use(nodeListener(async ({ body }) => text(`the body is ${await body.text()}`)) as Listener)
    const port = await listening(createServer(app))
    expect(await ask('1.1', port, { path: '/mounted/a?b' })).toMatchObject({ body: 'you asked for /a?b' })
    const read = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
    expect(await ask('1.1', port, read)).toMatchObject({
      status: 500,
      body: expect.stringContaining('HTTP_BODY_USED'),
    })
    const unread = { method: 'POST', body: 'as it came' }
    expect(await ask('1.1', port, unread)).toMatchObject({ body: 'the body is as it came' })
  })

  it('tells a client that waits to go on, where the server leaves that to it', async () => {
    const server = createServer()
    server.on(
      'checkContinue',
      nodeListener(async ({ body }) => text(await body.text())),
    )
    const asked = {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '5' },
      body: 'hello',
    }
    expect((await ask('1.1', await listening(server), asked)).body).toBe('hello')
  })

  it('leaves an upgrade that nobody else takes alone', async () => {
    const port = await start('1.1', ({ upgrade }) => text(`${upgrade}`))
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n'
    expect((await exchange(port, head)).received).toMatch(/undefined$/)
  })
})

describe('nodeUpgradeListener', () => {
  const UPGRADE = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'

  const startUpgrade = (service: Service<HttpRequest, HttpResponse>): Promise<number> =>
    listening(createServer(nodeListener(service)).on('upgrade', nodeUpgradeListener(service)))

  it('gives the service a request that it can answer with a tunnel', async () => {
    const port = await startUpgrade(({ upgrade, path }) => ({
      ...empty(101, { 'x-upgrade': `${upgrade} ${path}` }),
      tunnel: ({ socket }) => socket.pipe(socket),
    }))
    const client = await RawClient.connect(port)
    await client.send(`${UPGRADE}ahead`).until(() => client.received.endsWith('ahead'))
    expect(client.received).toMatch(/^HTTP\/1\.1 101 .*x-upgrade: echo \/x\r\n/s)
    await client.send(' and after').until(() => client.received.endsWith('ahead and after'))
    client.socket.end()
    await client.over()
  })

  it('closes the connection after any other answer', async () => {
    const port = await startUpgrade(({ upgrade }) => text(`${upgrade}`, { status: 403 }))
    const { received, statuses } = await exchange(port, `${UPGRADE}GET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(statuses).toEqual([403])
    expect(received).toMatch(/connection: close\r\n\r\necho$/)
  })

  it('refuses what the server takes and it does not', async () => {
    const port = await startUpgrade(() => text('fooled'))
    expect((await exchange(port, UPGRADE.replace('Host: a', 'Host: a\r\nHost: b'))).statuses).toEqual([400])
  })

  it('carries a WebSocket through services into an application of Node', async () => {
    const server = createServer()
    new WebSocketServer({ server }).on('connection', socket =>
      socket.on('message', data => socket.send(data)),
    )
    const inner = nodeHandler(server)
    const port = await startUpgrade(inner)
    const client = await connectWebSocket(`ws://127.0.0.1:${port}`)
    client.send('hello')
    expect(String(await nextMessage(client))).toBe('hello')
    client.terminate()
  })
})
