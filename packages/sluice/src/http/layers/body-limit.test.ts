import http2 from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { stack } from '../../core/index.ts'
import { type HttpRequest, type HttpResponse, respond, text } from '../index.ts'
import { bodyLimit } from './body-limit.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const asked: string[] = []
const counting = (limit: number) =>
  stack<HttpRequest, HttpResponse>()
    .layer(bodyLimit(limit))
    .tap(({ path }) => void asked.push(path))
    .service(async ({ body }) => text(`${(await body.bytes()).length} bytes`))

const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n\r\n${body}`
const chunked = (...chunks: string[]): string =>
  post(
    'Transfer-Encoding: chunked',
    [...chunks, ''].map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join(''),
  )

describe('bodyLimit', () => {
  it('lets bodies pass that are as long as may be', async () => {
    const { port } = await startHttp(counting(5))
    expect((await exchange(port, post('Content-Length: 5', 'hello'))).received).toMatch(/5 bytes$/)
    expect((await exchange(port, chunked('hel', 'lo'))).received).toMatch(/5 bytes$/)
    expect((await exchange(port, 'GET / HTTP/1.0\r\n\r\n')).received).toMatch(/0 bytes$/)
  })

  it('refuses what is announced to be longer at once, before its body and without asking the service', async () => {
    const { port } = await startHttp(counting(5))
    asked.length = 0
    const client = await RawClient.connect(port)
    client.send(post('Content-Length: 6\r\nExpect: 100-continue', ''))
    await client.until(() => client.received.endsWith('HTTP_BODY_TOO_LARGE\n'))
    expect(client.statuses).toEqual([413])
    expect(asked).toEqual([])
    expect(logs).toMatchObject([{ code: 'HTTP_BODY_TOO_LARGE', level: 'info' }])
  })

  it('counts a body without a length, and breaks it off', async () => {
    const { port } = await startHttp(counting(5))
    const { received } = await exchange(port, chunked('hel', 'lo', '!'))
    expect(received).toMatch(/^HTTP\/1\.1 413 Content Too Large\r\n/)
    expect(received).toMatch(/413 Content Too Large: HTTP_BODY_TOO_LARGE\n$/)
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_TOO_LARGE'])
  })

  it('cuts an answer that is made of a body which turns out too long', async () => {
    const { port } = await startHttp(
      stack<HttpRequest, HttpResponse>()
        .layer(bodyLimit(5))
        .service(({ body }) => respond(body)),
    )
    const client = await RawClient.connect(port)
    client.send(post('Transfer-Encoding: chunked', '5\r\nhello\r\n'))
    await client.until(() => client.received.endsWith('\r\n5\r\nhello\r\n'))
    await client.send('1\r\n!\r\n').over()
    expect(client.received).not.toContain('!')
    expect(client.received.endsWith('0\r\n\r\n')).toBe(false)
  })

  it('takes no body at all with 0', async () => {
    const { port } = await startHttp(counting(0))
    expect((await exchange(port, post('Content-Length: 1', 'a'))).statuses).toEqual([413])
    expect((await exchange(port, chunked('a'))).statuses).toEqual([413])
    expect((await exchange(port, chunked())).received).toMatch(/0 bytes$/)
  })

  it('counts over HTTP/2, too', async () => {
    const { port } = await startHttp(counting(5))
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const statusOf = async (body: string): Promise<number | undefined> => {
      const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
      stream.end(body)
      const status = new Promise<number | undefined>(resolve =>
        stream.once('response', headers => resolve(headers[':status'])),
      )
      stream.on('error', () => {})
      stream.resume()
      return status
    }
    expect(await statusOf('hello')).toBe(200)
    expect(await statusOf('hello!')).toBe(413)
    session.destroy()
  })

  it('refuses a limit that is none', () => {
    expect(() => bodyLimit('many' as '1kb')).toThrow(expect.objectContaining({ code: 'SIZE_INVALID' }))
  })
})
