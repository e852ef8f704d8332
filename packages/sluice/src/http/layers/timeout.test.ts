// Time is in the hands of the tests: the sweep's timer and clock are replaced, sockets are real.
import http2 from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { exchange, RawClient, startHttp } from '../../../test/support/http.ts'
import { until } from '../../../test/support/sockets.ts'
import { isSluiceError, type Service, stack } from '../../core/index.ts'
import { Body, type BodySource, type HttpRequest, type HttpResponse, respond, text } from '../index.ts'
import { timeout } from './timeout.ts'

const logs = testsInHeldTime()

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Lets time pass, and then what came of it. */
async function pass(milliseconds: number): Promise<void> {
  vi.advanceTimersByTime(milliseconds)
  for (let turns = 0; turns < 10; turns++) await turn()
}

const limited = (service: Service<HttpRequest, HttpResponse>, limit: number = 2000) =>
  startHttp(stack<HttpRequest, HttpResponse>().layer(timeout(limit)).service(service))

/** A source that gives what it is told to, and tells what is asked of it. */
class ManualSource implements BodySource {
  sink: Parameters<BodySource['start']>[0] | undefined
  cancelled = 0
  start(sink: Parameters<BodySource['start']>[0]): void {
    this.sink = sink
  }
  pause(): void {}
  resume(): void {}
  cancel(): void {
    this.cancelled++
  }
}

describe('timeout', () => {
  it('answers 504 when there is no answer in time, not before it, and keeps the connection', async () => {
    const late = Promise.withResolvers<HttpResponse>()
    let first = true
    const { port } = await limited(() => {
      if (!first) return text('second')
      first = false
      return late.promise
    })
    const client = await RawClient.connect(port)
    client.send(GET)
    await until(() => !first)
    await pass(1999)
    expect(client.received).toBe('')
    await pass(501)
    await client.until(() => client.received.endsWith('504 Gateway Timeout: HTTP_REQUEST_TIMEOUT\n'))
    expect(logs.map(line => [line.level, line.code])).toEqual([['error', 'HTTP_REQUEST_TIMEOUT']])
    await client.send(GET).until(() => client.received.endsWith('second'))
    expect(client.statuses).toEqual([504, 200])
  })

  it('tells the service, by the signal and the callback, why', async () => {
    let request: HttpRequest | undefined
    let gone = 0
    const { port } = await limited(asked => {
      request = asked
      asked.whenGone(() => gone++)
      return new Promise(() => {})
    })
    const client = await RawClient.connect(port)
    client.send(GET)
    await until(() => request !== undefined)
    const signal = request?.signal
    expect(signal?.aborted).toBe(false)
    await pass(2500)
    await client.until(() => client.statuses.length === 1)
    expect(gone).toBe(1)
    expect(signal?.aborted).toBe(true)
    expect(isSluiceError(signal?.reason, 'HTTP_REQUEST_TIMEOUT')).toBe(true)
  })

  it('drops what the service answers or throws too late, and lets go of the body', async () => {
    const source = new ManualSource()
    const late = [Promise.withResolvers<HttpResponse>(), Promise.withResolvers<HttpResponse>()]
    let asked = 0
    const { port } = await limited(() => late[asked++]?.promise ?? text(''))
    const clients = [await RawClient.connect(port), await RawClient.connect(port)]
    for (const client of clients) client.send(GET)
    await until(() => asked === 2)
    await pass(2500)
    for (const client of clients) await client.until(() => client.statuses.length === 1)
    late[0]?.resolve(respond(Body.of(source)))
    late[1]?.reject(new Error('too late'))
    await until(() => source.cancelled === 1)
    await pass(0)
    expect(clients.map(client => client.statuses)).toEqual([[504], [504]])
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT', 'HTTP_REQUEST_TIMEOUT'])
  })

  it('cuts an answer whose body is still going, and cancels the body', async () => {
    const source = new ManualSource()
    let gone = 0
    const { port } = await limited(async request => {
      request.whenGone(() => gone++)
      return respond(Body.of(source))
    })
    const client = await RawClient.connect(port)
    client.send(GET)
    await until(() => source.sink !== undefined)
    source.sink?.data(Buffer.from('some'))
    await client.until(() => client.received.includes('some'))
    await pass(1500)
    source.sink?.data(Buffer.from('more'))
    await client.until(() => client.received.includes('more'))
    await pass(1000)
    await client.over()
    expect(client.received).not.toMatch(/0\r\n\r\n$/)
    expect(client.failed).toBe('ECONNRESET')
    expect(source.cancelled).toBe(1)
    expect(gone).toBe(1)
    expect(logs.map(line => [line.msg.split(':')[0], line.code])).toEqual([
      ['an answer was cut', 'HTTP_REQUEST_TIMEOUT'],
    ])
  })

  it('cuts a large answer in memory that the client does not take', async () => {
    let asked = false
    const { port, listener } = await limited(() => {
      asked = true
      return respond(Buffer.alloc(64 * 1024 * 1024))
    })
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(GET)
    await until(() => asked)
    await pass(2500)
    await until(() => listener.counts.serving === 0)
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT'])
  })

  it('ends the body of the request for a service that still reads it', async () => {
    let reading = false
    let failure: unknown
    const { port } = await limited(async ({ body }) => {
      reading = true
      try {
        await body.bytes()
      } catch (error) {
        failure = error
      }
      throw failure
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
    await until(() => reading)
    await pass(2500)
    await client.until(() => client.statuses.length === 1)
    expect(client.statuses).toEqual([504])
    expect(isSluiceError(failure, 'HTTP_REQUEST_TIMEOUT')).toBe(true)
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT'])
  })

  it('times an answer that is the body of the request', async () => {
    const { port } = await limited(({ body }) => respond(body))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
    await client.until(() => client.received.endsWith('hello'))
    await pass(2500)
    await client.over()
    expect(client.received).toMatch(/hello$/)
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT'])
  })

  it('leaves in peace what is complete in time, whatever comes later', async () => {
    const requests: HttpRequest[] = []
    const bodies = [new ManualSource()]
    const { port } = await limited(async request => {
      requests.push(request)
      if (request.path === '/throw') throw new Error('at once')
      if (request.path === '/read') return text(String((await request.body.bytes()).length))
      if (request.path === '/stream') return respond(Body.of(bodies[0] as ManualSource))
      return text('hi')
    })
    const client = await RawClient.connect(port)
    await client.send(GET).until(() => client.received.endsWith('hi'))
    await client
      .send('POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
      .until(() => client.received.endsWith('5'))
    client.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => bodies[0]?.sink !== undefined)
    bodies[0]?.sink?.end()
    await client.until(() => client.received.endsWith('0\r\n\r\n'))
    await client
      .send('GET /throw HTTP/1.1\r\nHost: a\r\n\r\n')
      .until(() => client.received.endsWith('INTERNAL\n'))
    await pass(10_000)
    expect(client.statuses).toEqual([200, 200, 200, 500])
    expect(requests.map(request => request.signal.aborted)).toEqual([false, false, false, false])
    expect(bodies[0]?.cancelled).toBe(0)
    expect(client.ended || client.failed !== undefined).toBe(false)
  })

  it('does not time tunnels', async () => {
    const { port } = await limited(async () => ({
      status: 101,
      headers: text('').headers,
      body: Body.empty,
      tunnel: ({ socket }) => void socket.on('data', chunk => socket.write(chunk)).resume(),
    }))
    const client = await RawClient.connect(port)
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
    await client.until(() => client.received.endsWith('\r\n\r\n'))
    await pass(60_000)
    await client.send('still here').until(() => client.received.endsWith('still here'))
  })

  it('cancels what a client has left, and forgets about it', async () => {
    const source = new ManualSource()
    const { port } = await limited(() => respond(Body.of(source)))
    const client = await RawClient.connect(port)
    client.send(GET)
    await until(() => source.sink !== undefined)
    client.socket.resetAndDestroy()
    await until(() => source.cancelled === 1)
    await pass(5000)
    expect(source.cancelled).toBe(1)
    expect(logs).toEqual([])
  })

  it('answers and cuts over HTTP/2', async () => {
    const source = new ManualSource()
    const { port } = await limited(({ path }) =>
      path === '/body' ? respond(Body.of(source)) : new Promise<HttpResponse>(() => {}),
    )
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const silent = session.request({ ':path': '/' })
    const cut = session.request({ ':path': '/body' })
    const status = new Promise(resolve => silent.once('response', headers => resolve(headers[':status'])))
    const failure = new Promise<Error>(resolve => cut.once('error', resolve))
    silent.resume()
    cut.resume()
    await until(() => source.sink !== undefined)
    await pass(2500)
    expect(await status).toBe(504)
    expect(await failure).toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' })
    expect(source.cancelled).toBe(1)
    session.destroy()
  })

  it('refuses a limit that is none', async () => {
    expect(() => timeout(0)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
    expect(() => timeout('soon' as '1s')).toThrow(expect.objectContaining({ code: 'DURATION_INVALID' }))
    const { port } = await limited(() => undefined as unknown as HttpResponse)
    expect((await exchange(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))).statuses).toEqual(
      [500],
    )
  })
})
