// Slow clients. Time is in the hands of the tests: the sweep's timer and clock are replaced, sockets are real.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { until } from '../../../test/support/sockets.ts'
import { type IpAddress, listen } from '../../net/index.ts'
import { Body, HeaderList, respond, serveHttp, text } from '../index.ts'

const logs = testsInHeldTime()

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** A body of which nothing comes. */
const silent = { start: () => {}, pause: () => {}, resume: () => {}, cancel: () => {} }

/** Lets time pass, and then what came of it. */
async function pass(seconds: number): Promise<void> {
  vi.advanceTimersByTime(seconds * 1000)
  for (let turns = 0; turns < 10; turns++) await turn()
}

describe('time limits of HTTP/1.1', () => {
  it('answers 408 when a head takes longer than 15 s from its first byte', async () => {
    const { port } = await startHttp(() => text('hi'))
    const client = await RawClient.connect(port)
    // A whole request first: the time counts from the first byte of each head.
    await client.send(GET).until(() => client.received.endsWith('hi'))
    await pass(60)
    await client.send(`${GET}G`).until(() => client.statuses.length === 2)
    for (let second = 0; second < 14; second++) {
      client.send('E')
      await pass(1)
    }
    expect(client.statuses).toEqual([200, 200])
    await pass(2)
    await client.over()
    expect(client.statuses).toEqual([200, 200, 408])
    expect(client.received).toMatch(/408 Request Timeout: HTTP_HEAD_TIMEOUT\n$/)
    expect(logs.map(line => line.code)).toEqual(['HTTP_HEAD_TIMEOUT'])
  })

  it('cuts a client off 5 s after it has ended its side, if it has no answer by then', async () => {
    const gone: string[] = []
    const { port, listener } = await startHttp(request => {
      request.whenGone(() => gone.push(request.path))
      return request.path === '/begun' ? respond(Body.of(silent)) : new Promise(() => undefined)
    })
    for (const path of ['/never', '/begun']) {
      const client = await RawClient.connect(port)
      client.send(GET.replace('/', path)).socket.end()
      await until(() => gone.at(-1) === path)
      await pass(4)
      expect(listener.counts.serving).toBe(1)
      await pass(2)
      await client.over()
      expect(client.failed).toBe('ECONNRESET')
      await until(() => listener.counts.serving === 0)
    }
    expect(logs).toEqual([])
  })

  it('closes an idle connection after 75 s, without a word', async () => {
    const { port } = await startHttp(() => text('hi'))
    const client = await RawClient.connect(port)
    await client.send(GET).until(() => client.received.endsWith('hi'))
    await pass(74)
    expect(client.ended).toBe(false)
    await pass(2)
    await client.over()
    expect(client.statuses).toEqual([200])
    expect(client.ended).toBe(true)
    expect(logs).toEqual([])
  })

  it.each(['http/1.1', 'h2'])(
    'closes an idle %s connection after 15 s, the first after a quiet time too',
    async alpn => {
      const serve = serveHttp(() => text('hi'))
      // As below TLS: nothing has to come before the version is known.
      const listener = await listen('127.0.0.1:0', {}, input =>
        serve(Object.assign(input, { tls: { alpn } })),
      )
      vi.advanceTimersByTime(20_000)
      const client = await RawClient.connect((listener.address as IpAddress).port)
      await until(() => listener.counts.serving === 1)
      await pass(14)
      expect(client.ended).toBe(false)
      await pass(2)
      await client.over()
      client.socket.destroy()
      await listener.close(0)
    },
  )

  it('lets a service take its time', async () => {
    const gate = Promise.withResolvers<void>()
    const { port } = await startHttp(async () => {
      await gate.promise
      return text('late')
    })
    const client = await RawClient.connect(port)
    client.send(GET)
    await pass(3600)
    gate.resolve()
    await client.until(() => client.received.endsWith('late'))
  })

  it('fails a body that stands still for 30 s while the service waits for it', async () => {
    const { port } = await startHttp(async request => text(await request.body.text()))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
    await pass(0)
    await pass(29)
    expect(client.received).toBe('')
    await pass(2)
    await client.over()
    expect(client.statuses).toEqual([408])
    expect(client.received).toContain('HTTP_BODY_TIMEOUT')
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_TIMEOUT'])
  })

  it('fails a body that comes more slowly than 240 bytes a second, and not one that comes faster', async () => {
    const { port } = await startHttp(async request => text(String((await request.body.bytes()).length)))
    const drip = async (size: number): Promise<RawClient> => {
      const client = await RawClient.connect(port)
      client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n')
      for (let sent = 0; sent < 30_000 && client.received === ''; sent += size) {
        client.send('x'.repeat(size))
        await pass(1)
      }
      await pass(0)
      return client
    }
    expect((await drip(100)).statuses).toEqual([408])
    expect((await drip(300)).statuses).toEqual([200])
  })

  it('does not count the time in which the service does not read', async () => {
    const gate = Promise.withResolvers<void>()
    const { port } = await startHttp(async request => {
      let body = ''
      for await (const chunk of request.body) {
        body += chunk
        await gate.promise
      }
      return text(body)
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\nhello')
    await pass(0)
    client.send('hello')
    await pass(0)
    client.send('hello')
    await pass(1000)
    expect(client.received).toBe('')
    gate.resolve()
    await client.until(() => client.received.endsWith('hellohellohello'))
  })

  it('resets a client that takes nothing of its answer for 30 s, and lets one go on that takes some', async () => {
    const { port, listener } = await startHttp(() => respond(Buffer.alloc(64 * 1024 * 1024)))
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(GET)
    await until(() => listener.counts.serving === 1)
    for (let count = 0; count < 20; count++) await pass(0)
    for (let count = 0; count < 3; count++) {
      await pass(25)
      client.socket.resume()
      const before = client.received.length
      await until(() => client.received.length > before + 8_000_000)
      client.socket.pause()
      for (let turns = 0; turns < 100; turns++) await turn()
    }
    expect(logs).toEqual([])
    await pass(31)
    await until(() => listener.counts.serving === 0)
    expect(logs.map(line => line.code)).toEqual(['HTTP_WRITE_TIMEOUT'])
  })

  it('lets a client go on that takes some of a chunk, though not all of it for long', async () => {
    const { port, listener } = await startHttp(() => ({
      status: 200,
      headers: new HeaderList(),
      body: Body.of({
        start: sink => queueMicrotask(() => sink.data(Buffer.alloc(48 * 1024 * 1024))),
        pause: () => undefined,
        resume: () => undefined,
        cancel: () => undefined,
      }),
    }))
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send(GET)
    await until(() => listener.counts.serving === 1)
    for (let count = 0; count < 20; count++) await pass(0)
    for (let count = 0; count < 3; count++) {
      await pass(25)
      client.socket.resume()
      const before = client.received.length
      await until(() => client.received.length > before + 8_000_000)
      client.socket.pause()
      for (let turns = 0; turns < 100; turns++) await turn()
    }
    expect(logs).toEqual([])
    await pass(31)
    await pass(31)
    await until(() => listener.counts.serving === 0)
    expect(logs.map(line => line.code)).toEqual(['HTTP_WRITE_TIMEOUT'])
  })

  it('waits 5 s for the client to read the last answer, then lets go', async () => {
    const { port, listener } = await startHttp(() => text('hi'))
    const client = await RawClient.connect(port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').over()
    await pass(4)
    expect(listener.counts.serving).toBe(1)
    await pass(2)
    await until(() => listener.counts.serving === 0)
  })

  it('gives up on a body that nobody reads any more after the answer', async () => {
    const { port, listener } = await startHttp(async request => {
      const chunks = request.body[Symbol.asyncIterator]()
      await chunks.next()
      return text('enough')
    })
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello')
    await client.until(() => client.received.endsWith('enough'))
    client.send('more')
    await pass(31)
    await pass(6)
    await until(() => listener.counts.serving === 0)
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_TIMEOUT'])
  })

  it('lets a client be silent for an hour while its answer is under way, and no longer', async () => {
    const { port, listener } = await startHttp(({ body }) => respond(body))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await client.until(() => client.received.endsWith('5\r\nhello\r\n'))
    await pass(3500)
    client.send('3\r\nyou\r\n')
    await client.until(() => client.received.endsWith('3\r\nyou\r\n'))
    await pass(3500)
    expect(logs).toEqual([])
    await pass(200)
    await client.over()
    client.socket.destroy()
    await until(() => listener.counts.serving === 0)
    expect(logs[0]).toMatchObject({ code: 'HTTP_BODY_TIMEOUT' })
  })
})

describe('a drain of HTTP/1.1', () => {
  const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'

  it('answers the next request of a client that was answered a moment ago, and says that it was the last', async () => {
    const { port, listener } = await startHttp(async ({ body }) => text(await body.text()))
    const client = await RawClient.connect(port)
    await client.send(POST).until(() => client.received.endsWith('hello'))
    listener.close()
    await pass(0.5)
    await client.send(POST).over()
    client.socket.end()
    expect(client.statuses).toEqual([200, 200])
    expect(client.received.toLowerCase().split('connection: close')).toHaveLength(2)
    await until(() => listener.counts.serving === 0)
  })

  it('answers the first request of a client that has just connected', async () => {
    const { port, listener } = await startHttp(async ({ body }) => text(await body.text()))
    const client = await RawClient.connect(port)
    await until(() => listener.counts.serving === 1)
    listener.close()
    await pass(0.5)
    await client.send(POST).over()
    client.socket.end()
    expect(client.statuses).toEqual([200])
    await until(() => listener.counts.serving === 0)
  })

  it('closes connections on which nothing comes within a second, and at once those that were idle for longer', async () => {
    const { port, listener } = await startHttp(() => text('hi'))
    const idle = await RawClient.connect(port)
    await idle.send(GET).until(() => idle.received.endsWith('hi'))
    await pass(2)
    const busy = await RawClient.connect(port)
    await busy.send(GET).until(() => busy.received.endsWith('hi'))
    const silent = await RawClient.connect(port)
    await until(() => listener.counts.serving === 3)
    listener.close()
    await idle.over()
    await pass(0.5)
    expect([busy.ended, silent.ended]).toEqual([false, false])
    await pass(1)
    await Promise.all([busy.over(), silent.over()])
    for (const { socket } of [idle, busy, silent]) socket.end()
    await until(() => listener.counts.serving === 0)
    expect(logs).toEqual([])
  })
})
