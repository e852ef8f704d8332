import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, stopHttp } from '../../test/support/http.ts'
import { block, FrameClient, fields, GET, headers } from '../../test/support/http2-frames.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { forwarded, startProxy } from '../../test/support/proxy.ts'
import { answering, OK, type OriginConnection, startOrigin } from '../../test/support/raw-origin.ts'
import { closeSockets, until } from '../../test/support/sockets.ts'
import { reverseProxy } from './index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`

describe('reverseProxy', () => {
  it('hands a request on as it came, with who the client is, and the answer back', async () => {
    const origin = await startOrigin(
      answering(
        'HTTP/1.1 201 Made\r\nX-A: 1\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\nhi',
      ),
    )
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(get('/a%2Fb/../c;d?e=%zz', 'X-B:  1 \r\nx-c: \xe9\r\nConnection: close\r\n'))
    await client.over()
    expect(origin.received).toEqual([
      forwarded('GET', '/a%2Fb/../c;d?e=%zz', { fields: 'X-B:  1\r\nx-c: \xe9\r\n' }),
    ])
    expect(client.received).toMatch(
      /^HTTP\/1\.1 201 Created\r\nX-A: 1\r\nset-cookie: a\r\nset-cookie: b\r\ndate: [^\r]+\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi$/,
    )
  })

  it('uses a connection again, the one that was used last', async () => {
    const origin = await startOrigin(async connection => {
      await connection.request()
      await origin.connected(3)
      await connection.send(OK)
      await answering(OK)(connection)
    })
    const { port } = await startProxy(origin.url)
    const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(port)))
    for (const client of clients) client.send(get('/'))
    for (const client of clients) await client.until(() => client.received.endsWith('ok'))
    expect(origin.connections).toHaveLength(3)
    for (let round = 2; round < 5; round++) {
      for (const client of clients) {
        client.send(get('/'))
        await client.until(() => client.statuses.length === round)
      }
    }
    expect(origin.connections).toHaveLength(3)
    const counts = origin.received.map(text => text.split('GET').length - 1)
    expect(counts.sort()).toEqual([1, 1, 10])
  })

  it('asks upstreams in turn, and passes over one that can not be connected to', async () => {
    const origins = await Promise.all(['one', 'two'].map(name => startOrigin(answering(named(name)))))
    const urls = origins.map(origin => origin.url)
    const { port } = await startProxy([urls[0] ?? '', 'http://127.0.0.1:1', urls[1] ?? ''])
    const client = await RawClient.connect(port)
    for (let count = 1; count <= 6; count++) {
      client.send(get('/'))
      await client.until(() => client.statuses.length === count)
    }
    expect(client.received.match(/one|two/g)).toEqual(['one', 'two', 'two', 'one', 'two', 'two'])
  })

  it('tells the upstream its own Host, if it is asked to', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url, { host: 'upstream' })
    await exchange(port, get('/', 'Connection: close\r\n'))
    expect(origin.received[0]).toContain(`host: 127.0.0.1:${origin.port}\r\n`)
    expect(origin.received[0]).toContain('x-forwarded-host: a\r\n')
  })

  it('streams bodies of any framing both ways, with trailers', async () => {
    const origin = await startOrigin(async connection => {
      await connection.request()
      await connection.send(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n',
        '5\r\nhello\r\n',
        '0\r\nX-Sum: 1\r\n\r\n',
      )
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 2\r\n\r\n',
    )
    await client.until(() => client.received.endsWith('0\r\nX-Sum: 1\r\n\r\n'))
    expect(origin.received).toEqual([
      forwarded('POST', '/', {
        framing: 'transfer-encoding: chunked\r\n',
        body: '3\r\nabc\r\n0\r\nX-T: 2\r\n\r\n',
      }),
    ])
    expect(client.received).toContain('\r\n\r\n5\r\nhello\r\n0\r\n')
  })

  it('gives a body that ends with the connection an end of its own', async () => {
    const origin = await startOrigin(async connection => {
      await connection.request()
      await connection.send('HTTP/1.0 200 OK\r\n\r\n', 'all ', 'of it')
      connection.end()
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(get('/'))
    await client.until(() => client.received.endsWith('0\r\n\r\n'))
    expect(client.received).toContain('transfer-encoding: chunked')
    client.send(get('/'))
    await client.until(() => client.statuses.length === 2)
    expect(origin.connections).toHaveLength(2)
  })

  it('hands 103 Early Hints on, and 100 Continue from end to end', async () => {
    const asked = Promise.withResolvers<OriginConnection>()
    const origin = await startOrigin(async connection => {
      const head = await connection.head()
      expect(head).toContain('expect: 100-continue\r\n')
      asked.resolve(connection)
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
    const connection = await asked.promise
    expect(client.received).toBe('')
    await connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nx: 1\r\n\r\n')
    await client.until(() => client.received === 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    await connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    await client.until(() => client.received.endsWith('HTTP/1.1 100 Continue\r\n\r\n'))
    client.send('hello')
    await connection.until(() => connection.received.endsWith('\r\n\r\nhello'))
    await connection.send(OK)
    await client.until(() => client.received.endsWith('ok'))
    expect(client.statuses).toEqual([103, 100, 200])
  })

  it('asks for no body that the upstream does not want', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
        '2\r\nok\r\n',
        '0\r\n\r\n',
      )
    })
    const { port } = await startProxy(origin.url)
    const client = await exchange(
      port,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
    )
    expect(client.statuses).toEqual([200])
    expect(client.received).toContain('connection: close')
    expect(origin.received[0]).toMatch(/expect: 100-continue\r\n\r\n$/)
  })

  it('hands an early answer on while the body still comes, and closes the connection to the upstream', async () => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send('HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno')
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc')
    await client.until(() => client.received.endsWith('no'))
    expect(client.statuses).toEqual([413])
    await until(() => origin.connections[0]?.over === true)
  })

  it('tunnels after 101, both ways and to each end', async () => {
    const origin = await startOrigin(async connection => {
      const head = await connection.head()
      expect(head).toContain('connection: upgrade\r\nupgrade: websocket\r\n')
      await connection.send(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nX-A: 1\r\n\r\nfirst',
      )
      await connection.until(() => connection.rest === 'earlylater')
      await connection.send('answer')
      connection.end()
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(get('/', 'Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n'))
    client.send('early')
    await client.until(() => client.received.endsWith('first'))
    expect(client.received).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nX-A: 1\r\ndate: [^\r]*\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst$/,
    )
    client.send('later')
    await client.until(() => client.received.endsWith('answer') && client.ended)
    client.socket.end()
    await until(() => origin.connections[0]?.ended === true)
  })

  it('leaves HTTP as it was when an Upgrade is answered with 200', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(get('/', 'Upgrade: websocket\r\nConnection: Upgrade\r\n') + get('/2'))
    await client.until(() => client.statuses.length === 2)
    expect(client.statuses).toEqual([200, 200])
    expect(origin.received.join('')).toContain('GET /2 HTTP/1.1\r\n')
  })

  it.each(['h2c', 'h2', 'TLS/1.0', 'HTTP/2.0'])('does not hand on an upgrade to %s', async protocol => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(
      get('/', `Upgrade: ${protocol}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n`),
    )
    await client.until(() => client.received.endsWith('ok'))
    expect(origin.received).toEqual([forwarded('GET', '/')])
  })

  it.each(['h2c', 'tls/1.0'])('asks no upstream when HTTP/2 is to change to %s', async protocol => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...fields(GET, { ':method': 'CONNECT' }), [':protocol', protocol]), 0))
    await client.until(() => client.answer(1).ended)
    expect(client.answer(1).statuses).toEqual([501])
    expect(origin.connections).toEqual([])
    expect(logs).toMatchObject([{ code: 'HTTP_UPGRADE_REFUSED' }])
  })

  it.each([
    ['OPTIONS', 'Max-Forwards: 3\r\n', 'max-forwards: 2\r\n'],
    ['TRACE', 'max-forwards: 1\r\n', 'max-forwards: 0\r\n'],
    ['OPTIONS', 'max-forwards: many\r\n', 'max-forwards: many\r\n'],
    ['GET', 'max-forwards: 0\r\n', 'max-forwards: 0\r\n'],
  ])('counts down how far %s may go: %s', async (method, field, handedOn) => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\n${field}\r\n`)
    await client.until(() => client.received.endsWith('ok'))
    expect(origin.received.join('')).toContain(handedOn)
  })

  it.each([
    ['OPTIONS', 204],
    ['TRACE', 501],
  ])('answers %s itself where it may go no further', async (method, status) => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n`)
    await client.until(() => client.statuses.length === 1)
    expect(client.statuses).toEqual([status])
    expect(origin.connections).toEqual([])
  })

  it('cancels the request at the upstream when the client goes', async () => {
    const origin = await startOrigin([
      async connection => {
        await connection.head()
        await connection.gone()
      },
      async connection => {
        await connection.head()
        await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
        await connection.gone()
      },
    ])
    const { port } = await startProxy(origin.url)
    const first = await RawClient.connect(port)
    first.send(get('/'))
    await until(() => origin.received[0]?.endsWith('\r\n\r\n') === true)
    first.socket.resetAndDestroy()
    await until(() => origin.connections[0]?.failed === 'ECONNRESET')
    const second = await RawClient.connect(port)
    await second.send(get('/')).until(() => second.received.endsWith('half'))
    second.socket.resetAndDestroy()
    await until(() => origin.connections[1]?.failed === 'ECONNRESET')
  })

  it.each([
    ['ends', (connection: OriginConnection) => connection.end()],
    ['resets', (connection: OriginConnection) => connection.reset()],
  ])('cuts the client off when the upstream %s inside a body', async (_how, leave) => {
    const origin = await startOrigin(async connection => {
      await connection.head()
      await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      await connection.until(() => connection.rest === 'go')
      leave(connection)
    })
    const { port } = await startProxy(origin.url)
    const client = await RawClient.connect(port)
    await client.send(get('/')).until(() => client.received.endsWith('half'))
    origin.connections[0]?.socket.emit('data', Buffer.from('go'))
    await client.over()
    expect(client.failed).toBe('ECONNRESET')
    expect(logs.map(line => line.code)).toEqual(['HTTP_UPSTREAM_INCOMPLETE'])
  })

  it('says which upstream failed in the log, and not to the client', async () => {
    const { port } = await startProxy('http://127.0.0.1:1')
    const client = await RawClient.connect(port)
    await client.send(get('/')).until(() => client.received.endsWith('\n'))
    expect(client.received).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/)
    expect(client.received).toMatch(/502 Bad Gateway: CONNECT_REFUSED\n$/)
    expect(client.received).not.toContain('127.0.0.1:1')
    expect(logs).toMatchObject([{ code: 'CONNECT_REFUSED', msg: expect.stringContaining('127.0.0.1:1 ') }])
  })

  it.each([
    ['ftp://a', 'ADDRESS_INVALID'],
    ['http://a/path', 'ADDRESS_INVALID'],
    ['http://user@a', 'ADDRESS_INVALID'],
    ['localhost', 'ADDRESS_INVALID'],
    ['http://', 'ADDRESS_INVALID'],
  ])('refuses %s as an upstream', (url, code) => {
    expect(() => reverseProxy(url)).toThrow(expect.objectContaining({ code }))
  })
})

function named(name: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${name}`
}
