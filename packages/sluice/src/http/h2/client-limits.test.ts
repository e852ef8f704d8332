import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { holdTime } from '../../../test/support/held-time.ts'
import {
  block,
  data,
  END_STREAM,
  GOAWAY,
  headers,
  PING,
  RST_STREAM,
} from '../../../test/support/http2-frames.ts'
import {
  ask,
  type FrameConnection,
  type OpenSession,
  openSession,
  Pushed,
  startFrameOrigin,
  stopHttp2,
} from '../../../test/support/http2-origin.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { Body } from '../index.ts'

const logs = captureLogs()
beforeEach(holdTime)
afterEach(async () => {
  vi.useRealTimers()
  await stopHttp2()
  await closeSockets()
  expect(logs.splice(0)).toEqual([])
})

const HEAD = headers(1, block([':status', '200']), 0)

/** Lets so many milliseconds pass, with turns of the event loop in between. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 500) {
    for (let turns = 0; turns < 10; turns++) await turn()
    vi.advanceTimersByTime(500)
  }
  for (let turns = 0; turns < 10; turns++) await turn()
}

async function connected(): Promise<[OpenSession, FrameConnection]> {
  const origin = await startFrameOrigin()
  const open = await openSession(origin.port)
  await until(() => origin.connections.length === 1 && open.changes > 0)
  return [open, origin.connections[0] as FrameConnection]
}

describe('the time that an upstream has', () => {
  it('to say that it speaks HTTP/2 is five seconds', async () => {
    const { port } = await startFrameOrigin(Buffer.alloc(0))
    const open = await openSession(port)
    const heard = ask(open)
    await pass(4500)
    expect(heard.code).toBeUndefined()
    await pass(1000)
    expect(heard.code).toBe('HTTP_UPSTREAM_PROTOCOL')
    expect([open.closed, open.session.active]).toEqual([1, 0])
  })

  it('for the head of its answer begins when the request has been sent', async () => {
    const [open, connection] = await connected()
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await connection.requests()
    await pass(100_000)
    expect(heard.code).toBeUndefined()
    source.sink?.end()
    await pass(59_000)
    expect(heard.code).toBeUndefined()
    await pass(2000)
    expect([heard.code, heard.error?.retry]).toEqual(['HTTP_UPSTREAM_TIMEOUT', 'idempotent'])
    expect(await connection.reset()).toBe('CANCEL')
    expect(open.closed).toBe(0)
  })

  it('for the body of its answer begins anew with each byte, while it is wanted', async () => {
    const [open, connection] = await connected()
    const heard = ask(open, {}, false)
    await connection.requests()
    connection.send(HEAD)
    await until(() => heard.status === 200)
    // Nobody reads yet.
    await pass(29_000)
    const read: string[] = []
    let code: unknown
    const source = heard.response?.body.pipe({
      data: chunk => read.push(chunk.toString()),
      end: () => undefined,
      fail: error => {
        code = (error as { code: string }).code
      },
    })
    await pass(29_000)
    connection.send(data(1, 'x'.repeat(7200)))
    await until(() => read.length === 1)
    await pass(29_000)
    expect(code).toBeUndefined()
    // The reader has enough for now.
    source?.pause()
    await pass(100_000)
    source?.resume()
    // An upstream may say little, for as long as it says something.
    for (let count = 0; count < 9; count++) {
      await pass(25_000)
      expect(code).toBeUndefined()
      connection.send(data(1, 'x'.repeat(10)))
      await until(() => read.length === count + 2)
    }
    await pass(31_000)
    expect(code).toBe('HTTP_UPSTREAM_BODY_TIMEOUT')
    expect(await connection.reset()).toBe('CANCEL')
    expect([open.closed, open.session.active]).toEqual([0, 0])
  })

  it.each([false, true])('to take a request is limited, also when it has answered: %s', async isAnswered => {
    const [open, connection] = await connected()
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await connection.requests()
    if (isAnswered) {
      connection.send(HEAD)
      await until(() => heard.status === 200)
    }
    while (!source.paused) source.send(Buffer.alloc(16_384))
    await pass(25_000)
    expect(heard.code).toBeUndefined()
    if (isAnswered) connection.send(data(1, 'x'.repeat(7200)))
    await pass(6000)
    expect(heard.code).toBe('HTTP_UPSTREAM_WRITE_TIMEOUT')
    expect(source.cancelled).toBe(true)
    expect(await connection.reset()).toBe('CANCEL')
    expect([open.closed, open.session.active]).toEqual([0, 0])
  })

  it('to take the rest of a request ends, too, when its answer is complete', async () => {
    const [open, connection] = await connected()
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    const whole = ask(open, { method: 'POST', body: Body.from(Buffer.alloc(65_536)) })
    await connection.requests(2)
    while (!source.paused) source.send(Buffer.alloc(16_384))
    connection.send(HEAD, data(1, 'done', END_STREAM), headers(3, block([':status', '200']), END_STREAM))
    await heard.over()
    await whole.over()
    await pass(25_000)
    expect(open.session.active).toBe(2)
    await pass(6000)
    expect(open.session.active).toBe(0)
    expect([await connection.reset(1), await connection.reset(3)]).toEqual(['CANCEL', 'CANCEL'])
    expect([heard.code, whole.code, source.cancelled]).toEqual([undefined, undefined, true])
  })

  it('to end an answer that has no body is limited', async () => {
    const [open, connection] = await connected()
    const heard = ask(open, { method: 'HEAD' })
    await connection.requests()
    connection.send(HEAD)
    await heard.over()
    await pass(31_000)
    expect(await connection.reset()).toBe('CANCEL')
    expect([heard.code, open.session.active]).toEqual([undefined, 0])
  })
})

describe('a session with an upstream that is silent', () => {
  it('sends a PING after 15 seconds, and goes on if it is answered', async () => {
    const [open, connection] = await connected()
    const heard = ask(open)
    await connection.requests()
    await pass(14_500)
    expect(connection.of(PING)).toEqual([])
    await pass(1000)
    await until(() => connection.of(PING).length === 1)
    await pass(13_500)
    expect(connection.of(PING).length).toBe(1)
    await pass(2500)
    await until(() => connection.of(PING).length === 2)
    connection.send(HEAD, data(1, 'ok', END_STREAM))
    expect((await heard.over()).body).toBe('ok')
    expect(open.closed).toBe(0)
  })

  it('is not ended if an answer comes in place of that of the PING', async () => {
    const [open, connection] = await connected()
    connection.answersPings = false
    const heard = ask(open)
    const other = ask(open)
    await connection.requests(2)
    await pass(15_500)
    await until(() => connection.of(PING).length === 1)
    connection.send(HEAD, data(1, 'ok', END_STREAM))
    await heard.over()
    await pass(11_000)
    expect([open.closed, other.code]).toEqual([0, undefined])
  })

  it('sends none while something comes, or nothing is under way', async () => {
    const [open, connection] = await connected()
    const heard = ask(open)
    await connection.requests()
    connection.send(HEAD)
    for (let count = 0; count < 5; count++) {
      await pass(10_000)
      connection.send(data(1, 'x'.repeat(2400)))
    }
    expect(connection.of(PING)).toEqual([])
    connection.send(data(1, '', END_STREAM))
    await heard.over()
    await pass(3000)
    expect(connection.of(PING)).toEqual([])
  })

  it('is ended if the PING is not answered within 10 seconds', async () => {
    const [open, connection] = await connected()
    connection.answersPings = false
    const heard = [1, 2].map(() => ask(open))
    await connection.requests(2)
    connection.send(HEAD)
    await pass(15_500)
    await until(() => connection.of(PING).length === 1)
    await pass(9000)
    expect(open.closed).toBe(0)
    await pass(1500)
    expect(heard.map(one => one.code)).toEqual(['HTTP_UPSTREAM_INCOMPLETE', 'HTTP_UPSTREAM_CLOSED'])
    expect([open.closed, open.session.active]).toEqual([1, 0])
    await until(() => connection.gone)
  })
})

describe('a session on which nothing is under way', () => {
  it('is closed after its time, and cut if the upstream does not close it', async () => {
    const [open, connection] = await connected()
    const heard = ask(open)
    await connection.requests()
    connection.send(HEAD, data(1, 'ok', END_STREAM))
    await heard.over()
    await until(() => open.session.active === 0)
    await pass(3000)
    expect(open.session.available).toBe(100)
    // Another request gives it a new time.
    ask(open).exchange?.cancel()
    await until(() => connection.of(RST_STREAM).length === 1 && open.session.active === 0)
    await pass(3500)
    expect(open.session.available).toBe(100)
    await pass(1000)
    expect(open.session.available).toBe(0)
    await until(() => connection.of(GOAWAY).length > 0 && connection.ended)
    expect(open.closed).toBe(0)
    await pass(6000)
    await until(() => open.closed === 1)
  })

  it('is closed after its time although it was never used', async () => {
    const [open, connection] = await connected()
    await pass(4500)
    await until(() => connection.ended)
    connection.socket.end()
    await until(() => open.closed === 1)
  })
})
