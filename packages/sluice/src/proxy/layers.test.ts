// The layers of requests above the reverse proxy: what they decide reaches the upstream.
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../test/support/held-time.ts'
import { exchange, RawClient, startHttp } from '../../test/support/http.ts'
import { answering, OK, type OriginConnection, startOrigin } from '../../test/support/raw-origin.ts'
import { until } from '../../test/support/sockets.ts'
import { stack } from '../core/index.ts'
import {
  accessLog,
  bodyLimit,
  type HttpRequest,
  type HttpResponse,
  requestId,
  timeout,
} from '../http/index.ts'
import { reverseProxy } from './index.ts'

const logs = testsInHeldTime()

const requests = () => stack<HttpRequest, HttpResponse>()
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

describe('timeout above reverseProxy', () => {
  it('cancels the request to an upstream that does not answer', async () => {
    let upstream: OriginConnection | undefined
    const origin = await startOrigin(async connection => {
      await connection.request()
      upstream = connection
    })
    const { port } = await startHttp(requests().layer(timeout('2s')).service(reverseProxy(origin.url)))
    const client = await RawClient.connect(port)
    client.send(GET)
    await until(() => upstream !== undefined)
    expect(upstream?.over).toBe(false)
    vi.advanceTimersByTime(2500)
    await client.over()
    expect(client.received).toMatch(/504 Gateway Timeout: HTTP_REQUEST_TIMEOUT\n$/)
    await until(() => upstream?.over === true)
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT'])
  })

  it('cuts both sides in the middle of an answer', async () => {
    let upstream: OriginConnection | undefined
    const origin = await startOrigin(async connection => {
      await connection.request()
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome')
      upstream = connection
    })
    const { port } = await startHttp(requests().layer(timeout('2s')).service(reverseProxy(origin.url)))
    const client = await RawClient.connect(port)
    await client.send(GET).until(() => client.received.endsWith('some'))
    vi.advanceTimersByTime(2500)
    await client.over()
    await until(() => upstream?.over === true)
    expect(logs.map(line => line.code)).toEqual(['HTTP_REQUEST_TIMEOUT'])
  })
})

describe('bodyLimit above reverseProxy', () => {
  it('breaks the request to the upstream off when the body becomes too long', async () => {
    let upstream: OriginConnection | undefined
    const origin = await startOrigin(async connection => {
      upstream = connection
      await connection.until(() => connection.received.includes('hello'))
    })
    const { port } = await startHttp(requests().layer(bodyLimit(5)).service(reverseProxy(origin.url)))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await until(() => upstream?.received.includes('hello') === true)
    client.send('1\r\n!\r\n')
    await client.until(() => client.received.endsWith('413 Content Too Large: HTTP_BODY_TOO_LARGE\n'))
    await until(() => upstream?.over === true)
    expect(upstream?.received).not.toContain('0\r\n\r\n')
  })
})

describe('requestId above reverseProxy', () => {
  it('has one id for the client, the upstream and the log', async () => {
    const origin = await startOrigin(answering(OK))
    let log = ''
    const destination = { write: (lines: string) => (log += lines) }
    const { port } = await startHttp(
      requests()
        .layer(accessLog({ format: 'json', destination }))
        .layer(requestId())
        .service(reverseProxy(origin.url)),
    )
    const { received } = await exchange(port, GET.replace('Host', 'X-Request-Id: theirs\r\nHost'))
    await until(() => log !== '')
    const [, id] = /\r\nx-request-id: (.*)\r\n/.exec(received) ?? []
    expect(id).toMatch(/^[\w-]{16}$/)
    expect(origin.received[0]?.match(/x-request-id: .*/gi)).toEqual([`x-request-id: ${id}`])
    const line = JSON.parse(log)
    expect(line).toMatchObject({ requestId: id, upstream: origin.url, attempts: 1, status: 200 })
    const { connected, responded, answered, duration } = line
    const times = [connected, responded, answered, duration]
    expect(times).toEqual([...times].sort((one, other) => one - other))
  })
})

describe('the answer to a request whose upstream fails', () => {
  it('names the upstream in development only', async () => {
    const origin = await startOrigin(connection => connection.socket.end('nonsense\r\n\r\n'))
    const service = reverseProxy(origin.url)
    const plain = await startHttp(service)
    const open = await startHttp(service, { development: true })
    const { host } = new URL(origin.url)
    const first = await exchange(plain.port, GET)
    expect(first.received).toMatch(/502 Bad Gateway: HTTP_UPSTREAM_MALFORMED\n$/)
    expect(first.received).not.toContain(host)
    expect((await exchange(open.port, GET)).received).toContain(host)
  })
})
