import http2 from 'node:http2'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../test/support/http.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { closeSockets, until } from '../../test/support/sockets.ts'
import { type Layer, type Service, stack } from '../core/index.ts'
import type { Connection } from '../net/index.ts'
import { type HttpRequest, type HttpResponse, serveHttp, text } from './index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
/** An empty SETTINGS frame. */
const SETTINGS = '\0\0\0\x04\0\0\0\0\0'

describe('serveHttp', () => {
  it('takes the preface for HTTP/2, however it is split, and anything else for HTTP/1.1', async () => {
    const { port } = await startHttp(({ version }) => text(version))
    for (const at of [1, 3, 10, 16, 23]) {
      const client = await RawClient.connect(port)
      client.send(PREFACE.slice(0, at))
      for (let turns = 0; turns < 5; turns++) await turn()
      client.send(PREFACE.slice(at) + SETTINGS)
      // Its own SETTINGS, and the acknowledgement of ours.
      await client.until(() => client.received.includes('\0\0\0\x04\x01\0\0\0\0'))
      expect(client.received.slice(3, 5)).toBe('\x04\0')
    }
    expect((await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).received).toMatch(
      /1\.1$/,
    )
    // A method that begins like the preface.
    expect((await exchange(port, ['PR', 'OPFIND / HTTP/1.0\r\n\r\n'])).received).toMatch(/1\.0$/)
  })

  it('closes a connection that sends nothing without a word, and logs one that breaks off inside the preface', async () => {
    const { port, listener } = await startHttp(() => text('hi'), { headTimeout: 50 })
    const silent = await RawClient.connect(port)
    const gone = await RawClient.connect(port)
    gone.socket.end()
    await Promise.all([silent.over(), gone.over()])
    await until(() => listener.counts.serving === 0)
    expect(logs).toEqual([])

    const partial = await RawClient.connect(port)
    await partial.send(PREFACE.slice(0, 10)).over()
    const reset = await RawClient.connect(port)
    reset.send(PREFACE.slice(0, 10)).socket.end()
    await reset.over()
    expect(silent.received + gone.received + partial.received + reset.received).toBe('')
    for (const client of [silent, gone, partial, reset]) client.socket.destroy()
    await until(() => listener.counts.serving === 0)
    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/)
    expect(logs).toMatchObject([
      { level: 'info', target: 'net', code: 'PEEK_TIMEOUT', peer },
      { level: 'info', target: 'net', code: 'DOWNSTREAM_CLOSED', peer },
    ])
  })

  it('says nothing of a connection that it closes itself because it drains', async () => {
    const { port, listener } = await startHttp(() => text('hi'))
    const client = await RawClient.connect(port)
    client.send(PREFACE.slice(0, 10))
    await until(() => listener.counts.serving === 1)
    for (let turns = 0; turns < 10; turns++) await turn()
    await listener.close(1000)
    expect(logs).toEqual([])
  })

  it('drains both versions with one listener on the signal, and its promise lasts as long as the connection', async () => {
    const { port, listener } = await startHttp(({ path }) => text(path))
    const first = await RawClient.connect(port)
    await first.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n').until(() => first.received.endsWith('/1'))
    const session = http2.connect(`http://127.0.0.1:${port}`)
    await new Promise(resolve => session.request({ ':path': '/2' }).resume().on('end', resolve))
    const goaway = new Promise(resolve => session.once('goaway', resolve))
    const gone = new Promise<void>(resolve => session.once('close', () => resolve()))
    expect(listener.counts.serving).toBe(2)
    const closing = listener.close()
    await goaway
    await gone
    await first.over()
    first.socket.destroy()
    await closing
    expect(listener.counts.serving).toBe(0)
  })

  it('knows in the handler what the layers above have proved', () => {
    interface Proxied {
      readonly proxied: { readonly source: string }
    }
    const acceptProxyHeader = (): Layer<Connection, Proxied> => next => input =>
      next(Object.assign(input, { proxied: { source: '' } }))
    const service = stack<Connection>()
      .layer(acceptProxyHeader())
      .service(
        serveHttp(({ connection }) => {
          expectTypeOf(connection).toEqualTypeOf<Connection & Proxied>()
          return text(`hello client ${connection.proxied.source}`)
        }),
      )
    expectTypeOf(service).toEqualTypeOf<Service<Connection>>()

    const later = stack<Connection>()
      .layer(acceptProxyHeader())
      .service(serveHttp(async ({ connection: { proxied, peer } }) => text(`${proxied.source} ${peer}`)))
    expectTypeOf(later).toEqualTypeOf<Service<Connection>>()

    const needsProxied: Service<HttpRequest<Connection & Proxied>, HttpResponse> = () => text('')
    // @ts-expect-error nothing above provides `proxied`
    stack<Connection>().service(serveHttp(needsProxied))
    // @ts-expect-error nothing above provides `proxied`
    stack<Connection>().service(serveHttp(({ connection }) => text(connection.proxied.source)))
    // A service that asks for less fits everywhere.
    const plain: Service<HttpRequest, HttpResponse> = () => text('')
    stack<Connection>().layer(acceptProxyHeader()).service(serveHttp(plain))
  })
})
