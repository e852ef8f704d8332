import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { ask, VERSIONS, type Version } from '../../../test/support/ask.ts'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, keep, until } from '../../../test/support/sockets.ts'
import { stack } from '../../core/index.ts'
import { type Connection, type IpAddress, listen } from '../../net/index.ts'
import { acceptProxyHeader } from '../../proxy-protocol/index.ts'
import { nodeHandler, serveHttp } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const CLOSE = 'Connection: close\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\n'

type App = (request: IncomingMessage, response: ServerResponse) => unknown

const start = async (app: App): Promise<number> => (await startHttp(nodeHandler(app))).port

/** Answers with what a function makes of the request. */
const tell =
  (what: (request: IncomingMessage) => unknown): App =>
  (request, response) =>
    response.end(JSON.stringify(what(request)))

describe.each(VERSIONS)('nodeHandler over HTTP/%s', version => {
  it('gives the application a request of the platform', async () => {
    const port = await start(
      tell(({ method, url, headers, rawHeaders, httpVersion, httpVersionMajor, socket, complete }) => ({
        ...{ method, url, httpVersion, httpVersionMajor, complete },
        host: headers.host,
        a: headers['x-a'],
        raw: rawHeaders.flatMap((name, index) => (/^x-a$/i.test(name) ? [name, rawHeaders[index + 1]] : [])),
        peer: `${socket.remoteFamily} ${socket.remoteAddress}`,
        ports: typeof socket.remotePort,
        local: `${socket.localAddress}:${socket.localPort}`,
        encrypted: (socket as { encrypted?: boolean }).encrypted,
      })),
    )
    const { body } = await ask(version, port, { path: '/x%20y?z=1', headers: { 'X-A': ['1', '2'] } })
    expect(JSON.parse(body)).toEqual({
      method: 'GET',
      url: '/x%20y?z=1',
      httpVersion: version === '2' ? '2.0' : '1.1',
      httpVersionMajor: version === '2' ? 2 : 1,
      complete: true,
      host: `127.0.0.1:${port}`,
      a: '1, 2',
      raw: version === '2' ? ['x-a', '1', 'x-a', '2'] : ['X-A', '1', 'X-A', '2'],
      peer: 'IPv4 127.0.0.1',
      ports: 'number',
      local: `127.0.0.1:${port}`,
      encrypted: false,
    })
  })

  it('takes every way to set the head of an answer', async () => {
    const port = await start((request, response) => {
      response.setHeader('X-Set', 'set')
      response.setHeader('Set-Cookie', ['a=1', 'b=2'])
      response.appendHeader('x-set', 'more')
      response.setHeader('x-number', 7)
      switch (request.url) {
        case '/object':
          response.writeHead(201, { 'x-given': ['1', '2'] })
          break
        case '/reason':
          response.writeHead(201, 'Made', { 'x-given': ['1', '2'] })
          break
        case '/flat':
          response.writeHead(201, ['x-given', '1', 'x-given', '2'])
          break
        default:
          response.statusCode = 201
          response.setHeaders(new Map([['x-given', '1, 2']]))
      }
      response.end('made')
    })
    for (const path of ['/object', '/reason', '/flat', '/implicit']) {
      const { status, headers, body } = await ask(version, port, { path })
      expect({ path, status, body }).toEqual({ path, status: 201, body: 'made' })
      expect(headers).toMatchObject({
        'set-cookie': ['a=1', 'b=2'],
        'x-set': 'set, more',
        'x-number': '7',
        'x-given': '1, 2',
        'content-length': '4',
      })
    }
  })

  it.each([
    ['an object', { 'x-given': ['1', '2'] }],
    ['a flat list', ['x-given', '1', 'x-given', '2']],
    [
      'a list of pairs',
      [
        ['x-given', '1'],
        ['x-given', '2'],
      ],
    ],
  ])('takes fields that were given to writeHead alone, as %s', async (_what, fields) => {
    const port = await start((_request, response) => response.writeHead(200, fields as never).end())
    expect((await ask(version, port)).headers).toMatchObject({ 'x-given': '1, 2', 'content-length': '0' })
  })

  it('streams the request to the application and the answer to the client, with trailers both ways', async () => {
    const port = await start(async (request, response) => {
      response.setHeader('trailer', 'x-after')
      for await (const chunk of request.setEncoding('utf8')) response.write(chunk.toUpperCase())
      response.addTrailers({ 'x-after': `${request.complete} ${request.trailers['x-before']}` })
      response.end()
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
    expect(trailers).toMatchObject({ 'x-after': 'true yes' })
  })

  it('sends informational answers, and tells a client that waits to go on when the body is read', async () => {
    const port = await start(async (request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-hint': '1' })
      response.writeProcessing()
      // Node 26 and Bun have it.
      const { writeInformation } = response as { writeInformation?: (status: number, fields: object) => void }
      writeInformation?.call(response, 199, { 'x-more': '1' })
      if (request.url === '/continue') response.writeContinue()
      let length = 0
      for await (const chunk of request) length += chunk.length
      response.end(`${length}`)
    })
    for (const path of ['/', '/continue']) {
      const asked = { method: 'POST', path, headers: { expect: '100-continue', 'content-length': '5' } }
      const { body, informed } = await ask(version, port, { ...asked, body: 'hello' })
      expect(body).toBe('5')
      const statuses = informed.map(({ status }) => status)
      expect(statuses).toEqual(
        'writeInformation' in ServerResponse.prototype ? [103, 102, 199, 100] : [103, 102, 100],
      )
      expect(informed[0]?.headers).toMatchObject({ link: '</a.css>; rel=preload', 'x-hint': '1' })
    }
  })

  it('sends answers without a body as such', async () => {
    const port = await start((request, response) => {
      response.statusCode = Number(request.url?.slice(1))
      if (request.headers['x-length']) response.setHeader('content-length', '5')
      response.write('hel')
      response.end('lo')
    })
    const of = async (path: string, method: string, headers = {}): Promise<unknown> => {
      const answer = await ask(version, port, { path, method, headers })
      return [answer.status, answer.body, answer.headers['content-length']]
    }
    expect(await of('/200', 'HEAD')).toEqual([200, '', undefined])
    expect(await of('/200', 'HEAD', { 'x-length': '1' })).toEqual([200, '', '5'])
    expect(await of('/204', 'GET')).toEqual([204, '', undefined])
    expect(await of('/304', 'GET')).toEqual([304, '', undefined])
  })

  it('makes an answer that the application has at hand one piece, with its length', async () => {
    const port = await start((_request, response) => {
      response.write('a')
      response.write(Buffer.from('b'))
      response.end('7a7a', 'hex')
    })
    expect(await ask(version, port)).toMatchObject({ body: 'abzz', headers: { 'content-length': '4' } })
  })

  it('answers 500 when the application throws, or its promise is rejected', async () => {
    const port = await start((request, response) => {
      if (request.url === '/head') response.writeHead(200)
      if (request.url !== '/later') throw new Error('secret')
      return Promise.reject(new Error('secret'))
    })
    for (const path of ['/', '/head', '/later']) {
      const { status, body } = await ask(version, port, { path })
      expect([status, body.includes('secret')]).toEqual([500, false])
    }
    expect(logs.map(({ code, level }) => [code, level])).toEqual(Array(3).fill(['INTERNAL', 'error']))
  })

  it.each(['/throw', '/destroy', '/socket', '/end', '/request'])(
    'cuts an answer that breaks off, so that the client can tell: %s',
    async path => {
      const port = await start(async (request, response) => {
        response.write('some')
        await new Promise(setImmediate)
        if (path === '/throw') throw new Error('secret')
        if (path === '/destroy') response.destroy()
        if (path === '/socket') request.socket.destroy()
        if (path === '/end') request.socket.end()
        if (path === '/request') pipeline(new Readable({ read: fails }), response).catch(() => undefined)
      })
      await expect(ask(version, port, { path })).rejects.toThrow()
      expect(logs.map(({ msg }) => msg)).toEqual([expect.stringMatching(/^an answer was cut/)])
    },
  )

  it('logs what an application throws after its answer', async () => {
    const port = await start(async (_request, response) => {
      response.end('ok')
      throw new Error('too late')
    })
    expect((await ask(version, port)).body).toBe('ok')
    expect(logs.map(({ msg }) => msg)).toEqual(['an application failed after its answer'])
  })

  it('tells of the end of an answer as the platform does', async () => {
    const events: string[] = []
    const port = await start((request, response) => {
      for (const event of ['finish', 'close']) response.on(event, () => events.push(`response ${event}`))
      for (const event of ['end', 'close', 'aborted'])
        request.on(event, () => events.push(`request ${event}`))
      response.write('a', () => events.push('written'))
      response.end('b', () => events.push(`ended ${response.writableEnded} ${response.writableFinished}`))
    })
    expect((await ask(version, port)).body).toBe('ab')
    await until(() => events.length === 6)
    expect(events).toContain('ended true true')
    expect(events.indexOf('written')).toBeLessThan(events.indexOf('ended true true'))
    expect(events.filter(event => event.startsWith('response'))).toEqual([
      'response finish',
      'response close',
    ])
    expect(events.filter(event => event.startsWith('request'))).toEqual(['request end', 'request close'])
  })
})

function fails(this: Readable): void {
  this.destroy(new Error('no more'))
}

/** False after so many turns of the event loop. */
async function turns(count: number): Promise<false> {
  for (let turn = 0; turn < count; turn++) await new Promise(next => setImmediate(next))
  return false
}

/** A request of which nothing but the head is sent, and whose answer nobody reads; over HTTP/1.1 with its head in front. */
async function open(version: Version, port: number, length?: number): Promise<Duplex> {
  if (version === '1.1') {
    const socket = keep(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
    socket.write(length === undefined ? `${GET}${CLOSE}\r\n` : `${POST}Content-Length: ${length}\r\n\r\n`)
    return socket
  }
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  sessions.push(session)
  const head = length === undefined ? { ':path': '/' } : { ':method': 'POST', 'content-length': length }
  const stream = session.request(head, { endStream: length === undefined })
  return stream.on('error', () => {})
}

/** What becomes of a client and of an application that do not take what is there. */
describe('nodeHandler with backpressure', () => {
  const MEGABYTE = 1024 * 1024

  it.each(VERSIONS)('reads no more of a body than the application does, over HTTP/%s', async version => {
    const LENGTH = 256 * MEGABYTE
    let request: IncomingMessage | undefined
    let read = 0
    const port = await start((message, response) => {
      request = message
      // The first byte alone.
      message.once('readable', () => message.read(1))
      response.on('close', () => message.resume())
    })
    const stream = await open(version, port, LENGTH)
    const chunk = Buffer.alloc(64 * 1024)
    let written = 0
    // Until the system takes no more: then nobody reads at the other end.
    while (written < LENGTH) {
      written += chunk.length
      if (stream.write(chunk)) continue
      const drained = new Promise<boolean>(resolve => stream.once('drain', () => resolve(true)))
      if (!(await Promise.race([drained, turns(200)]))) break
    }
    expect(written).toBeLessThan(32 * MEGABYTE)
    expect(request?.readableLength).toBeLessThan(2 * MEGABYTE)
    // And goes on when the application does.
    request?.on('data', data => {
      read += data.length
    })
    request?.resume()
    await until(() => read === written - 1 && stream.writableLength === 0)
  })

  it.each(VERSIONS)('lets an application wait for a slow client, over HTTP/%s', async version => {
    const LENGTH = 64 * MEGABYTE
    let given = 0
    let most = 0
    let response: ServerResponse | undefined
    const port = await start((_request, answer) => {
      response = answer
      const source = new Readable({
        read() {
          const chunk = given < LENGTH ? Buffer.alloc(64 * 1024, given / 1024) : null
          given += chunk?.length ?? 0
          this.push(chunk)
        },
      })
      source.pipe(answer)
    })
    const stream = await open(version, port)
    await turns(50)
    // Nobody has read a byte.
    const standing = given
    expect(standing).toBeLessThan(16 * MEGABYTE)
    expect(response?.writableNeedDrain).toBe(true)
    expect(response?.writableLength).toBeLessThan(MEGABYTE)
    let length = 0
    for await (const chunk of stream) {
      length += (chunk as Buffer).length
      most = Math.max(most, given - length)
    }
    expect(length).toBeGreaterThanOrEqual(LENGTH)
    expect(most).toBeLessThan(16 * MEGABYTE)
    expect(response?.writableNeedDrain).toBe(false)
  })

  it('can be written to again after a drain, by pipe too', async () => {
    const port = await start(async (_request, response) => {
      expect(response.write(Buffer.alloc(MEGABYTE))).toBe(false)
      expect(response.writableNeedDrain).toBe(true)
      await new Promise(resolve => response.once('drain', resolve))
      expect(response.writableNeedDrain).toBe(false)
      // It would wait for a drain that never comes.
      Readable.from([Buffer.from('piped')]).pipe(response)
    })
    for (const version of VERSIONS) expect((await ask(version, port)).body.slice(MEGABYTE)).toBe('piped')
  })

  it('calls back so that a buffer can be used again', async () => {
    const ROUNDS = 1000
    // Small enough that the system can have it waiting while more is taken.
    const buffer = Buffer.alloc(10 * 1024)
    const port = await start((_request, response) => {
      let round = 0
      const next = (): void => {
        if (round === ROUNDS) {
          response.end()
          return
        }
        buffer.fill(round++ % 251)
        response.write(buffer, next)
      }
      next()
    })
    // HTTP/1.0 has no chunks between the bytes.
    const socket = keep(connect(port, '127.0.0.1'))
    socket.write('GET / HTTP/1.0\r\n\r\n')
    await turns(50)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    const bytes = Buffer.concat(chunks)
    const body = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
    for (let round = 0; round < ROUNDS; round++) {
      const block = body.subarray(round * buffer.length, (round + 1) * buffer.length)
      expect(block.equals(Buffer.alloc(buffer.length, round % 251))).toBe(true)
    }
  })
})

describe('nodeHandler when the client goes', () => {
  it.each(['while it is answered', 'while it sends', 'before an answer'])(
    'tells the application, %s',
    async when => {
      const events: string[] = []
      const port = await start((request, response) => {
        for (const event of ['aborted', 'close']) request.on(event, () => events.push(`request ${event}`))
        request.on('error', (error: NodeJS.ErrnoException) => events.push(`request ${error.code}`))
        response.on('close', () => events.push(`response close ${response.writableFinished}`))
        response.on('finish', () => events.push('response finish'))
        if (when === 'while it is answered') response.write('begun')
        else request.resume()
      })
      const client = await RawClient.connect(port)
      const body = when === 'while it sends' ? 'Content-Length: 5\r\n\r\nhel' : '\r\n'
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${body}`)
      if (when === 'while it is answered') await client.until(() => client.received.includes('begun'))
      else await turns(5)
      client.socket.resetAndDestroy()
      await until(() => events.includes('response close false') && events.includes('request close'))
      // A request that was read to its end is closed already.
      const broken = when === 'before an answer' ? [] : ['request aborted', 'request ECONNRESET']
      expect(events.filter(event => /aborted|ECONN/.test(event))).toEqual(broken)
      expect(events).not.toContain('response finish')
    },
  )

  it('does not fail when nobody listens, and lets go of what is written later', async () => {
    let response: ServerResponse | undefined
    const errors: unknown[] = []
    const port = await start((_request, answer) => {
      response = answer
    })
    const client = await RawClient.connect(port)
    client.send(`${GET}\r\n`)
    await until(() => response !== undefined)
    client.socket.resetAndDestroy()
    await until(() => response?.closed === true)
    response?.write('too late', error => errors.push(error))
    response?.end('too late')
    await until(() => errors.length === 1)
    expect(errors).toEqual([expect.objectContaining({ code: expect.any(String) })])
  })
})

describe('nodeHandler', () => {
  it('refuses what can not be sent', async () => {
    const port = await start((request, response) => {
      if (request.url === '/status') response.writeHead(999)
      if (request.url === '/value') response.writeHead(200, { a: '1\r\nb: 2' })
      if (request.url === '/length') response.writeHead(200, { 'content-length': '4' })
      if (request.url === '/raw') request.socket.write('HTTP/1.1 200 OK\r\n\r\nraw')
      if (request.url === '/trailer') response.addTrailers({ 'content-length': '5' })
      response.end('hello')
    })
    for (const path of ['/status', '/value', '/length', '/raw', '/trailer']) {
      const request = `GET ${path} HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`
      expect([path, (await exchange(port, request)).statuses]).toEqual([path, [500]])
    }
    const codes = Array(5).fill('HTTP_RESPONSE_INVALID')
    // Some platforms look at the values before we do.
    codes[1] = expect.stringMatching(/^(?:HTTP_HEADER_INVALID|ERR_INVALID_CHAR)$/)
    expect(logs.map(({ code }) => code)).toEqual(codes)
  })

  it('answers by the error of the body, when it can not be read to its end', async () => {
    const { port } = await startHttp(
      nodeHandler((request, response) => {
        request.on('end', () => response.end('complete'))
        request.resume()
      }),
      { bodyLimit: 10 },
    )
    const chunked = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`
    expect((await exchange(port, `${chunked}b\r\nhello world\r\n0\r\n\r\n`)).received).toMatch(
      /^HTTP\/1\.1 413 .*: HTTP_BODY_TOO_LARGE\n$/s,
    )
    expect((await exchange(port, `${chunked}x\r\n`)).received).toMatch(
      /^HTTP\/1\.1 400 .*: HTTP_CHUNK_MALFORMED\n$/s,
    )
  })

  it('keeps the connection when the application does not read the body, and ends the request', async () => {
    const closed: boolean[] = []
    const port = await start((request, response) => {
      request.on('close', () => closed.push(request.readableEnded))
      response.end('ok')
    })
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`
    expect((await exchange(port, `${post}${GET}${CLOSE}\r\n`)).statuses).toEqual([200, 200])
    await until(() => closed.length === 2)
    expect(closed).toEqual([true, true])
  })

  it('lets an application read on after its answer', async () => {
    const read = Promise.withResolvers<string>()
    const port = await start(async (request, response) => {
      response.end('early')
      let body = ''
      for await (const chunk of request) body += chunk
      read.resolve(body)
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    await client.until(() => client.received.endsWith('early'))
    client.send('hello')
    expect(await read.promise).toBe('hello')
  })

  it('tells of the client that a trusted PROXY header names', async () => {
    const service = serveHttp<Connection>(
      nodeHandler(tell(({ socket }) => [socket.remoteAddress, socket.remotePort, socket.remoteFamily])),
    )
    const proxied = stack<Connection>()
      .layer(acceptProxyHeader({ trust: ['loopback'] }))
      .service(service)
    const listener = await listen('127.0.0.1:0', {}, proxied)
    const header = 'PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n'
    const { received } = await exchange((listener.address as IpAddress).port, `${header}${GET}${CLOSE}\r\n`)
    expect(received).toMatch(/\["2001:db8::7",4711,"IPv6"\]$/)
    await listener.close(0)
  })

  it('has time limits as sockets do', async () => {
    const port = await start((request, response) => {
      if (request.url === '/heard') response.setTimeout(1, () => response.end('too slow'))
      else request.setTimeout(1)
    })
    const { received } = await exchange(port, `GET /heard HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`)
    expect(received).toMatch(/too slow$/)
    expect((await exchange(port, `${GET}${CLOSE}\r\n`)).statuses).toEqual([500])
  })

  it('takes a server that does not listen, and gives its requests to its listeners', async () => {
    const server: Server = createServer(
      tell(({ socket }) => (socket as unknown as { server: unknown }).server === server),
    )
    server.on('checkContinue', (_request, response) => response.writeHead(403).end())
    const { port } = await startHttp(nodeHandler(server))
    expect((await ask('2', port)).body).toBe('true')
    const waits = { method: 'POST', headers: { expect: '100-continue', 'content-length': '5' } }
    expect((await ask('1.1', port, waits)).status).toBe(403)
    server.removeAllListeners('request')
    expect((await ask('1.1', port)).status).toBe(500)
  })

  it('leaves nothing behind on the connection', async () => {
    let counts: number[] = []
    const { port } = await startHttp(request => {
      const { socket } = request.connection
      counts = socket.eventNames().map(name => socket.listenerCount(name))
      return nodeHandler((_request, response) => response.end('ok'))(request)
    })
    const client = await RawClient.connect(port)
    const seen: number[][] = []
    for (let round = 1; round <= 30; round++) {
      await client.send(`${GET}\r\n`).until(() => client.statuses.length === round)
      seen.push(counts)
    }
    expect(seen.at(-1)).toEqual(seen[0])
  })
})
