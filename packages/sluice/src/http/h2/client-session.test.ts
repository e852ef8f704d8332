import type { ServerHttp2Stream } from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import {
  ask,
  get,
  LIMITS,
  openSession,
  Pushed,
  startHttp2Origin,
  startSecureHttp2Origin,
  stopHttp2,
} from '../../../test/support/http2-origin.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { testCertificate } from '../../../test/support/test-certificate.ts'
import { connectTcp, parseEndpoint } from '../../net/index.ts'
import { connectTls } from '../../tls/index.ts'
import { Body, type BodySink, HeaderList } from '../index.ts'
import { Http2UpstreamSession } from './client-session.ts'

const logs = captureLogs()
afterEach(async () => {
  vi.useRealTimers()
  await stopHttp2()
  await closeSockets()
  expect(logs.splice(0)).toEqual([])
})

/** Reads what comes on a stream. */
function collect(stream: ServerHttp2Stream): {
  body: string
  ended: boolean
  aborted: boolean
  code: number
} {
  const all = { body: '', ended: false, aborted: false, code: -1 }
  stream.on('data', (chunk: Buffer) => {
    all.body += chunk.toString('latin1')
  })
  stream.on('end', () => {
    all.ended = true
  })
  stream.on('aborted', () => {
    all.aborted = true
  })
  stream.on('close', () => {
    all.code = stream.rstCode ?? -1
  })
  return all
}

function answer(stream: ServerHttp2Stream, body: string = 'ok'): void {
  stream.respond({ ':status': 200 }, { sendDate: false } as never)
  stream.end(body)
}

describe('a session of HTTP/2 with an upstream', () => {
  it('sends the fields of a request as they are, each by itself and in their order', async () => {
    let seen: readonly string[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      seen = raw
      answer(stream)
    })
    const open = await openSession(port)
    const heard = ask(open, {
      authority: 'example.org:8080',
      scheme: 'https',
      target: '/a%2Fb?c=%zz',
      headers: new HeaderList([
        ['X-A', '1'],
        ['accept', 'x\xe9'],
        ['x-a', '2'],
        ['te', 'Trailers'],
        ['Cookie', 'a=1'],
        ['cookie', 'b=2'],
        ['__proto__', 'x'],
      ]),
    })
    await heard.over()
    expect(seen).toEqual([
      ...[':method', 'GET', ':scheme', 'https', ':authority', 'example.org:8080', ':path', '/a%2Fb?c=%zz'],
      ...['x-a', '1', 'accept', 'x\xe9', 'x-a', '2', 'te', 'trailers', 'cookie', 'a=1', 'cookie', 'b=2'],
      ...['__proto__', 'x'],
    ])
    expect([heard.status, heard.body]).toEqual([200, 'ok'])
  })

  it('sends nothing that is about another connection, whatever it is given', async () => {
    let seen: readonly string[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      seen = raw
      answer(stream)
    })
    const open = await openSession(port)
    const names = [
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
      'Transfer-Encoding',
      'Upgrade',
      'Host',
      'TE',
    ]
    const more = ['HTTP2-Settings', 'Expect', 'Content-Length']
    const headers = new HeaderList([...names, ...more].map(name => [name, 'x'] as const))
    await ask(open, { headers: headers.append('x-a', '1') }).over()
    expect(seen.slice(8)).toEqual(['x-a', '1'])
  })

  it('sends lists that came as several fields, also those that the platform takes for single ones', async () => {
    const seen: string[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      for (let at = 8; at < raw.length; at += 2) seen.push(`${raw[at]}=${raw[at + 1]}`)
      answer(stream)
    })
    const open = await openSession(port)
    const headers = new HeaderList([
      ['if-none-match', '"a"'],
      ['if-none-match', '"b"'],
      ['cookie', 'a'],
      ['cookie', 'b'],
    ])
    expect((await ask(open, { headers }).over()).status).toBe(200)
    expect([
      'if-none-match="a"|if-none-match="b"|cookie=a|cookie=b',
      'if-none-match="a", "b"|cookie=a; b',
    ]).toContain(seen.join('|'))
  })

  it('gives the response as it came: order, duplicates, informational ones ahead, trailers behind', async () => {
    const { port } = await startHttp2Origin(stream => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.additionalHeaders({ ':status': 102 })
      stream.respond(
        { ':status': 201, 'x-b': '1', 'set-cookie': ['a', 'b'], 'content-length': '5', 'x-a': '\xe9' },
        { waitForTrailers: true, sendDate: false } as never,
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': ['1', '2'], 'x-s': '3' }))
      stream.end('hello')
    })
    const heard = await ask(await openSession(port)).over()
    expect(heard.informations).toEqual([
      [103, [['link', '</a>']]],
      [102, []],
    ])
    expect(heard.status).toBe(201)
    expect(heard.fields.filter(([name]) => name !== 'date')).toEqual([
      ['x-b', '1'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
      ['content-length', '5'],
      ['x-a', '\xe9'],
    ])
    expect(heard.response?.body.length).toBe(5)
    expect(heard.body).toBe('hello')
    expect(heard.trailers).toEqual([
      ['x-t', '1'],
      ['x-t', '2'],
      ['x-s', '3'],
    ])
  })

  it.each([
    ['HEAD', 200, { 'content-length': '1000' }],
    ['GET', 204, {}],
    ['GET', 304, { 'content-length': '1000' }],
    ['GET', 200, { 'content-length': '0' }],
    ['GET', 200, {}],
  ])('knows that %s with %i has no body', async (method, status, fields) => {
    const { port } = await startHttp2Origin(stream => {
      stream.respond({ ':status': status, ...fields }, { endStream: true })
    })
    const open = await openSession(port)
    const heard = await ask(open, { method }).over()
    expect([heard.status, heard.response?.body.length, heard.body]).toEqual([status, 0, ''])
    await until(() => open.session.active === 0)
  })

  it.each<[string, Body, string]>([
    ['no body', Body.empty, '0'],
    ['text', Body.from('hell\xf6'), '6'],
    ['bytes', Body.from(Buffer.from('hello')), '5'],
    ['many bytes', Body.from(Buffer.alloc(300_000, 'x')), '300000'],
    [
      'chunks',
      Body.from(
        (async function* () {
          yield Buffer.from('hel')
          yield Buffer.from('lo')
        })(),
      ),
      'undefined',
    ],
  ])('sends %s with the right length', async (_name, body, length) => {
    let seen: Record<string, unknown> = {}
    let received = { body: '', ended: false }
    const { port } = await startHttp2Origin((stream, raw) => {
      const at = raw.indexOf('content-length')
      seen = { length: at < 0 ? 'undefined' : raw[at + 1], ended: stream.endAfterHeaders }
      received = collect(stream)
      stream.on('end', () => answer(stream))
    })
    const open = await openSession(port)
    const heard = await ask(open, { method: 'POST', body }).over()
    expect(heard.status).toBe(200)
    expect(seen).toEqual({ length, ended: length === '0' })
    expect(received.body.length).toBe(length === 'undefined' ? 5 : Number(length))
    await until(() => open.session.active === 0)
  })

  it('sends trailers that show only at the end of a body', async () => {
    let trailers: readonly string[] = []
    const { port } = await startHttp2Origin(stream => {
      stream.on('trailers', (_fields, _flags, raw: string[]) => {
        trailers = raw
      })
      collect(stream)
      stream.on('end', () => answer(stream))
    })
    const open = await openSession(port)
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await until(() => source.sink !== undefined)
    source.send('a')
    source.sink?.end(
      new HeaderList([
        ['X-T', '1'],
        ['x-t', '2'],
      ]),
    )
    await heard.over()
    expect(trailers).toEqual(['x-t', '1', 'x-t', '2'])
  })

  it('streams both ways at once, with the head of the response before the end of the request', async () => {
    const { port } = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const open = await openSession(port)
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await until(() => source.sink !== undefined && heard.status === 200)
    for (let count = 1; count <= 5; count++) {
      source.send(`${count}`)
      await until(() => heard.body.length === count)
    }
    expect(heard.body).toBe('12345')
    expect(heard.bodyEnded).toBe(false)
    source.sink?.end()
    expect((await heard.over()).bodyEnded).toBe(true)
    await until(() => open.session.active === 0)
  })

  it('asks its source to hold back when the upstream does not take a body, and its upstream when nobody reads', async () => {
    const streams: ServerHttp2Stream[] = []
    const { port } = await startHttp2Origin(stream => {
      streams.push(stream)
      stream.respond({ ':status': 200 })
      stream.pause()
    })
    const open = await openSession(port)
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) }, false)
    await until(() => source.sink !== undefined && heard.status === 200)
    let sent = 0
    while (!source.paused) {
      source.send(Buffer.alloc(16_384))
      sent += 16_384
      await turn()
    }
    expect(sent).toBeLessThan(1_000_000)
    const [stream] = streams
    stream?.resume()
    await until(() => !source.paused)
    source.sink?.end()

    let written = 0
    let isFull = false
    stream?.on('drain', () => {
      isFull = false
    })
    for (let quiet = 0; quiet < 100; quiet++) {
      while (!isFull) {
        quiet = 0
        isFull = !stream?.write(Buffer.alloc(16_384))
        written += 16_384
      }
      await turn()
    }
    expect(written).toBeLessThan(2_000_000)
    heard.read()
    stream?.end()
    await heard.over()
    expect(heard.body.length).toBe(written)
  })

  it('waits for 100 with the body, and sends none where the answer is no', async () => {
    const streams: ServerHttp2Stream[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      expect(raw[raw.indexOf('expect') + 1]).toBe('100-continue')
      streams.push(stream)
    })
    const open = await openSession(port)
    const asked = [1, 2, 3].map(() => new Pushed())
    const heard = asked.map(source =>
      ask(open, { method: 'POST', body: Body.of(source, 5), expectsContinue: true }),
    )
    await until(() => streams.length === 3)
    expect(asked.map(source => source.sink)).toEqual([undefined, undefined, undefined])
    const received = streams.map(collect)

    streams[0]?.additionalHeaders({ ':status': 100 })
    await until(() => asked[0]?.sink !== undefined)
    asked[0]?.send('hello')
    asked[0]?.sink?.end()
    await until(() => received[0]?.ended === true)
    answer(streams[0] as ServerHttp2Stream)
    expect((await heard[0]?.over())?.body).toBe('ok')
    expect(heard[0]?.informations).toEqual([])

    streams[1]?.respond({ ':status': 417 })
    streams[1]?.end('no')
    expect((await heard[1]?.over())?.body).toBe('no')
    await until(() => open.session.active === 1)
    expect(asked[1]?.sink).toBeUndefined()
    await until(() => received[1]?.code !== -1)
    expect(received[1]).toMatchObject({ body: '', code: 8 })

    // An answer that begins without asking, and is no refusal: whoever gives it may want the body, too.
    streams[2]?.respond({ ':status': 200 })
    await until(() => asked[2]?.sink !== undefined)
    asked[2]?.send('hello')
    asked[2]?.sink?.end()
    await until(() => received[2]?.body === 'hello')
    streams[2]?.end()
    await heard[2]?.over()
  })

  it('sends the body after a second if the upstream keeps silent about it', async () => {
    holdTime()
    const { port } = await startHttp2Origin(stream => {
      const received = collect(stream)
      stream.on('end', () => answer(stream, received.body))
    })
    const open = await openSession(port)
    const heard = ask(open, { method: 'POST', body: Body.from('hello'), expectsContinue: true })
    for (let turns = 0; turns < 20; turns++) await turn()
    vi.advanceTimersByTime(500)
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(heard.status).toBeUndefined()
    vi.advanceTimersByTime(1000)
    expect((await heard.over()).body).toBe('hello')
  })

  it('resets at once what is cancelled: before, inside and after the head, and what a body is cancelled of', async () => {
    const received: ReturnType<typeof collect>[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      received.push(collect(stream))
      if (raw[7] !== '/') stream.respond({ ':status': 200 })
    })
    const open = await openSession(port)
    const sources = [1, 2, 3].map(() => new Pushed())
    const targets = ['/', '/a', '/b']
    const heard = sources.map((source, at) =>
      ask(open, { method: 'POST', target: targets[at] ?? '', body: Body.of(source) }, false),
    )
    await until(() => heard[1]?.status === 200 && heard[2]?.status === 200)
    for (const source of sources) source.send('part')
    await until(() => received.every(one => one.body === 'part'))
    heard[0]?.exchange?.cancel()
    heard[1]?.exchange?.cancel()
    heard[2]?.response?.body.discard()
    await until(() => received.every(one => one.code >= 0))
    for (const one of received) expect(one).toMatchObject({ body: 'part', aborted: true, code: 8 })
    expect(sources.map(source => source.cancelled)).toEqual([true, true, true])
    expect(heard.map(one => one.code)).toEqual([undefined, undefined, undefined])
    await until(() => open.session.active === 0)
    // Once more does nothing.
    heard[0]?.exchange?.cancel()
    expect((await ask(open, { target: '/a' }, false)).code).toBeUndefined()
  })

  it('resets a request whose body breaks off, and says so where the response has not begun', async () => {
    const received: ReturnType<typeof collect>[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      received.push(collect(stream))
      if (raw[7] !== '/') stream.respond({ ':status': 200 })
    })
    const open = await openSession(port)
    const sources = [1, 2, 3, 4].map(() => new Pushed())
    const lengths = [undefined, undefined, 3, 10]
    const targets = ['/', '/a', '/', '/']
    const heard = sources.map((source, at) =>
      ask(open, { method: 'POST', target: targets[at] ?? '', body: Body.of(source, lengths[at]) }),
    )
    await until(() => sources.every(source => source.sink !== undefined) && heard[1]?.status === 200)
    sources[0]?.sink?.fail(new Error('broken'))
    sources[1]?.sink?.fail(new Error('broken'))
    sources[2]?.send('four')
    sources[3]?.send('four')
    sources[3]?.sink?.end()
    for (const one of heard) await one.over()
    expect(heard.map(one => one.code)).toEqual([
      'INTERNAL',
      'INTERNAL',
      'HTTP_BODY_INVALID',
      'HTTP_BODY_INVALID',
    ])
    expect(heard.map(one => one.error === undefined)).toEqual([false, true, false, false])
    await until(() => received.length === 4 && received.every(one => one.code === 8))
    const used = Body.of(new Pushed())
    used.discard()
    expect((await ask(open, { method: 'POST', body: used }).over()).code).toBe('HTTP_BODY_USED')
  })

  it('outlives sources, readers and observers that throw', async () => {
    const { port } = await startHttp2Origin(stream => {
      stream.additionalHeaders({ ':status': 103 })
      stream.resume()
      answer(stream)
    })
    const open = await openSession(port)
    const fault = (): never => {
      throw new Error('a fault')
    }
    const failures: unknown[] = []
    const observers = [
      { informed: fault, responded: () => undefined, failed: (error: unknown) => failures.push(error) },
      { informed: () => undefined, responded: fault, failed: (error: unknown) => failures.push(error) },
      { informed: fault, responded: () => undefined, failed: fault },
    ]
    for (const observer of observers) open.session.send(get(), observer)
    await until(() => open.session.active === 0)
    expect(failures).toMatchObject([{ code: 'INTERNAL' }])

    const told: unknown[] = []
    const readers: BodySink[] = [
      { data: fault, end: fault, fail: error => told.push(error) },
      { data: fault, end: fault, fail: fault },
      { data: () => undefined, end: fault, fail: error => told.push(error) },
    ]
    for (const reader of readers) {
      const heard = ask(open, {}, false)
      await until(() => heard.status === 200)
      heard.response?.body.pipe(reader)
      await until(() => open.session.active === 0)
    }
    expect(told).toMatchObject([{ code: 'INTERNAL' }])
    const heard = ask(open, {
      method: 'POST',
      body: Body.of({ start: fault, pause: fault, resume: fault, cancel: fault }),
    })
    expect((await heard.over()).code).toBe('INTERNAL')
    await until(() => open.session.active === 0)
    expect(logs.splice(0).map(line => line.msg)).toEqual([
      'an observer of a request failed',
      'an observer of a request failed',
      'the reader of a body failed when it was told of a failure',
      'the reader of a body failed at its end',
    ])
  })

  it('opens as many streams as the upstream takes, and no more', async () => {
    const streams: ServerHttp2Stream[] = []
    const { port } = await startHttp2Origin(stream => streams.push(stream), {
      settings: { maxConcurrentStreams: 3 },
    })
    const open = await openSession(port)
    expect(open.session.available).toBe(100)
    await until(() => open.session.available === 3)
    expect(open.changes).toBeGreaterThan(0)
    const heard = [1, 2, 3].map(() => ask(open))
    expect([open.session.available, open.session.active]).toEqual([0, 3])
    expect((await ask(open).over()).code).toBe('HTTP_UPSTREAM_REFUSED')
    await until(() => streams.length === 3)
    const before = open.changes
    answer(streams[1] as ServerHttp2Stream)
    await heard[1]?.over()
    await until(() => open.session.available === 1)
    expect(open.changes).toBeGreaterThan(before)
    expect(open.session.reused).toBe(true)
  })

  it('is closed when it is told so, after what is under way', async () => {
    const streams: ServerHttp2Stream[] = []
    const { port } = await startHttp2Origin(stream => streams.push(stream))
    const open = await openSession(port)
    const heard = ask(open)
    await until(() => streams.length === 1)
    open.session.close()
    expect(open.session.available).toBe(0)
    expect((await ask(open).over()).code).toBe('HTTP_UPSTREAM_REFUSED')
    answer(streams[0] as ServerHttp2Stream)
    expect((await heard.over()).body).toBe('ok')
    await until(() => open.closed === 1)
    open.session.close()
    open.session.destroy()
    expect(open.closed).toBe(1)
  })

  it('ends everything at once when it is destroyed', async () => {
    const received: ReturnType<typeof collect>[] = []
    const { port } = await startHttp2Origin((stream, raw) => {
      received.push(collect(stream))
      if (raw[7] === '/a') stream.respond({ ':status': 200 })
    })
    const open = await openSession(port)
    const before = ask(open)
    const after = ask(open, { target: '/a' })
    await until(() => after.status === 200)
    open.session.destroy()
    expect([before.code, after.code]).toEqual(['HTTP_UPSTREAM_CLOSED', 'HTTP_UPSTREAM_INCOMPLETE'])
    expect([open.closed, open.session.active, open.session.available]).toEqual([1, 0, 0])
    await until(() => received.every(one => one.code >= 0))
    expect((await ask(open).over()).code).toBe('HTTP_UPSTREAM_REFUSED')
  })

  it('goes to a new session after GOAWAY, and hears what was under way', async () => {
    const streams: ServerHttp2Stream[] = []
    const { port } = await startHttp2Origin(stream => streams.push(stream))
    const open = await openSession(port)
    const heard = ask(open)
    await until(() => streams.length === 1)
    streams[0]?.session?.goaway(0, 1)
    await until(() => open.session.available === 0)
    answer(streams[0] as ServerHttp2Stream)
    expect((await heard.over()).body).toBe('ok')
    await until(() => open.closed === 1)
  })

  it('speaks over TLS', async () => {
    const { port } = await startSecureHttp2Origin(stream => answer(stream, 'x'.repeat(1_000_000)))
    const connect = connectTls({ ca: testCertificate, serverName: 'localhost', alpn: ['h2'] })(connectTcp())
    const connected = await connect({ to: parseEndpoint(`127.0.0.1:${port}`, 'connect') })
    // What the upstream has sent with its part of the handshake is there already.
    for (let turns = 0; turns < 20; turns++) await turn()
    let closed = 0
    const session = new Http2UpstreamSession(connected, LIMITS, {
      changed: () => undefined,
      closed: () => {
        closed++
      },
    })
    const open = { session, changes: 0, closed: 0 }
    const heard = await ask(open).over()
    expect(heard.body.length).toBe(1_000_000)
    await until(() => session.active === 0)
    session.close()
    await until(() => closed === 1)
  })

  it('takes answers however many uploads were cancelled before', async () => {
    const { port } = await startHttp2Origin((stream, raw) => {
      if (raw[7] === '/ok') answer(stream)
      else stream.respond({ ':status': 200 })
      stream.pause()
    })
    const open = await openSession(port)
    const piece = Buffer.alloc(500_000)
    for (let count = 0; count < 60; count++) {
      const source = new Pushed()
      const heard = ask(open, { method: 'POST', body: Body.of(source) }, false)
      await until(() => heard.status === 200 && source.sink !== undefined)
      source.send(piece)
      heard.exchange?.cancel()
      await until(() => open.session.active === 0)
    }
    expect((await ask(open, { target: '/ok' }).over()).body).toBe('ok')
  })

  it('moves much in little memory, many at once', async () => {
    const { port } = await startHttp2Origin(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const open = await openSession(port)
    const heard = Array.from({ length: 20 }, () => {
      const chunks = async function* (): AsyncGenerator<Buffer> {
        for (let count = 0; count < 20; count++) yield Buffer.alloc(50_000, count)
      }
      return ask(open, { method: 'POST', body: Body.from(chunks()) })
    })
    for (const one of heard) expect((await one.over()).body.length).toBe(1_000_000)
    await until(() => open.session.active === 0)
  })
})
