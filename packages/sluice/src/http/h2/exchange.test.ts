import { once } from 'node:events'
import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  GET,
  headers,
  POST,
  rstStream,
  settings,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import type { RequestOutcome } from '../index.ts'
import { Body, empty, HeaderList, type HttpRequest, type HttpResponse, respond, text } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** A server whose requests are all observed. */
async function startObserved(
  service: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>,
  options: Parameters<typeof startHttp>[1] = {},
): Promise<{ port: number; outcomes: RequestOutcome[]; asked(): number }> {
  const outcomes: RequestOutcome[] = []
  let asked = 0
  const { port } = await startHttp(request => {
    asked++
    request.observe(outcome => outcomes.push(outcome))
    return service(request)
  }, options)
  return { port, outcomes, asked: () => asked }
}

/** A body of which so much comes, and then nothing. */
function unfinished(bytes: number): Body {
  return Body.of({
    start: sink => queueMicrotask(() => sink.data(Buffer.alloc(bytes))),
    pause: () => undefined,
    resume: () => undefined,
    cancel: () => undefined,
  })
}

const never = new Promise<never>(() => undefined)

describe('whoever observes an HTTP/2 request', () => {
  it.each<[string, (request: HttpRequest) => HttpResponse | Promise<HttpResponse>, number, number, number]>([
    ['text', () => text('hello'), 200, 0, 5],
    ['text beyond ASCII', () => text('hé'), 200, 0, 3],
    ['nothing', () => empty(), 204, 0, 0],
    ['an echo', ({ body }) => respond(body), 200, 7, 7],
    ['what it read', async ({ body }) => text(await body.text()), 200, 7, 7],
    ['more than a piece', () => respond(Buffer.alloc(200_000)), 200, 0, 200_000],
    ['a failure', () => Promise.reject(new Error('a fault')), 500, 0, 36],
  ])('hears of one that was answered with %s', async (_name, service, status, received, sent) => {
    const { port, outcomes } = await startObserved(service)
    const client = await FrameClient.connect(port, settings([1, 0], [4, 1_000_000]))
    const posts = received > 0
    client.send(
      windowUpdate(0, 1_000_000),
      headers(1, block(...(posts ? POST : GET)), posts ? 0 : END_STREAM),
    )
    if (posts) client.send(data(1, 'abc'), data(1, 'defg', END_STREAM))
    await client.until(() => client.isDone(1))
    await client.seen()
    expect(outcomes).toMatchObject([{ status, received, sent, error: undefined }])
    const [{ answered = Number.NaN, duration }] = outcomes as [RequestOutcome]
    expect(answered).toBeGreaterThanOrEqual(0)
    expect(duration).toBeGreaterThanOrEqual(answered)
  })

  it('hears of it when the answer is complete, though the client goes on with its request', async () => {
    const { port, outcomes } = await startObserved(() => text('enough'))
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...POST), 0), data(1, 'and so on'))
    await client.until(() => client.answer(1).ended)
    await client.seen()
    expect(outcomes).toMatchObject([{ status: 200, sent: 6, error: undefined }])
    client.send(data(1, 'at last', END_STREAM))
    await client.seen()
    expect(outcomes).toHaveLength(1)
  })

  it.each<[string, () => HttpResponse | Promise<HttpResponse>, number | undefined, number]>([
    ['before it is answered', () => never, undefined, 0],
    ['in the middle of the answer', () => respond(unfinished(1000)), 200, 1000],
    ['before it has taken the answer', () => text('x'.repeat(5000)), 200, 5000],
  ])('hears that the client reset it %s', async (_name, service, status, sent) => {
    const { port, outcomes, asked } = await startObserved(service)
    // With no window, so that no answer can be complete.
    const client = await FrameClient.connect(port, settings([1, 0], [4, 0]))
    client.send(headers(1, block(...GET)))
    if (status === undefined) await until(() => asked() === 1)
    else await client.until(() => client.answer(1).statuses.length === 1)
    client.send(rstStream(1))
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ status, received: 0, sent, error: 'DOWNSTREAM_RESET' }])
  })

  it.each<[string, string, (client: FrameClient) => unknown]>([
    ['resets the connection', 'DOWNSTREAM_CLOSED', client => client.raw.socket.resetAndDestroy()],
    ['breaks the protocol', 'HTTP2_PROTOCOL', client => client.send(windowUpdate(0, 0))],
  ])('hears that the client %s', async (_name, error, goes) => {
    const { port, outcomes } = await startObserved(({ path }) =>
      respond(path === '/' ? unfinished(10) : 'whole'),
    )
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)))
    await client.until(() => client.answer(1).body.length === 10)
    client.send(settings([4, 0]), headers(3, block(...fields(GET, { ':path': '/whole' }))))
    await client.until(() => client.answer(3).statuses.length === 1)
    goes(client)
    await until(() => outcomes.length === 2)
    expect(outcomes.map(outcome => outcome.sent).sort()).toEqual([10, 5])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 200, error })
  })

  it('hears that the request contradicts itself, which is logged once for a session', async () => {
    const { port, outcomes, asked } = await startObserved(() => never)
    const client = await FrameClient.connect(port)
    for (const stream of [1, 3]) {
      client.send(headers(stream, block(...POST, ['content-length', '5']), 0))
      await until(() => asked() === (stream + 1) / 2)
      client.send(data(stream, 'abc', END_STREAM))
      await client.until(() => client.isDone(stream))
    }
    expect(outcomes).toMatchObject([{ error: 'HTTP2_PROTOCOL' }, { error: 'HTTP2_PROTOCOL' }])
    expect(logs).toMatchObject([
      { code: 'HTTP2_PROTOCOL', msg: expect.stringContaining('stream 1 was reset') },
    ])
  })

  it('hears that the client has closed the connection in the middle of an answer', async () => {
    holdTime()
    let gone = false
    const { port, outcomes } = await startObserved(request => {
      request.whenGone(() => {
        gone = true
      })
      return respond(unfinished(10))
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)))
    await client.until(() => client.answer(1).body.length === 10)
    client.raw.socket.destroy()
    await until(() => gone)
    // It may be that only its side has ended, and then it gets the rest, for a while.
    expect(outcomes).toEqual([])
    vi.advanceTimersByTime(6000)
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ status: 200, sent: 10, error: 'DOWNSTREAM_CLOSED' }])
  })

  it('hears why an answer was cut, or a body refused', async () => {
    const { port, outcomes } = await startObserved(
      async ({ path, body }) => {
        if (path === '/short') return respond(Body.from('abc'), { headers: { 'content-length': '3' } })
        if (path === '/read') return text(await body.text())
        return respond(
          (async function* () {
            yield Buffer.from('hello')
            throw new Error('a fault')
          })(),
        )
      },
      { bodyLimit: 4 },
    )
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)))
    await client.until(() => client.isDone(1))
    client.send(headers(3, block(...fields(POST, { ':path': '/read' })), 0), data(3, 'hello', END_STREAM))
    await client.until(() => client.isDone(3))
    await client.seen()
    expect(outcomes).toMatchObject([
      { status: 200, sent: 5, error: 'INTERNAL' },
      { status: 413, received: 5, error: 'HTTP_BODY_TOO_LARGE' },
    ])
  })

  it('hears that the client took nothing for too long', async () => {
    holdTime()
    const { port, outcomes } = await startObserved(() => text('hello'))
    const client = await FrameClient.connect(port, settings([1, 0], [4, 0]))
    client.send(headers(1, block(...GET)))
    await client.until(() => client.answer(1).statuses.length === 1)
    await client.seen()
    vi.advanceTimersByTime(31_000)
    expect(outcomes).toMatchObject([{ status: 200, sent: 5, error: 'HTTP_WRITE_TIMEOUT' }])
    await client.until(() => client.isDone(1))
    expect(outcomes).toHaveLength(1)
  })

  it('hears of a tunnel when it is closed', async () => {
    const { port, outcomes } = await startObserved(() => ({
      ...empty(),
      status: 101,
      tunnel: ({ socket }) => socket.pipe(socket),
    }))
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'a']), 0))
    client.send(data(1, 'hello'))
    await client.until(() => client.answer(1).body === 'hello')
    expect(outcomes).toEqual([])
    client.send(data(1, '', END_STREAM))
    await until(() => outcomes.length === 1)
    expect(outcomes).toMatchObject([{ status: 101, error: undefined }])
  })
})

describe('an informational response over HTTP/2', () => {
  it('goes ahead of the answer, as often as it is sent', async () => {
    const { port } = await startHttp(request => {
      request.inform(
        103,
        new HeaderList([
          ['Link', '</a>'],
          ['link', '</b>'],
          ['Connection', 'close'],
        ]),
      )
      request.inform(102, new HeaderList())
      return text('hello')
    })
    const session = http2.connect(`http://127.0.0.1:${port}`)
    sessions.push(session)
    const stream = session.request({ ':path': '/' })
    const informed: IncomingHttpHeaders[] = []
    stream.on('headers', fields => informed.push(fields))
    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(answer[':status']).toBe(200)
    expect(informed.map(fields => ({ ...fields }))).toMatchObject([
      { ':status': 103, link: '</a>, </b>' },
      { ':status': 102 },
    ])
    expect(informed[0]?.connection).toBeUndefined()
  })

  it('is not sent once the answer has begun, nor when the client has gone', async () => {
    const requests: HttpRequest[] = []
    const { port } = await startHttp(request => {
      requests.push(request)
      return request.path === '/' ? respond(unfinished(5)) : never
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)), headers(3, block(...fields(GET, { ':path': '/wait' }))))
    await client.until(() => client.answer(1).body.length === 5)
    client.send(rstStream(3))
    await client.seen()
    for (let turns = 0; turns < 5; turns++) await turn()
    for (const request of requests) request.inform(103, new HeaderList())
    await client.seen()
    expect(client.answer(1).statuses).toEqual([200])
    expect(client.answer(3).statuses).toEqual([])
  })

  it.each([100, 101, 200, 99, 103.5])('is none with status %s', async status => {
    const { port } = await startHttp(request => {
      request.inform(status, new HeaderList())
      return text('hello')
    })
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...GET)))
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([500])
    expect(logs).toMatchObject([{ code: 'HTTP_RESPONSE_INVALID' }])
  })
})
