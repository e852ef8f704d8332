// Who the client is: what strangers say about it is never handed on, over no version of HTTP, under no name; what trusted
// proxies say is, as far as they can have said it.
import { once } from 'node:events'
import { connect, type OutgoingHttpHeaders } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { type Layer, stack } from '../../src/core/index.ts'
import { type HttpRequest, type HttpResponse, serveHttp, trustForwarded } from '../../src/http/index.ts'
import { type Connection, IpAddress, listen } from '../../src/net/index.ts'
import { reverseProxy } from '../../src/proxy/index.ts'
import { acceptProxyHeader } from '../../src/proxy-protocol/index.ts'
import { exchange, startHttp, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { forwarded, identity, startProxy } from '../support/proxy.ts'
import { answering, OK, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'

captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

const get = (fields: string): string => `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`

/** Sends one request over HTTP/2, and waits for the answer. */
async function requestOverHttp2(port: number, fields: OutgoingHttpHeaders): Promise<number> {
  const client = connect(`http://127.0.0.1:${port}`)
  const stream = client.request({ ':path': '/', ':authority': 'a', ...fields })
  const [{ ':status': status }] = await once(stream, 'response')
  client.destroy()
  return status
}

describe('over HTTP/2', () => {
  it('takes off what strangers say about the client, and names with underscores', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const status = await requestOverHttp2(port, {
      'x-forwarded-for': ['10.0.0.1', '10.0.0.2'],
      'x-forwarded-proto': 'https',
      'x-forwarded-prefix': '/admin',
      'x-real-ip': '10.0.0.1',
      forwarded: 'for=10.0.0.1',
      via: '2 me',
      x_forwarded_for: '10.0.0.1',
      remote_user: 'admin',
      'x-other': 'is kept',
    })
    expect(status).toBe(200)
    expect(origin.received).toEqual([forwarded('GET', '/', { fields: 'x-other: is kept\r\n', version: '2' })])
  })
})

/** What an origin gets of a request with these fields, below a layer. */
async function handedOn(
  layer: Layer<HttpRequest, unknown, HttpResponse>,
  fields: string,
): Promise<string | undefined> {
  const origin = await startOrigin(answering(OK))
  const { port } = await startHttp(
    stack<HttpRequest, HttpResponse>().layer(layer).service(reverseProxy(origin.url)),
  )
  await exchange(port, get(fields))
  return origin.received[0]
}

const OWN = 'for=127.0.0.1;host="a";proto=http'

/** A request with these fields of identity. */
const carrying = (fields: string): string => `GET / HTTP/1.1\r\nhost: a\r\n${fields}\r\n`

describe('from a trusted proxy', () => {
  const trusting = trustForwarded({ trust: ['loopback'] })

  it('is extended', async () => {
    expect(
      await handedOn(
        trusting,
        'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nVia: 1.1 lb\r\n',
      ),
    ).toBe(
      carrying(
        'X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nx-forwarded-for: 10.0.0.1, 127.0.0.1\r\nvia: 1.1 lb, 1.1 sluice\r\n',
      ),
    )
    expect(await handedOn(trusting, 'Forwarded: for=10.0.0.1;proto=https\r\n')).toContain(
      `\r\nforwarded: for=10.0.0.1;proto=https, ${OWN}\r\n`,
    )
  })

  it.each([
    ['an address that is none', 'X-Forwarded-For: 10.0.0.1, x\r\n'],
    ['a quote that is left open', 'Forwarded: for="10.0.0.1\r\n'],
    ['fields that contradict each other', 'X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.2\r\n'],
    ['two schemes', 'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https, http\r\n'],
    ['two hosts', 'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: b\r\nX-Forwarded-Host: c\r\n'],
    ['a host that is none', 'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: b/c\r\n'],
    ['a scheme that is none', 'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: javascript\r\n'],
    ['a thousand hops', `X-Forwarded-For: ${'127.0.0.1, '.repeat(1000)}127.0.0.1\r\n`],
  ])('is replaced where it is not sound: %s', async (_name, fields) => {
    expect(await handedOn(trusting, fields)).toBe(forwarded('GET', '/'))
  })

  it('can not be taken off by Connection, which a stranger may have sent', async () => {
    const fields =
      'Connection: x-forwarded-for, x-forwarded-proto\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n'
    const received = await handedOn(trusting, fields)
    expect(received).toContain('\r\nx-forwarded-for: 10.0.0.1, 127.0.0.1\r\n')
    expect(received).toContain('\r\nX-Forwarded-Proto: https\r\n')
  })

  it('is not drawn into a quote that a stranger left open on a line before', async () => {
    const received = await handedOn(trusting, 'Forwarded: for="evil\r\nForwarded: for=10.0.0.1\r\n')
    expect(received).not.toContain('evil')
  })

  it('has no names with underscores', async () => {
    expect(await handedOn(trusting, 'X_Forwarded_For: 10.0.0.1\r\n')).not.toContain('10.0.0.1')
  })

  it("is of the kind that it writes, and what it hands on of the other is a stranger's", async () => {
    const chain = trustForwarded({ trust: ['loopback'], fields: 'x-forwarded' })
    expect(
      await handedOn(chain, 'X-Forwarded-For: 10.0.0.1\r\nForwarded: for=evil;host=evil\r\n'),
    ).not.toContain('evil')
    const standard = trustForwarded({ trust: ['loopback'], fields: 'forwarded' })
    expect(
      await handedOn(
        standard,
        'Forwarded: for=10.0.0.1\r\nX-Forwarded-For: evil\r\nX-Forwarded-Host: evil\r\n',
      ),
    ).not.toContain('evil')
  })
})

describe('with underscores allowed', () => {
  it('has none of the names that are about the client', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url, { unsafeUnderscores: true })
    await exchange(port, get('My_Field: 1\r\nX_Forwarded_For: 10.0.0.1\r\nX_Real-IP: 10.0.0.1\r\nA.B: 1\r\n'))
    expect(origin.received).toEqual([forwarded('GET', '/', { fields: 'My_Field: 1\r\n' })])
  })
})

describe('of a stranger, where others are trusted', () => {
  it('is replaced', async () => {
    const layer = trustForwarded({ trust: ['10.0.0.0/8'] })
    const fields = 'X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nForwarded: for=10.0.0.1\r\nVia: 1.1 lb\r\n'
    expect(await handedOn(layer, fields)).toBe(forwarded('GET', '/'))
  })
})

describe('fields that a layer sets', () => {
  const authenticated: Layer<HttpRequest, unknown, HttpResponse> = next => request => {
    request.headers.set('x-tenant', 'mine')
    request.headers.set('remote-user', 'me')
    return next(request as never)
  }

  it('are handed on in place of those of the client, whatever Connection says', async () => {
    expect(
      await handedOn(
        authenticated,
        'X-Tenant: yours\r\nx-tenant: yours\r\nRemote-User: admin\r\nX_Tenant: yours\r\nRemote_User: admin\r\nConnection: x-tenant, remote-user\r\n',
      ),
    ).toBe(carrying(`x-tenant: mine\r\nremote-user: me\r\n${identity()}`))
  })
})

describe('behind a PROXY header', () => {
  async function proxiedBy(
    trust: string[],
    bytes: string,
  ): Promise<{ received: readonly string[]; answer: string }> {
    const origin = await startOrigin(answering(OK))
    const listener = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .layer(acceptProxyHeader({ trust }))
        .service(serveHttp(reverseProxy(origin.url))),
    )
    const { address } = listener
    if (!(address instanceof IpAddress)) throw new Error('no port')
    // Who is not let in may be reset before it has connected.
    const { received: answer } = await exchange(address.port, bytes).catch(() => ({ received: '' }))
    await listener.close(0)
    return { received: origin.received, answer }
  }

  it('the client is who the header says, and not who the client says', async () => {
    const { received } = await proxiedBy(
      ['loopback'],
      `PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${get('X-Forwarded-For: 10.0.0.1\r\n')}`,
    )
    expect(received).toEqual([forwarded('GET', '/').replaceAll('127.0.0.1', '192.0.2.1')])
  })

  it.each([
    ['from a stranger', ['10.0.0.0/8'], `PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${get('')}`],
    ['that is broken', ['loopback'], `PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n${get('')}`],
    ['that comes twice', ['loopback'], `${'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'.repeat(2)}${get('')}`],
    ['without an end', ['loopback'], `PROXY TCP4 ${'1'.repeat(200)}${get('')}`],
  ])('nothing reaches the origin behind one %s', async (_name, trust, bytes) => {
    const { received, answer } = await proxiedBy(trust, bytes)
    expect(received).toEqual([])
    expect(answer).not.toContain(' 200 ')
  })
})
