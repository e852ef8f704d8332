import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import {
  block,
  data,
  END_STREAM,
  ERRORS,
  type Fields,
  frame,
  GOAWAY,
  HEADERS,
  headers,
  PING,
  PUSH_PROMISE,
  RST_STREAM,
  rstStream,
  SETTINGS,
  settings,
  uint32,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import {
  ask,
  type FrameConnection,
  type Heard,
  LIMITS,
  type OpenSession,
  openSession,
  Pushed,
  startFrameOrigin,
  stopHttp2,
} from '../../../test/support/http2-origin.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, startServer, until } from '../../../test/support/sockets.ts'
import { connectTcp, parseEndpoint } from '../../net/index.ts'
import { Body } from '../index.ts'
import { Http2UpstreamSession } from './client-session.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp2()
  await closeSockets()
  expect(logs.splice(0)).toEqual([])
})

const isBun = process.versions.bun !== undefined

const OK: Fields = [[':status', '200']]

function goaway(last: number, code: (typeof ERRORS)[number] = 'NO_ERROR'): Buffer {
  return frame(GOAWAY, 0, 0, Buffer.concat([uint32(last), uint32(ERRORS.indexOf(code))]))
}

function head(fields: Fields, flags: number = 0, stream: number = 1): Buffer {
  return headers(stream, block(...fields), flags)
}

async function connected(): Promise<[OpenSession, FrameConnection]> {
  const origin = await startFrameOrigin()
  const open = await openSession(origin.port)
  await until(() => origin.connections.length === 1)
  return [open, origin.connections[0] as FrameConnection]
}

/** What is heard of a request that is answered with these frames. */
async function answered(...frames: readonly Buffer[]): Promise<[Heard, OpenSession, FrameConnection]> {
  const [open, connection] = await connected()
  const heard = ask(open)
  await connection.requests()
  connection.send(...frames)
  await heard.over()
  return [heard, open, connection]
}

/** After whatever an upstream did, others are spoken to as before. */
async function worksElsewhere(): Promise<void> {
  const [heard] = await answered(head(OK), data(1, 'ok', END_STREAM))
  expect(heard.body).toBe('ok')
}

describe('an answer over HTTP/2', () => {
  it('may be trailers alone (gRPC)', async () => {
    const [heard] = await answered(head([...OK, ['grpc-status', '5']], END_STREAM))
    expect([heard.status, heard.fields, heard.bodyEnded, heard.trailers]).toEqual([
      200,
      [['grpc-status', '5']],
      true,
      undefined,
    ])
  })

  it.each([
    'with an empty name',
    'with a space in its name',
    'with a line end',
    'with a NUL',
    'with a control character',
  ])('hands no field on %s', async what => {
    const fields: Record<string, [string, string]> = {
      'with an empty name': ['', 'b'],
      'with a space in its name': ['a b', 'b'],
      'with a line end': ['a', 'b\r\nc: d'],
      'with a NUL': ['a', 'b\0'],
      'with a control character': ['a', 'b\x01'],
    }
    const [heard] = await answered(head([...OK, fields[what] ?? ['', ''], ['x', 'y']], END_STREAM))
    // nghttp2 takes such fields away, and does not tell.
    if (heard.code === undefined) expect(heard.fields).toEqual([['x', 'y']])
    else expect(heard.code).toBe('HTTP_UPSTREAM_MALFORMED')
    await worksElsewhere()
  })

  it('may have frames of any other kind around it', async () => {
    const origin = Buffer.concat([uint32(14).subarray(2), Buffer.from('https://a:8443')])
    const [heard, open] = await answered(
      frame(200, 0, 1, 'unknown'),
      frame(10, 0, 0, Buffer.concat([uint32(1).subarray(2), Buffer.from('ah2=":1"')])),
      frame(12, 0, 0, origin),
      frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 1])),
      head([[':status', '421']]),
      data(1, ''),
      data(1, 'ok', END_STREAM),
      data(1, 'more'),
    )
    expect([heard.status, heard.body]).toEqual([421, 'ok'])
    await until(() => open.session.active === 0)
  })

  it('is refused after 20 informational responses', async () => {
    const informations = Array.from({ length: 20 }, () => head([[':status', '103']]))
    const [heard] = await answered(...informations, head(OK), data(1, 'ok', END_STREAM))
    expect([heard.body, heard.informations.length]).toEqual(['ok', 20])
    const [flooded, , connection] = await answered(...informations, head([[':status', '100']]))
    expect(flooded.code).toBe('HTTP_UPSTREAM_MALFORMED')
    expect(await connection.reset()).toBe('CANCEL')
  })

  it('ends with its last byte, although the request goes on', async () => {
    const [open, connection] = await connected()
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await connection.requests()
    source.send('first')
    connection.send(head(OK), data(1, 'early', END_STREAM))
    await heard.over()
    expect(heard.body).toBe('early')
    source.send('second')
    source.sink?.end()
    await until(() => open.session.active === 0)
    expect(connection.of(RST_STREAM)).toEqual([])
    expect(source.cancelled).toBe(false)
  })

  it('that came early, with NO_ERROR behind it, cancels what is left of the request', async () => {
    for (const isRead of [true, false]) {
      const [open, connection] = await connected()
      const source = new Pushed()
      const heard = ask(open, { method: 'POST', body: Body.of(source) }, isRead)
      await connection.requests()
      // More than the window of the upstream has room for: these writes are never done.
      while (!source.paused) source.send(Buffer.alloc(16_384))
      await turn()
      connection.send(head(OK), data(1, 'early', END_STREAM), rstStream(1, 'NO_ERROR'))
      await until(() => heard.status === 200)
      for (let turns = 0; turns < 20; turns++) await turn()
      if (!isRead) heard.read()
      await heard.over()
      // Bun 1.4 throws away what was not read.
      if (isRead || !isBun) expect(heard.body).toBe('early')
      await until(() => open.session.active === 0 && source.cancelled)
      expect(connection.of(RST_STREAM)).toEqual([])
    }
  })
})

describe('a malformed answer over HTTP/2', () => {
  const long = 'x'.repeat(17_000)
  it.each<[string, Buffer[]]>([
    ['without a status', [head([['a', 'b']], END_STREAM)]],
    ['with a status that is no number', [head([[':status', 'abc']], END_STREAM)]],
    ['with a status of four digits', [head([[':status', '2000']], END_STREAM)]],
    ['with status 000', [head([[':status', '000']], END_STREAM)]],
    ['with status 099', [head([[':status', '099']], END_STREAM)]],
    ['with status 101', [head([[':status', '101']])]],
    ['with status 101 and an end', [head([[':status', '101']], END_STREAM)]],
    ['with status 600', [head([[':status', '600']], END_STREAM)]],
    ['with status 999', [head([[':status', '999']], END_STREAM)]],
    [
      'with two statuses',
      [
        head(
          [
            [':status', '200'],
            [':status', '200'],
          ],
          END_STREAM,
        ),
      ],
    ],
    [
      'with a status behind fields',
      [
        head(
          [
            ['a', 'b'],
            [':status', '200'],
          ],
          END_STREAM,
        ),
      ],
    ],
    ['with a pseudo-header field of a request', [head([...OK, [':path', '/']], END_STREAM)]],
    ['with an unknown pseudo-header field', [head([...OK, [':x', '/']], END_STREAM)]],
    ['with an informational response that ends it', [head([[':status', '103']], END_STREAM)]],
    ['with a name in upper case', [head([...OK, ['A', 'b']], END_STREAM)]],
    ['with connection', [head([...OK, ['connection', 'close']], END_STREAM)]],
    ['with keep-alive', [head([...OK, ['keep-alive', 'timeout=5']], END_STREAM)]],
    ['with proxy-connection', [head([...OK, ['proxy-connection', 'close']], END_STREAM)]],
    ['with transfer-encoding', [head([...OK, ['transfer-encoding', 'chunked']])]],
    ['with upgrade', [head([...OK, ['upgrade', 'h2c']], END_STREAM)]],
    [
      'with two equal lengths',
      [head([...OK, ['content-length', '2'], ['content-length', '2']]), data(1, 'ok', END_STREAM)],
    ],
    ['with a length that is none', [head([...OK, ['content-length', '0x2']]), data(1, 'ok', END_STREAM)]],
    ['with a negative length', [head([...OK, ['content-length', '-1']]), data(1, 'ok', END_STREAM)]],
    [
      'with a length of 2^53',
      [head([...OK, ['content-length', '9007199254740992']]), data(1, 'ok', END_STREAM)],
    ],
    ['with a length and no body', [head([...OK, ['content-length', '2']], END_STREAM)]],
    [
      'with too many fields',
      [head([...OK, ...Array.from({ length: 101 }, () => ['a', 'b'] as const)], END_STREAM)],
    ],
    [
      'with a head that is too long',
      [head([...OK, ['a', long.slice(0, 16_000)], ['b', long.slice(0, 300)]])],
    ],
  ])('%s is refused', async (name, frames) => {
    if (name === 'with a head that is too long') {
      const part = block(...OK, ['a', long], ['b', long])
      frames = [
        frame(HEADERS, END_STREAM, 1, part.subarray(0, 16_384)),
        frame(9, 0, 1, part.subarray(16_384, 32_768)),
        frame(9, 4, 1, part.subarray(32_768)),
      ]
    }
    const [heard, open] = await answered(...frames)
    expect([heard.code, heard.error?.retry]).toEqual(['HTTP_UPSTREAM_MALFORMED', 'never'])
    expect(heard.status).toBeUndefined()
    expect(heard.exchange?.begun).toBe(true)
    await until(() => open.session.active === 0)
    await worksElsewhere()
  })

  it.each<[string, Buffer[]]>([
    ['whose body is shorter than its length', [data(1, 'a', END_STREAM)]],
    ['whose body is longer than its length', [data(1, 'abc')]],
    ['with trailers that are forbidden', [data(1, 'ab'), head([['content-type', 'a']], END_STREAM)]],
    ['with trailers for a connection', [data(1, 'ab'), head([['connection', 'a']], END_STREAM)]],
    ['with a status in its trailers', [data(1, 'ab'), head(OK, END_STREAM)]],
    ['with trailers that are no end', [data(1, 'ab'), head([['a', 'b']])]],
    [
      'with too many trailers',
      [
        data(1, 'ab'),
        head(
          Array.from({ length: 101 }, () => ['a', 'b'] as const),
          END_STREAM,
        ),
      ],
    ],
  ])('%s is cut', async (_name, frames) => {
    const [heard, open] = await answered(head([...OK, ['content-length', '2']]), ...frames)
    expect(heard.status).toBe(200)
    expect(heard.code).toBe('HTTP_UPSTREAM_MALFORMED')
    expect(heard.bodyEnded).toBe(false)
    await until(() => open.session.active === 0)
    await worksElsewhere()
  })
})

describe('a stream that an upstream resets', () => {
  it.each<[(typeof ERRORS)[number], string, string]>([
    ['REFUSED_STREAM', 'HTTP_UPSTREAM_REFUSED', 'always'],
    ['HTTP_1_1_REQUIRED', 'HTTP_UPSTREAM_PROTOCOL', 'never'],
    ['NO_ERROR', 'HTTP_UPSTREAM_CLOSED', 'reused-connection'],
    ['INTERNAL_ERROR', 'HTTP_UPSTREAM_CLOSED', 'reused-connection'],
    ['CANCEL', 'HTTP_UPSTREAM_CLOSED', 'reused-connection'],
    ['CONNECT_ERROR', 'HTTP_UPSTREAM_CLOSED', 'reused-connection'],
    ['PROTOCOL_ERROR', 'HTTP_UPSTREAM_MALFORMED', 'never'],
    ['ENHANCE_YOUR_CALM', 'HTTP_UPSTREAM_MALFORMED', 'never'],
  ])('with %s before its answer fails with %s', async (name, code, retry) => {
    const [heard, open] = await answered(rstStream(1, name))
    expect([heard.code, heard.error?.retry]).toEqual([code, retry])
    if (name !== 'REFUSED_STREAM' && name !== 'HTTP_1_1_REQUIRED')
      expect(heard.error?.message).toContain(name)
    // On a connection that lives on, only what was not begun with is tried again.
    expect(heard.exchange?.begun).toBe(name !== 'REFUSED_STREAM')
    await until(() => open.session.active === 0)
    expect(open.session.available).toBe(100)
    expect(open.session.reused).toBe(false)
  })

  it.each(ERRORS)('with %s inside its answer cuts the body', async name => {
    for (const isRead of [true, false]) {
      const [open, connection] = await connected()
      const heard = ask(open, {}, isRead)
      await connection.requests()
      connection.send(head(OK), data(1, 'part'))
      await until(() => heard.status === 200)
      connection.send(rstStream(1, name))
      await until(() => open.session.active === 0 || !isRead)
      if (!isRead) heard.read()
      await heard.over()
      const code = name === 'PROTOCOL_ERROR' ? 'HTTP_UPSTREAM_MALFORMED' : 'HTTP_UPSTREAM_INCOMPLETE'
      expect([heard.code, heard.bodyEnded]).toEqual([code, false])
      await until(() => open.session.active === 0)
      expect(open.session.available).toBe(100)
    }
  })

  it.each<(typeof ERRORS)[number]>(['NO_ERROR', 'CANCEL'])(
    'with %s after its answer leaves the answer as it is',
    async name => {
      const [open, connection] = await connected()
      const heard = ask(open, {}, false)
      await connection.requests()
      connection.send(head(OK), data(1, 'x'.repeat(16_384)), data(1, 'end', END_STREAM), rstStream(1, name))
      await until(() => heard.status === 200)
      for (let turns = 0; turns < 20; turns++) await turn()
      heard.read()
      expect((await heard.over()).body.length).toBe(16_387)
    },
  )

  it('was never ended when it is cancelled: what is cut off must not pass for whole', async () => {
    const [open, connection] = await connected()
    const source = new Pushed()
    const heard = ask(open, { method: 'POST', body: Body.of(source) })
    await connection.requests()
    source.send('part')
    await until(() => connection.of(0).length === 1)
    heard.exchange?.cancel()
    expect(await connection.reset()).toBe('CANCEL')
    expect(connection.frames.filter(one => one.type <= HEADERS && (one.flags & END_STREAM) !== 0)).toEqual([])
    expect(source.cancelled).toBe(true)
  })
})

describe('a session that an upstream ends', () => {
  it('with GOAWAY goes on with what the upstream has begun with, and refuses the rest', async () => {
    const [open, connection] = await connected()
    const heard = [1, 2, 3].map(() => ask(open))
    await connection.requests(3)
    connection.send(goaway(3))
    await heard[2]?.over()
    expect([heard[2]?.code, heard[2]?.error?.retry, heard[2]?.exchange?.begun]).toEqual([
      'HTTP_UPSTREAM_REFUSED',
      'always',
      false,
    ])
    expect(open.session.available).toBe(0)
    connection.send(head(OK, 0, 1), data(1, 'one', END_STREAM), head(OK, 0, 3), data(3, 'two', END_STREAM))
    expect((await heard[0]?.over())?.body).toBe('one')
    expect((await heard[1]?.over())?.body).toBe('two')
    await until(() => connection.ended)
    connection.socket.end()
    await until(() => open.closed === 1)
  })

  it('with two GOAWAYs, as a drain in order is told', async () => {
    const [open, connection] = await connected()
    const heard = [1, 2].map(() => ask(open))
    await connection.requests(2)
    connection.send(goaway(2 ** 31 - 1))
    await until(() => open.session.available === 0)
    connection.send(goaway(1))
    expect((await heard[1]?.over())?.code).toBe('HTTP_UPSTREAM_REFUSED')
    connection.send(head(OK), data(1, 'one', END_STREAM))
    expect((await heard[0]?.over())?.body).toBe('one')
  })

  it('with an error fails all, each by what was heard of it', async () => {
    const [open, connection] = await connected()
    const heard = [1, 2, 3].map(() => ask(open))
    await connection.requests(3)
    connection.send(head(OK), data(1, 'part'))
    await until(() => heard[0]?.status === 200)
    connection.send(goaway(3, 'ENHANCE_YOUR_CALM'))
    for (const one of heard) await one.over()
    expect(heard.map(one => one.code)).toEqual([
      'HTTP_UPSTREAM_INCOMPLETE',
      'HTTP_UPSTREAM_CLOSED',
      'HTTP_UPSTREAM_REFUSED',
    ])
    expect(heard[1]?.error?.message).toContain('ENHANCE_YOUR_CALM')
    await until(() => open.closed === 1)
    expect([open.session.available, open.session.active]).toEqual([0, 0])
  })

  it.each(['an end', 'a reset'])('by %s of the connection fails what was not answered', async how => {
    const [open, connection] = await connected()
    const heard = [1, 2].map(() => ask(open))
    const unread = ask(open, {}, false)
    await connection.requests(3)
    connection.send(head(OK), data(1, 'part'), head(OK, 0, 5), data(5, 'all', END_STREAM))
    await until(() => heard[0]?.body === 'part' && unread.status === 200)
    for (let turns = 0; turns < 20; turns++) await turn()
    if (how === 'an end') connection.socket.end()
    else connection.socket.resetAndDestroy()
    for (const one of heard) await one.over()
    expect(heard.map(one => one.code)).toEqual(['HTTP_UPSTREAM_INCOMPLETE', 'HTTP_UPSTREAM_CLOSED'])
    expect(heard[1]?.exchange?.begun).toBe(false)
    // What had come in full is still there.
    unread.read()
    expect((await unread.over()).body).toBe('all')
    await until(() => open.closed === 1)
    expect(open.session.active).toBe(0)
  })

  it('before it began fails what is sent on it', async () => {
    const { port } = await startFrameOrigin()
    const connected = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${port}`, 'connect') })
    connected.reset()
    let closed = 0
    const owner = {
      changed: () => undefined,
      closed: () => {
        closed++
      },
    }
    const open: OpenSession = {
      session: new Http2UpstreamSession(connected, LIMITS, owner),
      changes: 0,
      closed: 0,
    }
    expect(closed).toBe(0)
    expect((await ask(open).over()).code).toMatch(/^HTTP_UPSTREAM_(?:CLOSED|REFUSED)$/)
    await until(() => closed === 1)
    expect([open.session.active, open.session.available]).toEqual([0, 0])
  })
})

describe('an upstream that does not speak HTTP/2', () => {
  it.each<[string, string | Buffer]>([
    ['speaks HTTP/1.1', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
    ['speaks TLS', Buffer.from([21, 3, 1, 0, 2, 2, 70])],
    ['speaks SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['answers without SETTINGS', Buffer.concat([frame(PING, 0, 0, '12345678'), head(OK, END_STREAM)])],
  ])('but %s', async (_name, bytes) => {
    const { address } = await startServer('tcp', socket => {
      socket.resume()
      socket.once('data', () => socket.end(bytes))
    })
    const open = await openSession('port' in address ? address.port : 0)
    const heard = await ask(open).over()
    expect([heard.code, heard.status]).toEqual(['HTTP_UPSTREAM_PROTOCOL', undefined])
    await until(() => open.closed === 1)
  })

  it('but closes the connection', async () => {
    const { address } = await startServer('tcp', socket => {
      socket.resume()
      socket.once('data', () => socket.end())
    })
    const open = await openSession('port' in address ? address.port : 0)
    const heard = await ask(open).over()
    expect(heard.code).toBe('HTTP_UPSTREAM_CLOSED')
    expect(heard.error?.message).toContain('before it had said that it speaks HTTP/2')
    await until(() => open.closed === 1)
  })
})

describe('an upstream that breaks the rules of HTTP/2', () => {
  const promise = Buffer.concat([
    uint32(2),
    block([':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'a']),
  ])
  it.each<[string, Buffer[]]>([
    ['with PUSH_PROMISE, which was ruled out', [frame(PUSH_PROMISE, 4, 1, promise)]],
    ['with HPACK that can not be decoded', [frame(HEADERS, 4, 1, Buffer.alloc(8, 255))]],
    ['with a frame that is too long', [frame(0, 0, 1, Buffer.alloc(16_385))]],
    ['with a window of more than 2^31', [windowUpdate(0, 2 ** 31 - 1)]],
    ['with a window of 0', [windowUpdate(0, 0)]],
    ['with SETTINGS that can not be', [settings([4, 2 ** 31])]],
    ['with SETTINGS on a stream', [frame(SETTINGS, 0, 1)]],
    ['with CONTINUATION of nothing', [frame(9, 4, 1, block(...OK))]],
    [
      'with a flood of CONTINUATION',
      [
        frame(HEADERS, 0, 1, block(...OK)),
        ...Array.from({ length: 3000 }, () => frame(9, 0, 1, block(['a', 'x'.repeat(50)]))),
      ],
    ],
    ['with a flood of SETTINGS', Array.from({ length: 101 }, () => settings())],
    ['with too many settings', [settings(...Array.from({ length: 40 }, () => [1, 0] as const))]],
  ])('%s fails all, and harms nobody else', async (_name, frames) => {
    const [open, connection] = await connected()
    const before = ask(open)
    const after = ask(open)
    await connection.requests(2)
    connection.send(head(OK, 0, 3), data(3, 'part'))
    await until(() => after.body === 'part')
    connection.send(...frames)
    await before.over()
    await after.over()
    expect([before.code, after.code]).toEqual(['HTTP_UPSTREAM_MALFORMED', 'HTTP_UPSTREAM_MALFORMED'])
    await until(() => open.closed === 1)
    expect(open.session.active).toBe(0)
    await until(() => connection.gone)
    await worksElsewhere()
  })

  it('on a session where nothing is under way ends it without a word', async () => {
    const [open, connection] = await connected()
    await until(() => open.changes > 0)
    connection.send(frame(SETTINGS, 0, 1))
    await until(() => open.closed === 1)
  })

  it('with pings gets them answered', async () => {
    const [open, connection] = await connected()
    connection.send(...Array.from({ length: 100 }, () => frame(PING, 0, 0, '12345678')))
    await until(() => connection.of(PING).length === 100)
    expect(open.closed).toBe(0)
  })
})
