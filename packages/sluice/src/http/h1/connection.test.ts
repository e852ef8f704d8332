import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closed, closeSockets, until } from '../../../test/support/sockets.ts'
import { type IpAddress, listen } from '../../net/index.ts'
import {
  Body,
  type BodySink,
  type BodySource,
  empty,
  HeaderList,
  type HttpRequest,
  respond,
  serveHttp,
  text,
} from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const GET = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const CLOSE = 'Connection: close\r\n'

/** An answer without what is the same in all. */
function plain(received: string): string {
  return received
    .replaceAll(/date: [^\r]+\r\n/g, '')
    .replaceAll('content-type: text/plain; charset=utf-8\r\n', '')
}

/** A body whose bytes the test decides, and which records what is asked of it. */
function pushed(): { source: BodySource; sink: () => BodySink; calls: string[] } {
  const calls: string[] = []
  let sink: BodySink | undefined
  const record = (name: string) => () => void calls.push(name)
  const source = {
    start: (given: BodySink) => {
      calls.push('start')
      sink = given
    },
    pause: record('pause'),
    resume: record('resume'),
    cancel: record('cancel'),
  }
  return {
    source,
    sink: () => {
      if (sink === undefined) throw new Error('not started')
      return sink
    },
    calls,
  }
}

describe('an HTTP/1.1 connection', () => {
  it('answers requests one after the other, in order, and keeps the connection', async () => {
    const { port } = await startHttp(request => text(request.path))
    const client = await RawClient.connect(port)
    await client.send(GET('/1')).until(() => client.received.endsWith('/1'))
    await client.send(GET('/2', CLOSE)).over()
    expect(plain(client.received)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/2',
    )
    expect(client.ended).toBe(true)
  })

  it('answers pipelined requests in order, one at a time', async () => {
    let running = 0
    let most = 0
    const { port } = await startHttp(async request => {
      running++
      most = Math.max(most, running)
      for (let turns = request.path === '/0' ? 20 : 1; turns > 0; turns--) await turn()
      running--
      return text(`${request.path};${(await request.body.text()).length}`)
    })
    const requests = Array.from({ length: 50 }, (_each, index) =>
      index % 3 === 0
        ? `POST /${index} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`
        : GET(`/${index}`),
    )
    const client = await exchange(port, requests.join('') + GET('/last', CLOSE) + GET('/never'))
    const bodies = [...client.received.matchAll(/\r\n\r\n(\/\w+;\d+)/g)].map(match => match[1])
    expect(bodies).toEqual([
      ...requests.map((_each, index) => `/${index};${index % 3 === 0 ? 3 : 0}`),
      '/last;0',
    ])
    expect(most).toBe(1)
  })

  it('gives the same answers however the bytes are split', async () => {
    const { port } = await startHttp(async request => text(`${request.path}:${await request.body.text()};`))
    const bytes =
      GET('/a') +
      'POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello' +
      'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n' +
      GET('/d', CLOSE)
    const whole = await exchange(port, bytes)
    expect(whole.received).toMatch(/\/a:;HTTP.*\/b:hello;HTTP.*\/c:hello world;HTTP.*\/d:;$/s)
    const client = await RawClient.connect(port)
    for (const byte of bytes) {
      client.send(byte)
      await turn()
    }
    await client.over()
    expect(plain(client.received)).toBe(plain(whole.received))
  })

  it('speaks HTTP/1.0: closes, keeps when asked, never chunks', async () => {
    const chunks = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('a')
      yield Buffer.from('b')
    }
    const { port } = await startHttp(request => (request.path === '/stream' ? respond(chunks()) : text('hi')))
    expect(plain((await exchange(port, 'GET / HTTP/1.0\r\n\r\n')).received)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi',
    )
    const kept = await exchange(
      port,
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n',
    )
    expect(kept.statuses).toEqual([200, 200])
    expect(kept.received).toContain('connection: keep-alive')
    const stream = await exchange(port, 'GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    expect(plain(stream.received)).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab')
  })

  it('sends no body for HEAD, 204 and 304', async () => {
    const { port } = await startHttp(request => {
      if (request.path === '/204') return { ...text('x'), status: 204 }
      if (request.path === '/304') return { ...text('x'), status: 304 }
      return text('hello')
    })
    const requests = `HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${GET('/204')}${GET('/304')}${GET('/', CLOSE)}`
    expect(plain((await exchange(port, requests)).received)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n' +
        'HTTP/1.1 204 No Content\r\n\r\n' +
        'HTTP/1.1 304 Not Modified\r\n\r\n' +
        'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello',
    )
  })

  it('writes text as UTF-8 and header values as Latin-1', async () => {
    const { port } = await startHttp(() => text('grüß 中', { headers: { 'x-name': 'grüß' } }))
    const { received } = await exchange(port, GET('/', CLOSE))
    expect(received).toContain('x-name: grüß\r\n')
    expect(Buffer.from(received.split('\r\n\r\n')[1] ?? '', 'latin1').toString('utf8')).toBe('grüß 中')
    expect(received).toContain('content-length: 10\r\n')
  })

  it('writes chunks and trailers of a body whose length is not known', async () => {
    const { port } = await startHttp(() => {
      const { source, sink } = pushed()
      queueMicrotask(() => {
        sink().data(Buffer.from('hello'))
        sink().data(Buffer.alloc(5000, 'x'))
        sink().end(new HeaderList({ 'x-sum': '1' }))
      })
      return respond(Body.of(source))
    })
    expect(plain((await exchange(port, GET('/', CLOSE))).received)).toBe(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n1388\r\n${'x'.repeat(5000)}\r\n0\r\nx-sum: 1\r\n\r\n`,
    )
  })

  it('sends 100 Continue when the service begins to read, once', async () => {
    const order: string[] = []
    const { port } = await startHttp(async request => {
      order.push('asked')
      if (request.path === '/read') return text(await request.body.text())
      return text('no')
    })
    const expecting = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`
    const client = await RawClient.connect(port)
    await client.send(expecting('/read')).until(() => client.received !== '')
    expect(client.received).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    await client
      .send('hel')
      .send('lo')
      .until(() => client.received.endsWith('hello'))
    expect(client.statuses).toEqual([100, 200])

    // Without a 100 nobody knows whether the body will come: the connection ends.
    await client.send(expecting('/refuse')).over()
    expect(client.statuses).toEqual([100, 200, 200])
    expect(client.received).toMatch(/connection: close\r\n\r\nno$/)
    expect(client.ended).toBe(true)
  })

  it('sends 100 Continue before an answer that is made from the body, never inside it', async () => {
    const { port } = await startHttp(request =>
      request.path === '/same'
        ? respond(request.body)
        : respond(
            (async function* () {
              yield Buffer.from('>')
              yield* request.body
            })(),
          ),
    )
    for (const path of ['/same', '/through']) {
      const client = await RawClient.connect(port)
      client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`)
      await client.until(() => client.received.includes('200 OK'))
      expect(client.statuses).toEqual([100, 200])
      await client.send('hello').until(() => client.received.includes('hello'))
      await client.send(GET('/same', CLOSE)).over()
      expect(client.statuses).toEqual([100, 200, 200])
    }
  })

  it('does not send 100 Continue when the body is there already', async () => {
    const { port } = await startHttp(async request => text(await request.body.text()))
    const client = await exchange(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n${CLOSE}\r\nhello`,
    )
    expect(client.statuses).toEqual([200])
  })

  it('throws a small body away that nobody reads, and keeps the connection', async () => {
    const { port } = await startHttp(() => text('ok'))
    const smuggled = GET('/never')
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`
    const chunked = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
    const client = await exchange(port, post + chunked + GET('/', CLOSE))
    expect(client.statuses).toEqual([200, 200, 200])
  })

  it('closes after the answer when a body that nobody reads is large, and lets the client read the answer', async () => {
    const { port } = await startHttp(() => text('ok'))
    const head = 'POST / HTTP/1.1\r\nHost: a\r\n'
    const announced = await RawClient.connect(port)
    await announced.send(`${head}Content-Length: 900000\r\n\r\n`).send(Buffer.alloc(10_000)).over()
    expect(announced.received).toContain('connection: close')
    // It goes on sending, as clients do that have not read yet; a reset could take the answer away from it.
    for (let count = 0; count < 10; count++) {
      announced.send(Buffer.alloc(50_000))
      for (let turns = 0; turns < 10; turns++) await turn()
    }
    announced.socket.end()
    await closed(announced.socket)
    expect(announced).toMatchObject({ ended: true, failed: undefined })
    const chunked = await RawClient.connect(port)
    chunked.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    for (let count = 0; count < 6; count++) chunked.send(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    await chunked.over()
    expect(chunked.statuses).toEqual([200])
    expect(chunked).toMatchObject({ ended: true, failed: undefined })
  })

  it('gives the body to a service that begins to read it and answers in the same turn', async () => {
    const read: string[] = []
    const { port } = await startHttp(({ body }) => {
      void body.text().then(content => read.push(content))
      return text('hi')
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe')
    await client.until(() => client.received.endsWith('hi'))
    client.send('lloGET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until(() => client.statuses.length === 2)
    await until(() => read.length === 2)
    expect(read.sort()).toEqual(['', 'hello'])
  })

  it('lets a service answer before it has read the body, and go on reading', async () => {
    let read = ''
    const { port } = await startHttp(async request => {
      void (async () => {
        for await (const chunk of request.body) read += chunk
      })()
      return text('early')
    })
    const client = await RawClient.connect(port)
    await client
      .send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
      .until(() => client.received.endsWith('early'))
    await client.send(`world${GET('/', CLOSE)}`).over()
    expect(read).toBe('helloworld')
    expect(client.statuses).toEqual([200, 200])

    // The last request of a connection is read to its end as well.
    read = ''
    const last = await RawClient.connect(port)
    await last
      .send(`POST / HTTP/1.1\r\nHost: a\r\n${CLOSE}Content-Length: 10\r\n\r\nhello`)
      .until(() => last.received.endsWith('early'))
    await last.send('world').over()
    expect(read).toBe('helloworld')
    expect(last).toMatchObject({ ended: true, failed: undefined })
  })

  it('cuts an answer that is made from a body that breaks off, and logs it once', async () => {
    const { port } = await startHttp(request => respond(request.body))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await client.until(() => client.received.includes('hello'))
    await client.send('zz\r\n').over()
    expect(client.failed).toBe('ECONNRESET')
    expect(logs.map(line => line.code)).toEqual(['HTTP_CHUNK_MALFORMED'])
  })

  it('pauses the client when the service does not read, and the service when the client does not', async () => {
    const size = 32 * 1024 * 1024
    const outgoing = pushed()
    const gate = Promise.withResolvers<void>()
    let reading: Socket | undefined
    const { port } = await startHttp(async request => {
      if (request.method === 'GET') return respond(Body.of(outgoing.source))
      let length = 0
      for await (const chunk of request.body) {
        length += chunk.length
        reading = request.connection.socket
        await gate.promise
      }
      return text(String(length))
    })
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(GET('/'))
    await until(() => outgoing.calls.includes('start'))
    let written = 0
    const chunk = Buffer.alloc(65_536)
    while (!outgoing.calls.includes('pause')) {
      outgoing.sink().data(chunk)
      written++
      await turn()
    }
    expect(written * chunk.length).toBeLessThan(size)
    client.socket.resume()
    await until(() => outgoing.calls.includes('resume'))
    outgoing.sink().end()
    await client.until(() => client.received.endsWith('0\r\n\r\n'))

    const sender = await RawClient.connect(port)
    sender.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
    for (let sent = 0; sent < size; sent += chunk.length) sender.send(chunk)
    await until(() => reading !== undefined)
    let read = 0
    while (reading !== undefined && reading.bytesRead > read) {
      read = reading.bytesRead
      for (let turns = 0; turns < 50; turns++) await turn()
    }
    expect(read).toBeLessThan(size / 4)
    gate.resolve()
    await sender.until(() => sender.received.endsWith(String(size)))
  })

  it('reads no further requests while the client does not read answers', async () => {
    let asked = 0
    const body = Buffer.alloc(50_000)
    const { port } = await startHttp(() => {
      asked++
      return respond(body)
    })
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(GET('/').repeat(1000) + GET('/', CLOSE))
    let before = -1
    while (before < asked) {
      before = asked
      for (let turns = 0; turns < 50; turns++) await turn()
    }
    expect(asked).toBeLessThan(500)
    client.socket.resume()
    await client.over()
    expect(asked).toBe(1001)
  })

  it('answers 500 with the code when a service throws, or rejects, and logs it once', async () => {
    const { port } = await startHttp(async request => {
      if (request.path === '/sync') throw new Error('secret')
      return await Promise.reject(new TypeError('secret'))
    })
    for (const path of ['/sync', '/later']) {
      const client = await exchange(port, GET(path, CLOSE))
      expect(client.received).toMatch(/^HTTP\/1\.1 500 .*\r\n\r\n500 Internal Server Error: INTERNAL\n$/s)
      expect(client.received).not.toContain('secret')
    }
    expect(logs).toMatchObject([
      { level: 'error', code: 'INTERNAL', msg: 'a service failed' },
      { level: 'error', code: 'INTERNAL', msg: 'a service failed' },
    ])
  })

  it.each(['http/1.1', 'h2'])(
    'ends at once when the client had ended before %s got the socket',
    async alpn => {
      const serve = serveHttp(() => text('hi'))
      const listener = await listen('127.0.0.1:0', {}, async connection => {
        const { socket } = connection
        socket.resume()
        await new Promise(resolve => socket.once('end', resolve))
        await serve(Object.assign(connection, { tls: { alpn } }))
      })
      const client = await RawClient.connect((listener.address as IpAddress).port)
      client.socket.end()
      await client.over()
      await until(() => listener.counts.accepted === 1 && listener.counts.serving === 0)
      await listener.close()
    },
  )

  it('cuts an answer whose source throws when it is to go on', async () => {
    const { port, listener } = await startHttp(() =>
      respond(
        Body.of({
          start: sink => {
            queueMicrotask(() => sink.data(Buffer.alloc(16_000_000)))
          },
          pause: () => undefined,
          resume: () => {
            throw new Error('a fault of the source')
          },
          cancel: () => undefined,
        }),
      ),
    )
    const client = await RawClient.connect(port)
    await client.send(GET('/')).over()
    await until(() => listener.counts.serving === 0)
    expect(logs).toMatchObject([{ code: 'INTERNAL', msg: 'an answer was cut' }])
  })

  it('logs whose request failed, and the stack only of what nobody foresaw', async () => {
    const { port } = await startHttp(() => {
      throw new TypeError('oops')
    })
    await exchange(port, 'GET / HTTP/1.1\r\n\r\n')
    await exchange(port, GET('/', CLOSE))
    const known = {
      connection: expect.stringMatching(/^\d+$/),
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    }
    const target = 'http'
    expect(logs).toEqual([
      {
        level: 'info',
        time: expect.anything(),
        target,
        ...known,
        code: 'HTTP_HOST_INVALID',
        side: 'downstream',
        msg: 'a request was refused: there is no Host',
      },
      {
        level: 'error',
        time: expect.anything(),
        target,
        ...known,
        code: 'INTERNAL',
        error: { code: 'INTERNAL', message: 'oops', stack: expect.stringContaining('connection.test.ts') },
        msg: 'a service failed',
      },
    ])
  })

  it.each<[string, (request: HttpRequest) => unknown]>([
    ['nothing', () => undefined],
    ['a status of 1xx', () => empty(101)],
    ['a status over 599', () => empty(600)],
    ['a status that is no number', () => ({ ...text(''), status: '200' })],
    ['headers that are no HeaderList', () => ({ ...text('a'), headers: { 'x-a': 'b\r\nc: d' } })],
    ['a body that is no Body', () => ({ ...text('a'), body: 'a' })],
    ['a Content-Length that contradicts the body', () => text('abc', { headers: { 'content-length': '5' } })],
    [
      'two Content-Lengths',
      () => ({
        ...text('a'),
        headers: new HeaderList([
          ['content-length', '1'],
          ['content-length', '1'],
        ]),
      }),
    ],
    ['a Content-Length that is no number', () => text('a', { headers: { 'content-length': '1, 1' } })],
    [
      'a body that was read',
      async () => {
        const answer = text('abc')
        await answer.body.text()
        return answer
      },
    ],
  ])('answers 500 when a service answers %s', async (_name, service) => {
    const { port } = await startHttp(service as never)
    const client = await exchange(port, GET('/', CLOSE))
    expect(client.statuses).toEqual([500])
    expect(logs).toHaveLength(1)
    expect(client.received).toContain(String(logs[0]?.code))
    expect(['HTTP_RESPONSE_INVALID', 'HTTP_BODY_USED']).toContain(logs[0]?.code)
  })

  it.each([
    ['is longer than its Content-Length', '4', 'HTTP_RESPONSE_INVALID'],
    ['is shorter than its Content-Length', '100', 'HTTP_RESPONSE_INVALID'],
    ['throws', '6', 'INTERNAL'],
  ])('resets the connection when a body %s', async (what, length, code) => {
    // The client reads what came before the reset first: Node 22 takes the two together for an end.
    const gate = Promise.withResolvers<void>()
    const chunks = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('hel')
      await gate.promise
      if (what.startsWith('is longer')) yield Buffer.from('lo')
      if (what === 'throws') throw new Error('broken')
    }
    const { port } = await startHttp(() => respond(chunks(), { headers: { 'content-length': length } }))
    const client = await RawClient.connect(port)
    await client.send(GET('/')).until(() => client.received.endsWith('hel'))
    gate.resolve()
    await client.over()
    expect(client.failed).toBe('ECONNRESET')
    expect(logs.map(line => line.code)).toEqual([code])
  })

  it('frames by itself: connection fields of a service are not sent', async () => {
    const headers = {
      'transfer-encoding': 'gzip, chunked',
      connection: 'x-secret',
      'keep-alive': 'a',
      upgrade: 'b',
    }
    const { port } = await startHttp(() => text('hi', { headers }))
    expect(plain((await exchange(port, GET('/', CLOSE))).received)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi',
    )
  })

  it('closes when the service says so', async () => {
    const { port } = await startHttp(() => text('hi', { headers: { connection: 'close' } }))
    expect((await exchange(port, GET('/'))).received).toContain('connection: close\r\n')
  })

  it('answers a client that has ended its side', async () => {
    const { port } = await startHttp(async () => {
      for (let turns = 0; turns < 20; turns++) await turn()
      return text('hi')
    })
    const client = await RawClient.connect(port)
    client.socket.end(GET('/'))
    await client.over()
    expect(client.received).toMatch(/hi$/)
  })

  it('tells the service when the client goes: by signal, and by the body', async () => {
    const events: string[] = []
    const { port } = await startHttp(async request => {
      request.signal.addEventListener('abort', () => events.push('signal'))
      await request.body.bytes().catch(error => events.push(error.code))
      return text('late')
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
    const chatty = await RawClient.connect(port)
    chatty.send(GET('/'))
    await chatty.until(() => chatty.received.endsWith('late'))
    client.socket.resetAndDestroy()
    await until(() => events.length === 2)
    expect(events.sort()).toEqual(['HTTP_BODY_INCOMPLETE', 'signal'])
  })

  it('cancels the body of an answer when the client goes', async () => {
    const outgoing = pushed()
    const { port } = await startHttp(() => respond(Body.of(outgoing.source)))
    const client = await RawClient.connect(port)
    await client.send(GET('/')).until(() => client.received !== '')
    client.socket.resetAndDestroy()
    await until(() => outgoing.calls.includes('cancel'))
  })

  it('answers 400 when a client ends inside a body', async () => {
    const { port } = await startHttp(async request => {
      await request.body.text()
      return text('x')
    })
    const client = await RawClient.connect(port)
    client.socket.end('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
    await client.over()
    expect(client.statuses).toEqual([400])
    expect(client.received).toContain('HTTP_BODY_INCOMPLETE')
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_INCOMPLETE'])
  })

  it('survives resets at every moment', async () => {
    const { port, listener } = await startHttp(async request => text(await request.body.text()))
    const bytes =
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n'
    for (let length = 0; length <= bytes.length; length += 3) {
      const client = await RawClient.connect(port)
      await new Promise<void>(resolve => client.socket.write(bytes.slice(0, length), () => resolve()))
      client.socket.resetAndDestroy()
    }
    await until(() => listener.counts.serving === 0)
    expect((await exchange(port, GET('/', CLOSE))).statuses).toEqual([200])
  })
})

describe('draining HTTP/1.1', () => {
  it('closes idle connections at once, and finishes what is in flight with Connection: close', async () => {
    const gate = Promise.withResolvers<void>()
    let slow = false
    const { port, listener } = await startHttp(async request => {
      if (request.path === '/slow') {
        slow = true
        await gate.promise
      }
      return text('done')
    })
    const unused = await RawClient.connect(port)
    const idle = await RawClient.connect(port)
    await idle.send(GET('/')).until(() => idle.received.endsWith('done'))
    const busy = await RawClient.connect(port)
    busy.send(GET('/slow'))
    const partial = await RawClient.connect(port)
    await partial.send(`${GET('/')}GET / HTTP/1.1\r\nHo`).until(() => partial.received.endsWith('done'))
    await until(() => listener.counts.serving === 4 && slow)
    const closing = listener.close()
    await Promise.all([unused.over(), idle.over()])
    expect(busy.received).toBe('')
    gate.resolve()
    await busy.over()
    expect(busy.received).toMatch(/connection: close\r\n\r\ndone$/)
    await partial.send('st: a\r\n\r\n').over()
    expect(partial.received).toMatch(/connection: close\r\n\r\ndone$/)
    for (const client of [unused, idle, busy, partial]) client.socket.destroy()
    await closing
  })
})
