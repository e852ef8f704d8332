import http2 from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, startHttp, stopHttp } from '../../test/support/http.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { closeSockets } from '../../test/support/sockets.ts'
import { type Service, SluiceError } from '../core/index.ts'
import { type HttpRequest, type HttpResponse, type ServeHttpOptions, text } from './index.ts'

captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

const CODE = 'HTTP_UPSTREAM_TIMEOUT'

function failing(error: unknown = new SluiceError(CODE, 'shop-3 at 10.0.0.3:80 did not answer')) {
  return (): never => {
    throw error
  }
}

async function ask(
  service: Service<HttpRequest, HttpResponse>,
  { accept = '', method = 'GET', ...options }: ServeHttpOptions & { accept?: string; method?: string } = {},
): Promise<{ head: string; body: string }> {
  const { port } = await startHttp(service, options)
  const field = accept === '' ? '' : `Accept: ${accept}\r\n`
  const { received } = await exchange(
    port,
    `${method} / HTTP/1.1\r\nHost: a\r\n${field}Connection: close\r\n\r\n`,
  )
  const end = received.indexOf('\r\n\r\n')
  return { head: received.slice(0, end), body: received.slice(end + 4) }
}

/** As the `requestId` layer does. */
const identified =
  (service: Service<HttpRequest, HttpResponse>): Service<HttpRequest, HttpResponse> =>
  request =>
    service(Object.assign(request, { requestId: 'abc123', requestIdField: 'x-request-id' }))

describe('the answer to a request that failed', () => {
  it('is a line of text, with status, reason and code, for who asks for nothing special', async () => {
    const { head, body } = await ask(failing())
    expect(head).toMatch(/^HTTP\/1\.1 504 Gateway Timeout\r\n/)
    expect(head).toContain('content-type: text/plain; charset=utf-8')
    expect(head).toContain('cache-control: no-store')
    expect(body).toBe(`504 Gateway Timeout: ${CODE}\n`)
    expect((await ask(failing(new Error('secret')))).body).toBe('500 Internal Server Error: INTERNAL\n')
    expect((await ask(failing('no error at all'))).body).toBe('500 Internal Server Error: INTERNAL\n')
  })

  it('is a page for browsers', async () => {
    const { head, body } = await ask(failing(), { accept: 'text/html,application/xml;q=0.9,*/*;q=0.8' })
    expect(head).toContain('content-type: text/html; charset=utf-8')
    expect(head).toContain("content-security-policy: default-src 'none'; style-src 'unsafe-inline'")
    expect(body).toMatch(/^<!doctype html>/)
    expect(body).toContain('<h1>504 Gateway Timeout</h1>')
    expect(body).toContain(`<code>${CODE}</code>`)
    expect(body).not.toContain('shop-3')
  })

  it('is problem details (RFC 9457) for who wants JSON', async () => {
    for (const accept of ['application/json', 'application/problem+json']) {
      const { head, body } = await ask(failing(), { accept })
      expect(head).toContain('content-type: application/problem+json\r\n')
      expect(JSON.parse(body)).toEqual({
        type: 'about:blank',
        title: 'Gateway Timeout',
        status: 504,
        code: CODE,
      })
    }
  })

  it('is text for who takes nothing of it', async () => {
    expect((await ask(failing(), { accept: 'image/png' })).body).toBe(`504 Gateway Timeout: ${CODE}\n`)
  })

  it('has the id of the request, and the field for it', async () => {
    const service = identified(failing())
    const plain = await ask(service)
    expect(plain.head).toContain('\r\nx-request-id: abc123')
    expect(plain.body).toBe(`504 Gateway Timeout: ${CODE}\nrequest abc123\n`)
    expect((await ask(service, { accept: 'text/html' })).body).toContain('<code>request abc123</code>')
    expect(JSON.parse((await ask(service, { accept: 'application/json' })).body)).toMatchObject({
      requestId: 'abc123',
    })
  })

  it('has no body for HEAD', async () => {
    const { head, body } = await ask(failing(), { method: 'HEAD' })
    expect(head).toMatch(/^HTTP\/1\.1 504 /)
    expect(head).toContain(`content-length: ${`504 Gateway Timeout: ${CODE}\n`.length}`)
    expect(body).toBe('')
  })

  it('has the right form where a service answered with something that can not be sent', async () => {
    const { body } = await ask(() => ({ ...text('x'), status: 42 }), { accept: 'application/json' })
    expect(JSON.parse(body)).toMatchObject({ status: 500, code: 'HTTP_RESPONSE_INVALID' })
  })

  it('is the same over HTTP/2', async () => {
    const { port } = await startHttp(identified(failing()))
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/', accept: 'application/json' })
    let status: number | undefined
    stream.on('response', headers => {
      status = headers[':status']
    })
    let body = ''
    for await (const chunk of stream.setEncoding('utf8')) body += chunk
    session.close()
    expect(status).toBe(504)
    expect(JSON.parse(body)).toMatchObject({ code: CODE, requestId: 'abc123' })
  })
})

describe('serveHttp({ development: true })', () => {
  const cause = new Error('connect ECONNREFUSED 10.0.0.3:80 <script>', { cause: 'a "cause"\r\n\u202eevil' })
  const error = new SluiceError(CODE, 'shop-3 did not answer', { cause })

  it('shows the messages of the error and of its causes, escaped', async () => {
    const plain = await ask(failing(error), { development: true })
    expect(plain.body).toBe(
      `504 Gateway Timeout: ${CODE}\nshop-3 did not answer\nconnect ECONNREFUSED 10.0.0.3:80 <script>\na "cause"\\u000d\\u000a\\u202eevil\n`,
    )
    const page = await ask(failing(error), { development: true, accept: 'text/html' })
    expect(page.body).toContain('<p>connect ECONNREFUSED 10.0.0.3:80 &#60;script&#62;</p>')
    expect(page.body).toContain('<p>a &#34;cause&#34;\\u000d\\u000a\\u202eevil</p>')
    const json = await ask(failing(error), { development: true, accept: 'application/json' })
    expect(JSON.parse(json.body)).toMatchObject({
      detail: 'shop-3 did not answer',
      causes: ['connect ECONNREFUSED 10.0.0.3:80 <script>', 'a "cause"\\u000d\\u000a\\u202eevil'],
    })
  })

  it('outlives an error that is its own cause, and shows each address that was tried', async () => {
    const endless = new Error('endless')
    endless.cause = endless
    expect((await ask(failing(endless), { development: true })).body.split('\n').length).toBeLessThan(15)
    const several = new AggregateError([new Error('::1'), new Error('127.0.0.1')], 'all failed')
    expect((await ask(failing(several), { development: true })).body).toMatch(
      /all failed\n::1\n127\.0\.0\.1\n$/,
    )
  })

  it('is off unless it is exactly true', async () => {
    const development = 'yes' as unknown as boolean
    expect((await ask(failing(error), { development })).body).toBe(`504 Gateway Timeout: ${CODE}\n`)
  })
})
