import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  FrameClient,
  GET,
  headers,
  POST,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { Body, type BodySink, type BodySource, HeaderList, json, respond, text } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

function connect(port: number, options: http2.ClientSessionOptions = {}): ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, options)
  session.on('error', () => undefined)
  sessions.push(session)
  return session
}

interface Answer {
  status: number | undefined
  headers: IncomingHttpHeaders
  body: string
  trailers: IncomingHttpHeaders
  code: number | undefined
}

/** What comes on a stream until it is closed. */
function answer(stream: ClientHttp2Stream): Promise<Answer> {
  const all: Answer = { status: undefined, headers: {}, body: '', trailers: {}, code: undefined }
  stream.setEncoding('latin1')
  stream.on('response', headers => {
    all.status = headers[':status']
    all.headers = headers
  })
  stream.on('trailers', trailers => {
    all.trailers = trailers
  })
  stream.on('data', (data: string) => {
    all.body += data
  })
  stream.on('error', () => undefined)
  return new Promise(resolve =>
    stream.on('close', () => {
      all.code = stream.rstCode
      resolve(all)
    }),
  )
}

describe('an HTTP/2 session', () => {
  it('gives the service the same request as HTTP/1.1', async () => {
    const { port } = await startHttp(async request =>
      json({
        method: request.method,
        path: request.path,
        query: request.query,
        version: request.version,
        scheme: request.scheme,
        authority: request.authority,
        host: request.host,
        headers: [...request.headers],
        length: request.body.length,
        body: await request.body.text(),
      }),
    )
    const stream = connect(port).request({
      ':method': 'POST',
      ':path': '/a?b',
      'x-a': ['1', '2'],
      'content-length': '5',
    })
    stream.end('hello')
    const { status, headers, body } = await answer(stream)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/json')
    expect(headers['content-length']).toBe(String(body.length))
    expect(headers.date).toMatch(/ GMT$/)
    expect(JSON.parse(body)).toEqual({
      method: 'POST',
      path: '/a',
      query: '?b',
      version: '2',
      scheme: 'http',
      authority: `127.0.0.1:${port}`,
      host: '127.0.0.1',
      headers: [
        ['x-a', '1'],
        ['x-a', '2'],
        ['content-length', '5'],
      ],
      length: 5,
      body: 'hello',
    })
  })

  it('answers many streams at once, HEAD and bodiless ones too', async () => {
    const { port } = await startHttp(({ path }) =>
      path === '/204' ? { ...text('x'), status: 204 } : text(path, { headers: { 'set-cookie': 'a' } }),
    )
    const session = connect(port)
    const streams = Array.from({ length: 200 }, (_each, index) =>
      answer(session.request({ ':path': `/${index}` })),
    )
    expect((await Promise.all(streams)).map(one => one.body)).toEqual(
      streams.map((_each, index) => `/${index}`),
    )
    const head = await answer(session.request({ ':method': 'HEAD', ':path': '/head' }))
    expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } })
    const none = await answer(session.request({ ':path': '/204' }))
    expect(none.status).toBe(204)
    expect(none.headers['content-length']).toBeUndefined()
  })

  it('streams both ways, with trailers', async () => {
    const { port } = await startHttp(request => respond(request.body))
    const stream = connect(port).request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    const whole = answer(stream)
    let echoed = 0
    stream.on('data', (data: string) => {
      echoed += data.length
    })
    for (let count = 1; count <= 20; count++) {
      stream.write('x'.repeat(100_000))
      await until(() => echoed === count * 100_000)
    }
    stream.end()
    const { body, trailers } = await whole
    expect(body).toHaveLength(2_000_000)
    expect(trailers['x-sum']).toBe('1')
  })

  it('gives trailers as they came to a service that reads late', async () => {
    let trailers: [string, string][] | undefined
    const { port } = await startHttp(async ({ body }) => {
      for (let turns = 0; turns < 20; turns++) await turn()
      await body.text()
      trailers = [...(body.trailers ?? [])]
      return text('')
    })
    const stream = connect(port).request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-b': ['1', '2'], 'x-a': '3' }))
    stream.end('hello')
    expect(await answer(stream)).toMatchObject({ status: 200 })
    expect(trailers).toEqual([
      ['x-b', '1'],
      ['x-b', '2'],
      ['x-a', '3'],
    ])
  })

  it.each(['authorization', 'set-cookie', 'host'])(
    'refuses a trailer section with %s, as HTTP/1.1 does',
    async name => {
      const seen: string[] = []
      const { port } = await startHttp(async ({ path, body }) => {
        if (path === '/late') for (let turns = 0; turns < 20; turns++) await turn()
        seen.push(await body.text())
        return text('fooled')
      })
      const session = connect(port)
      for (const path of ['/', '/late']) {
        const stream = session.request({ ':method': 'POST', ':path': path }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ [name]: '1' }))
        stream.end('hello')
        expect(await answer(stream)).toMatchObject({
          status: 400,
          body: '400 Bad Request: HTTP_TRAILER_FORBIDDEN\n',
        })
      }
      expect(seen).toEqual([])
    },
  )

  it('outlives a reader of a body that throws, and fails its body', async () => {
    const failures: unknown[] = []
    const { port } = await startHttp(({ path, body }) => {
      const fault = (at: string): void => {
        if (path === at) throw new Error('a fault of the reader')
      }
      return new Promise((_resolve, reject) => {
        body.pipe({
          data: () => fault('/data'),
          end: () => {
            fault('/end')
            reject(new Error('ended'))
          },
          fail: error => {
            failures.push(error)
            reject(error)
          },
        })
        if (path === '/end') setImmediate(reject, new Error('nobody told'))
      })
    })
    const session = connect(port)
    for (const path of ['/data', '/end', '/']) {
      const stream = session.request({ ':method': 'POST', ':path': path })
      stream.end('hello')
      expect(await answer(stream)).toMatchObject({ status: 500 })
    }
    expect(failures).toMatchObject([{ code: 'INTERNAL' }])
  })

  it('writes a large body to a slow reader piece by piece', async () => {
    const { port } = await startHttp(() => respond(Buffer.alloc(8_000_000, 'x')))
    const stream = connect(port).request({ ':path': '/' })
    stream.pause()
    for (let turns = 0; turns < 50; turns++) await turn()
    let length = 0
    stream.on('data', (data: Buffer) => {
      length += data.length
    })
    stream.resume()
    await new Promise(resolve => stream.on('end', resolve))
    expect(length).toBe(8_000_000)
  })

  it('takes requests however many downloads were cancelled before', async () => {
    const { port } = await startHttp(({ path }) =>
      path === '/' ? text('ok') : respond(Buffer.alloc(1_000_000, 'x')),
    )
    const session = connect(port)
    for (let count = 0; count < 190; count++) {
      const stream = session.request({ ':path': '/large' })
      stream.on('error', () => undefined)
      stream.pause()
      await new Promise(resolve => stream.once('response', resolve))
      const over = new Promise(resolve => stream.once('close', resolve))
      stream.close(http2.constants.NGHTTP2_CANCEL)
      await over
    }
    expect(await answer(session.request({ ':path': '/' }))).toMatchObject({ status: 200, body: 'ok' })
  })

  it('sends 100 Continue when the service begins to read', async () => {
    const { port } = await startHttp(async request => text(await request.body.text()))
    const stream = connect(port).request(
      { ':method': 'POST', ':path': '/', expect: '100-continue' },
      { endStream: false },
    )
    await new Promise(resolve => stream.on('continue', () => resolve(undefined)))
    stream.end('hello')
    expect(await answer(stream)).toMatchObject({ status: 200, body: 'hello' })
  })

  it('resets a request body that nobody reads, after the answer, without an error', async () => {
    const { port } = await startHttp(() => text('enough'))
    const session = connect(port)
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.write('x'.repeat(400_000))
    expect(await answer(stream)).toMatchObject({
      status: 200,
      body: 'enough',
      code: http2.constants.NGHTTP2_NO_ERROR,
    })
    expect(await answer(session.request({ ':path': '/' }))).toMatchObject({ body: 'enough' })
  })

  it('tells the service when the client goes: by signal, and by cancelling the answer', async () => {
    const events: string[] = []
    const { port } = await startHttp(request => {
      request.signal.addEventListener('abort', () => events.push('signal'))
      return respond(
        Body.of({
          start: () => events.push('start'),
          pause: () => undefined,
          resume: () => undefined,
          cancel: () => events.push('cancel'),
        }),
      )
    })
    const stream = connect(port).request({ ':path': '/' })
    stream.on('error', () => undefined)
    await until(() => events.includes('start'))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => events.includes('cancel') && events.includes('signal'))
  })

  it.each([
    ['CANCEL', '\0\0\0\x08'],
    ['NO_ERROR', '\0\0\0\0'],
  ])('does not take a body that was reset with %s for a whole one', async (_name, code) => {
    const events: unknown[] = []
    const { port } = await startHttp(async request => {
      events.push('asked')
      events.push(await request.body.text().catch(error => error.code))
      return text('')
    })
    const client = await RawClient.connect(port)
    // SETTINGS, then POST http://a/ by HPACK's static table, `hello` without END_STREAM.
    const head = '\0\0\x06\x01\x04\0\0\0\x01\x83\x86\x84\x41\x01a'
    client.send(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0${head}\0\0\x05\0\0\0\0\0\x01hello`)
    await until(() => events.length === 1)
    client.send(`\0\0\x04\x03\0\0\0\0\x01${code}`)
    await until(() => events.length === 2)
    expect(events[1]).toBe('HTTP_BODY_INCOMPLETE')
  })

  it('answers 500 when a service throws, and resets when a body breaks off', async () => {
    const { port } = await startHttp(({ path }) => {
      if (path === '/throw') throw new Error('secret')
      if (path === '/invalid') return text('abc', { headers: { 'content-length': '5' } })
      const chunks = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.from('hello')
        if (path === '/break') throw new Error('secret')
      }
      return respond(chunks(), { headers: path === '/short' ? { 'content-length': '9' } : {} })
    })
    const session = connect(port)
    expect(await answer(session.request({ ':path': '/throw' }))).toMatchObject({
      status: 500,
      body: '500 Internal Server Error: INTERNAL\n',
    })
    expect(await answer(session.request({ ':path': '/invalid' }))).toMatchObject({ status: 500 })
    for (const path of ['/break', '/short']) {
      expect(await answer(session.request({ ':path': path }))).toMatchObject({
        status: 200,
        code: http2.constants.NGHTTP2_INTERNAL_ERROR,
      })
    }
    expect(logs.map(line => line.code)).toEqual([
      'INTERNAL',
      'HTTP_RESPONSE_INVALID',
      'INTERNAL',
      'HTTP_RESPONSE_INVALID',
    ])
    expect(await answer(session.request({ ':path': '/ok' }))).toMatchObject({ body: 'hello' })
  })

  it.each<[string, http2.OutgoingHttpHeaders, number, string]>([
    ['CONNECT', { ':method': 'CONNECT', ':authority': 'a:1' }, 501, 'HTTP_METHOD_UNSUPPORTED'],
    ['a path without a slash', { ':path': 'a' }, 400, 'HTTP_TARGET_MALFORMED'],
    ['an absolute path', { ':path': 'http://a/' }, 400, 'HTTP_TARGET_MALFORMED'],
    ['* for GET', { ':path': '*' }, 400, 'HTTP_TARGET_MALFORMED'],
    ['a space in the path', { ':path': '/a b' }, 400, 'HTTP_TARGET_MALFORMED'],
    ['a long path', { ':path': `/${'a'.repeat(17_000)}` }, 414, 'HTTP_TARGET_TOO_LONG'],
    ['a scheme that is none', { ':scheme': 'http://a/x?' }, 400, 'HTTP_FIELD_MALFORMED'],
    ['a user in :authority', { ':authority': 'u@a' }, 400, 'HTTP_HOST_INVALID'],
    ['Host that contradicts :authority', { host: 'b', ':authority': 'a' }, 400, 'HTTP_HOST_INVALID'],
    ['another expectation', { expect: 'x' }, 417, 'HTTP_EXPECTATION_FAILED'],
  ])('refuses %s', async (_name, headers, status, code) => {
    let asked = 0
    const { port } = await startHttp(() => {
      asked++
      return text('fooled')
    })
    const session = connect(port)
    const stream = session.request({
      ':path': headers[':method'] === 'CONNECT' ? undefined : '/',
      ...headers,
    } as http2.OutgoingHttpHeaders)
    const refused = await answer(stream.end())
    // nghttp2 refuses some by itself, with a reset.
    if (refused.status !== undefined) {
      expect(refused.status).toBe(status)
      expect(refused.body).toContain(code)
      expect(logs.map(line => line.code)).toEqual([code])
    } else {
      expect(refused.code).toBeGreaterThan(http2.constants.NGHTTP2_NO_ERROR)
    }
    expect(asked).toBe(0)
  })

  it('limits fields, streams and bodies', async () => {
    const gate = Promise.withResolvers<void>()
    const { port } = await startHttp(
      async request => {
        if (request.path === '/wait') await gate.promise
        return text(String((await request.body.bytes()).length))
      },
      { streamLimit: 3, bodyLimit: 1000 },
    )
    const session = connect(port)
    const many = Object.fromEntries(Array.from({ length: 120 }, (_each, index) => [`x-${index}`, 'a']))
    expect((await answer(session.request({ ':path': '/', ...many }))).status).not.toBe(200)
    expect(session.remoteSettings?.maxConcurrentStreams).toBe(3)

    const post = session.request({ ':method': 'POST', ':path': '/' })
    post.end(Buffer.alloc(1001))
    expect(await answer(post)).toMatchObject({ status: 413 })
    const announced = session.request({ ':method': 'POST', ':path': '/', 'content-length': '1001' })
    announced.end(Buffer.alloc(1001))
    expect(await answer(announced)).toMatchObject({ status: 413 })
    gate.resolve()
  })

  it('cuts an answer whose source throws when it is to go on', async () => {
    const { port } = await startHttp(() =>
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
    const cut = await answer(connect(port).request({ ':path': '/' }))
    expect(cut.code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(logs).toMatchObject([{ code: 'INTERNAL', msg: 'an answer was cut' }])
  })

  it('takes limits that are more than HTTP/2 can tell', async () => {
    const { port } = await startHttp(() => text('hi'), {
      headLimit: '8gb',
      fieldLimit: 2 ** 40,
      streamLimit: 2 ** 40,
    })
    const session = connect(port)
    expect(await answer(session.request({ ':path': '/' }))).toMatchObject({ status: 200 })
  })

  it('ends a session that resets streams without end (rapid reset)', async () => {
    const { port, listener } = await startHttp(() => new Promise<never>(() => undefined))
    const session = connect(port)
    let requests = 0
    while (!session.destroyed && requests < 5000) {
      const stream = session.request({ ':path': '/' })
      stream.on('error', () => undefined)
      stream.close(http2.constants.NGHTTP2_CANCEL)
      requests++
      await turn()
    }
    expect(requests).toBeLessThan(2000)
    await until(() => listener.counts.serving === 0)
  })

  it('ends a session that breaks the protocol, with one log line, and serves the next', async () => {
    const { port, listener } = await startHttp(() => text('ok'))
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    for (const frames of [
      // A DATA frame on stream 0, a HEADERS frame that can't be decoded, a frame over the limit, noise.
      '\0\0\x01\0\0\0\0\0\0x',
      '\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\xff\xff\xff',
      '\xff\xff\xff\0\0\0\0\0\x01',
      '\0\0\0\x04\0\0\0\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    ]) {
      logs.length = 0
      const client = await RawClient.connect(port)
      await client.send(preface + frames).over()
      client.socket.destroy()
      await until(() => listener.counts.serving === 0)
      expect(logs.length, JSON.stringify(frames)).toBeLessThanOrEqual(1)
      for (const line of logs) expect(line.code).toBe('HTTP2_PROTOCOL')
    }
    expect(await answer(connect(port).request({ ':path': '/' }))).toMatchObject({ body: 'ok' })
  })

  it('finishes open streams when it drains, and takes no new ones', async () => {
    const gate = Promise.withResolvers<void>()
    let asked = 0
    const { port, listener } = await startHttp(async () => {
      asked++
      await gate.promise
      return text('done')
    })
    const session = connect(port)
    const open = answer(session.request({ ':path': '/' }))
    await until(() => asked === 1)
    const goaway = new Promise(resolve => session.once('goaway', resolve))
    const closing = listener.close()
    await goaway
    gate.resolve()
    expect(await open).toMatchObject({ status: 200, body: 'done' })
    await closing
  })

  it('closes an idle session after 75 s, and one whose client takes nothing', async () => {
    holdTime()
    const { port, listener } = await startHttp(() => respond(Buffer.alloc(8_000_000)))
    const idle = connect(port)
    await answer(idle.request({ ':method': 'HEAD', ':path': '/' }))
    const gone = new Promise<void>(resolve => idle.once('close', () => resolve()))
    for (let turns = 0; turns < 50; turns++) await turn()
    vi.advanceTimersByTime(70_000)
    for (let turns = 0; turns < 10; turns++) await turn()
    expect(idle.closed).toBe(false)
    vi.advanceTimersByTime(6000)
    for (let turns = 0; turns < 50; turns++) await turn()
    // A client that does not close a session that is over has 5 s. Bun's does not.
    vi.advanceTimersByTime(6000)
    await gone

    const slow = connect(port)
    const stream = slow.request({ ':path': '/' })
    const code = new Promise(resolve => stream.once('close', () => resolve(stream.rstCode)))
    stream.on('error', () => undefined)
    stream.pause()
    await new Promise(resolve => stream.once('response', resolve))
    for (let turns = 0; turns < 50; turns++) await turn()
    vi.advanceTimersByTime(31_000)
    for (let turns = 0; turns < 10; turns++) await turn()
    stream.resume()
    expect(await code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(logs.map(line => line.code)).toEqual(['HTTP_WRITE_TIMEOUT'])
    slow.destroy()
    await until(() => listener.counts.serving === 0)
  })

  it('cuts an answer that nobody takes, also one that was given before the body had been read', async () => {
    holdTime()
    let body: Promise<string> | undefined
    const { port, listener } = await startHttp(request => {
      body = request.body.text()
      return respond(Buffer.alloc(5000))
    })
    const session = connect(port, { settings: { initialWindowSize: 0 } })
    const stream = session.request({ ':path': '/', ':method': 'POST' })
    const code = new Promise(resolve => stream.once('close', () => resolve(stream.rstCode)))
    stream.on('error', () => undefined)
    stream.write('first')
    await new Promise(resolve => stream.once('response', resolve))
    stream.end('last')
    expect(await body).toBe('firstlast')
    for (let turns = 0; turns < 10; turns++) await turn()
    vi.advanceTimersByTime(31_000)
    expect(await code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(logs.map(line => line.code)).toEqual(['HTTP_WRITE_TIMEOUT'])
    session.destroy()
    await until(() => listener.counts.serving === 0)
  })

  // Node resets a stream whose request nobody reads when its answer is handed over, though its end may still have to wait.
  it('ends answers whose end has to wait for room in the window of the session, and resets none', async () => {
    const sinks: BodySink[] = []
    const { port } = await startHttp(() => {
      const source: BodySource = {
        start: sink => sinks.push(sink),
        pause: () => undefined,
        resume: () => undefined,
        cancel: () => undefined,
      }
      return { status: 200, headers: new HeaderList(), body: Body.of(source, undefined) }
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)), headers(3, block(...GET)))
    await client.until(() => client.answer(3).statuses.length === 1)
    sinks[0]?.end()
    // The other takes all the room before the turn is over: the end of this one needs none.
    for (let ticks = 0; ticks < 5; ticks++) await new Promise<void>(next => process.nextTick(next))
    sinks[1]?.data(Buffer.alloc(100_000))
    await client.until(() => client.answer(3).body.length === 65_535)
    for (let turns = 0; turns < 5; turns++) await turn()
    await client.seen()
    client.send(windowUpdate(0, 100_000), windowUpdate(3, 100_000))
    sinks[1]?.end()
    await client.until(() => client.isDone(1) && client.isDone(3))
    expect(client.answer(1)).toEqual({ statuses: [200], body: '', ended: true, reset: undefined })
    expect(client.answer(3)).toMatchObject({ ended: true, reset: undefined })
  })

  it('ends when its client has ended, after what was asked for is answered', async () => {
    const gate = Promise.withResolvers<void>()
    const { port, listener } = await startHttp(async () => {
      await gate.promise
      return text('late')
    })
    const idle = await RawClient.connect(port)
    idle.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0').socket.end()
    await until(() => listener.counts.accepted === 1 && listener.counts.serving === 0)

    const asking = await RawClient.connect(port)
    // GET http://a/ by HPACK's static table.
    const head = '\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a'
    asking.send(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0${head}`).socket.end()
    await until(() => listener.counts.serving === 1)
    gate.resolve()
    expect((await asking.over()).received).toContain('late')
    await until(() => listener.counts.serving === 0)
  })

  // Not only after the five seconds that it has to take an answer.
  it('tells the service at once that a client has ended inside its body', { timeout: 4000 }, async () => {
    const gone = Promise.withResolvers<void>()
    const failure = Promise.withResolvers<unknown>()
    const { port } = await startHttp(request => {
      request.whenGone(() => gone.resolve())
      request.body.bytes().catch(failure.resolve)
      return gone.promise.then(() => text('late'))
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...POST), 0), data(1, 'half'))
    client.raw.socket.end()
    await gone.promise
    expect(await failure.promise).toMatchObject({ code: 'HTTP_BODY_INCOMPLETE' })
  })

  it('takes headers of an answer in any case and number', async () => {
    const { port } = await startHttp(() => ({
      ...text('a'),
      headers: new HeaderList([
        ['X-A', '1'],
        ['x-a', '2'],
        ['Set-Cookie', 'a'],
        ['set-cookie', 'b'],
        ['Connection', 'close'],
        ['Transfer-Encoding', 'chunked'],
        ['__proto__', 'x'],
      ]),
    }))
    const { headers, status } = await answer(connect(port).request({ ':path': '/' }))
    expect(status).toBe(200)
    expect(headers['x-a']).toBe('1, 2')
    expect(headers['set-cookie']).toEqual(['a', 'b'])
    expect(headers.connection).toBeUndefined()
  })
})
