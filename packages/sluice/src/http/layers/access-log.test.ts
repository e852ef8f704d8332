import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, keep, until } from '../../../test/support/sockets.ts'
import { type Service, SluiceError, stack } from '../../core/index.ts'
import { type Connection, IpAddress, type Listener, listen } from '../../net/index.ts'
import { acceptProxyHeader } from '../../proxy-protocol/index.ts'
import { acceptTls, selfSigned } from '../../tls/index.ts'
import { empty, type HttpRequest, type HttpResponse, respond, serveHttp, text } from '../index.ts'
import { type AccessLogOptions, accessLog } from './access-log.ts'
import { requestId } from './request-id.ts'
import { timeout } from './timeout.ts'
import { trustForwarded } from './trust-forwarded.ts'

const logs = captureLogs('silent')
let listener: Listener | undefined
afterEach(async () => {
  vi.restoreAllMocks()
  await stopHttp()
  await listener?.close(0)
  listener = undefined
  await closeSockets()
  logs.length = 0
})

/** A destination that keeps its lines. */
class Lines {
  text = ''
  write(lines: string): void {
    this.text += lines
  }
  get all(): string[] {
    return this.text.split('\n').slice(0, -1)
  }
  async parsed(count = 1): Promise<Record<string, unknown>[]> {
    await until(() => this.all.length >= count)
    return this.all.map(line => JSON.parse(line))
  }
}

async function logged(
  bytes: string,
  options: AccessLogOptions = {},
  service: Service<HttpRequest, HttpResponse> = () => text('hello'),
): Promise<string> {
  const lines = new Lines()
  const { port } = await startHttp(
    stack<HttpRequest, HttpResponse>()
      .layer(accessLog({ format: 'json', ...options, destination: lines }))
      .service(service),
  )
  await exchange(port, bytes)
  await until(() => lines.text !== '')
  return lines.text
}

const request = (fields: readonly string[] = [], target = '/'): string =>
  [`GET ${target} HTTP/1.1`, 'Host: a.example', 'Connection: close', ...fields, '', ''].join('\r\n')

const NUMBER = expect.any(Number)

describe('accessLog in JSON', () => {
  it('tells of an exchange what is known of it', async () => {
    const line = await logged(request(['User-Agent: curl/8', 'Referer: https://b.example/'], '/path?query'))
    expect(line).toMatch(/^\{.*\}\n$/)
    expect(JSON.parse(line)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      client: '127.0.0.1',
      method: 'GET',
      host: 'a.example',
      target: '/path?query',
      version: '1.1',
      status: 200,
      received: 0,
      sent: 5,
      duration: NUMBER,
      answered: NUMBER,
      connection: expect.stringMatching(/^\d+$/),
      userAgent: 'curl/8',
      referer: 'https://b.example/',
    })
  })

  it('counts the bodies of both sides, and has times in their order', async () => {
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 7\r\n\r\n1234567'
    const line = JSON.parse(
      await logged(post, {}, async ({ body, notes }) => {
        if (notes !== undefined) {
          notes.upstream = 'http://127.0.0.1:3000'
          notes.attempts = 2
          notes.connected = notes.elapsed
          await turn()
          notes.responded = notes.elapsed
        }
        return text((await body.text()).repeat(2))
      }),
    )
    expect(line).toMatchObject({
      received: 7,
      sent: 14,
      upstream: 'http://127.0.0.1:3000',
      attempts: 2,
    })
    const { connected, responded, answered, duration } = line
    const times = [0, connected, responded, answered, duration]
    expect(times).toEqual([...times].sort((one, other) => one - other))
  })

  it('knows the id of the request, the client behind proxies, and the peer beside it', async () => {
    const lines = new Lines()
    const { port } = await startHttp(
      stack<HttpRequest, HttpResponse>()
        .layer(accessLog({ format: 'json', destination: lines }))
        .layer(requestId({ trust: ['loopback'] }))
        .layer(trustForwarded({ trust: ['loopback'] }))
        .service(() => empty()),
    )
    await exchange(port, request(['X-Request-Id: abc', 'X-Forwarded-For: 2001:db8::7']))
    await exchange(port, request(['X-Forwarded-For: unknown']))
    expect(await lines.parsed(2)).toMatchObject([
      {
        client: '2001:db8::7',
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        requestId: 'abc',
        status: 204,
        sent: 0,
      },
      { client: '-', peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
    ])
  })

  it('tells the requests of one connection apart, and its connections', async () => {
    const lines = new Lines()
    const { port } = await startHttp(
      stack<HttpRequest, HttpResponse>()
        .layer(accessLog({ format: 'json', destination: lines }))
        .layer(trustForwarded({ trust: ['loopback'] }))
        .service(({ target, notes }) => {
          if (notes !== undefined) notes.upstream = `http:/${target}`
          return empty()
        }),
    )
    const kept = (target: string, client: string): string =>
      request([`X-Forwarded-For: ${client}`], target).replace('Connection: close\r\n', '')
    await exchange(port, kept('/a', '192.0.2.1') + kept('/b', '192.0.2.2') + request([], '/a'))
    await exchange(port, request([], '/b'))
    const told = await lines.parsed(4)
    const seen = told.map(({ client, upstream }) => [client, upstream])
    expect(seen).toEqual([
      ['192.0.2.1', 'http://a'],
      ['192.0.2.2', 'http://b'],
      ['127.0.0.1', 'http://a'],
      ['127.0.0.1', 'http://b'],
    ])
    const [first, second, third, other] = told.map(line => `${line.connection} ${line.peer}`)
    expect([second, third]).toEqual([first, first])
    expect(other).not.toBe(first)
  })

  it('knows the source that a PROXY header names, and TLS', async () => {
    const lines = new Lines()
    listener = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .layer(acceptProxyHeader({ trust: ['loopback'] }))
        .layer(acceptTls({ certificate: selfSigned() }))
        .service(serveHttp(accessLog({ format: 'json', destination: lines })(() => text('hi')))),
    )
    const port = listener.address instanceof IpAddress ? listener.address.port : 0
    const { socket } = await RawClient.connect(port)
    socket.removeAllListeners('data')
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n')
    const secure = keep(connectTls({ socket, servername: 'localhost', rejectUnauthorized: false }))
    secure.write(request())
    secure.resume()
    expect(await lines.parsed()).toMatchObject([
      {
        client: '192.0.2.7',
        peer: expect.stringMatching(/^127\.0\.0\.1:/),
        tls: 'TLSv1.3',
        cipher: expect.stringMatching(/^TLS_/),
        serverName: 'localhost',
      },
    ])
  })

  it('tells what cut an exchange short, and what Sluice answered in place of a service', async () => {
    const failing = await logged(request(), {}, () => {
      throw new SluiceError('HTTP_UPSTREAM_TIMEOUT', 'too slow')
    })
    expect(JSON.parse(failing)).toMatchObject({ status: 504, error: 'HTTP_UPSTREAM_TIMEOUT' })
    const broken = await logged(request(), {}, () =>
      respond(
        (async function* () {
          yield Buffer.from('some')
          throw new Error('broken')
        })(),
      ),
    )
    expect(JSON.parse(broken)).toMatchObject({ status: 200, sent: 4, error: 'INTERNAL' })
  })

  it('has a line for a client that goes before there is an answer', async () => {
    let asked = false
    const lines = new Lines()
    const { port } = await startHttp(
      accessLog({ format: 'json', destination: lines })(() => {
        asked = true
        return new Promise<HttpResponse>(() => {})
      }),
    )
    const client = await RawClient.connect(port)
    client.send(request())
    await until(() => asked)
    client.socket.resetAndDestroy()
    const [line] = await lines.parsed()
    expect(line).toMatchObject({ error: 'DOWNSTREAM_CLOSED', received: 0, sent: 0, duration: NUMBER })
    expect(line).not.toHaveProperty('status')
    expect(line).not.toHaveProperty('answered')
  })
})

/** What would forge a line, end a string, command a terminal or turn text around; as bytes. */
const NASTY = `"\\' \t \xe2\x80\xae \x9b31m \xff {"a":1}`
const VISIBLE = /^[ -~]*\n$/

describe('what peers send', () => {
  it('stays one line of visible ASCII, in every format', async () => {
    for (const format of ['json', 'combined', 'pretty'] as const) {
      const line = await logged(
        request([`User-Agent: ${NASTY}`, `Referer: ${NASTY}`], `/${'%0a%1b'}"`.replace('"', '%22')),
        { format },
      )
      expect(line).toMatch(VISIBLE)
    }
  })

  it('means the same in JSON', async () => {
    const line = JSON.parse(await logged(request([`User-Agent: ${NASTY}`])))
    expect(line.userAgent).toBe(NASTY)
  })

  it('is escaped as nginx does in combined', async () => {
    const line = await logged(request(['User-Agent: a"b\\c\td\xe2\x80\xaee']), { format: 'combined' })
    expect(line).toMatch(/ "a\\x22b\\x5Cc\\x09d\\xE2\\x80\\xAEe"\n$/)
  })

  it('can not be anything else even where a service made the request up', async () => {
    const forged = `x\r\n{"time":"now"}\x1b[2J\u202e`
    for (const format of ['json', 'combined', 'pretty'] as const) {
      const lines = new Lines()
      const { port } = await startHttp(
        accessLog({ format, destination: lines })(input => {
          Object.assign(input, { target: forged, requestId: forged, authority: forged })
          const { notes } = input
          if (notes !== undefined)
            Object.assign(notes, { upstream: forged, error: format === 'pretty' ? undefined : forged })
          return text('hi')
        }),
      )
      await exchange(port, request())
      await until(() => lines.text !== '')
      expect(lines.text).toMatch(VISIBLE)
    }
  })
})

describe('accessLog in the combined format', () => {
  it('has exactly the columns of Apache', async () => {
    const line = await logged(
      request(['User-Agent: curl/8.1 (x)', 'Referer: https://b.example/?q'], '/a?b'),
      {
        format: 'combined',
      },
    )
    expect(line).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/a\?b HTTP\/1\.1" 200 5 "https:\/\/b\.example\/\?q" "curl\/8\.1 \(x\)"\n$/,
    )
  })

  it('has a dash for what is not there', async () => {
    const line = await logged(request(), { format: 'combined' }, () => empty(304))
    expect(line).toMatch(/^127\.0\.0\.1 - - \[.*\] "GET \/ HTTP\/1\.1" 304 - "-" "-"\n$/)
  })
})

describe('accessLog for people', () => {
  it('has time, method, target, status, duration and the code of what went wrong', async () => {
    expect(await logged(request([], '/a?b'), { format: 'pretty' })).toMatch(
      /^\d\d:\d\d:\d\d GET {2}\/a\?b 200 \d+\.\d ms\n$/,
    )
    const failing = (): never => {
      throw new SluiceError('HTTP_QUEUE_FULL', 'full')
    }
    expect(await logged(request(), { format: 'pretty' }, failing)).toMatch(
      / 503 \d+\.\d ms HTTP_QUEUE_FULL\n$/,
    )
  })

  it.each([
    [200, 32],
    [302, 36],
    [404, 33],
    [500, 31],
  ])('shows a %i in colour %i', async (status, colour) => {
    const line = await logged(request(), { format: 'pretty', colour: true }, () => empty(status))
    expect(line).toContain(`\x1b[${colour}m${status}\x1b[0m`)
  })
})

describe('accessLog', () => {
  it('logs a share of the exchanges, and those that failed in any case', async () => {
    const lines = new Lines()
    const { port } = await startHttp(
      accessLog({ format: 'json', destination: lines, sample: 0.25 })(({ path }) => {
        if (path === '/fail') throw new SluiceError('HTTP_QUEUE_FULL', 'full')
        return empty(Number(path.slice(1)))
      }),
    )
    const draws = [0, 0.25, 0.24, 0.99]
    vi.spyOn(Math, 'random').mockImplementation(() => draws.shift() ?? 0.5)
    for (const path of ['/200', '/201', '/404', '/202', '/fail', '/599'])
      await exchange(port, request([], path))
    const parsed = await lines.parsed(4)
    expect(parsed.map(line => line.status)).toEqual([200, 404, 503, 599])
  })

  it('serves on where the destination fails', async () => {
    const { port } = await startHttp(
      accessLog({
        destination: {
          write() {
            throw new Error('broken')
          },
        },
      })(() => text('hi')),
    )
    for (let count = 0; count < 3; count++) expect((await exchange(port, request())).received).toMatch(/hi$/)
  })

  it('sees the limits of time below it', async () => {
    const lines = new Lines()
    const { port } = await startHttp(
      stack<HttpRequest, HttpResponse>()
        .layer(accessLog({ format: 'json', destination: lines }))
        .layer(timeout('1ms'))
        .service(() => new Promise<HttpResponse>(() => {})),
    )
    await exchange(port, request())
    expect(await lines.parsed()).toMatchObject([{ status: 504, error: 'HTTP_REQUEST_TIMEOUT' }])
  })

  it('refuses options that there are not', () => {
    expect(() => accessLog({ format: 'xml' as 'json' })).toThrow(/format is "xml"/)
    expect(() => accessLog({ destination: 'file' as 'stdout' })).toThrow(/destination is "file"/)
    expect(() => accessLog({ sample: 2 })).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
    expect(() => accessLog({ sample: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    )
  })
})
