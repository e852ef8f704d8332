import http2 from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { fetchHandler } from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const CLOSE = 'Connection: close\r\n'

describe('fetchHandler', () => {
  it('gives a web request, and takes a web response', async () => {
    const { port } = await startHttp(
      fetchHandler(async (request, { connection }) => {
        const { method, url, headers } = request
        const answer = {
          method,
          url,
          a: headers.get('x-a'),
          peer: String(connection.peer),
          body: await request.text(),
        }
        return Response.json(answer, {
          status: 201,
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        })
      }),
    )
    const { received } = await exchange(
      port,
      `POST /x%20y?z=1 HTTP/1.1\r\nHost: example.com:8080\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n${CLOSE}\r\nhello`,
    )
    const [head, body] = received.split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 201 Created\r\n.*set-cookie: a=1\r\nset-cookie: b=2/s)
    expect(body).toContain(
      '{"method":"POST","url":"http://example.com:8080/x%20y?z=1","a":"1, 2","peer":"127.0.0.1:',
    )
    expect(body).toContain('"body":"hello"')
  })

  it('streams the request to the handler and the response to the client', async () => {
    const { port } = await startHttp(
      fetchHandler(request => new Response(request.body?.pipeThrough(upperCase()) ?? null)),
    )
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (const word of ['one', 'two']) {
      client.send(`3\r\n${word}\r\n`)
      await client.until(() => client.received.endsWith(`3\r\n${word.toUpperCase()}\r\n`))
    }
    await client.send('0\r\n\r\n').until(() => client.received.endsWith('\r\n0\r\n\r\n'))
  })

  it('aborts the signal and cancels the stream when the client goes', async () => {
    const events: string[] = []
    const { port } = await startHttp(
      fetchHandler(request => {
        request.signal.addEventListener('abort', () => events.push('abort'))
        const stream = new ReadableStream({
          start: controller => controller.enqueue(new TextEncoder().encode('hello')),
          cancel: () => void events.push('cancel'),
        })
        return new Response(stream)
      }),
    )
    const client = await RawClient.connect(port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until(() => client.received.includes('hello'))
    client.socket.resetAndDestroy()
    await until(() => events.length === 2)
    expect(events.sort()).toEqual(['abort', 'cancel'])
  })

  it('aborts the signal of a copy, too, and of a request that is made from it', async () => {
    const events: string[] = []
    const { port } = await startHttp(
      fetchHandler(request => {
        const made = new Request('http://elsewhere/', request)
        const copies = {
          copy: request.clone(),
          made,
          given: new Request(request, { signal: request.signal }),
        }
        for (const [name, { signal }] of Object.entries(copies)) {
          expect(signal.aborted).toBe(false)
          signal.addEventListener('abort', () => events.push(name))
        }
        return new Promise(() => {})
      }),
    )
    const client = await RawClient.connect(port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise(setImmediate)
    client.socket.resetAndDestroy()
    await until(() => events.length === 3)
    expect(events.sort()).toEqual(['copy', 'given', 'made'])
  })

  it('cancels a stream that is not sent, as for HEAD', async () => {
    let cancelled = false
    const { port } = await startHttp(
      fetchHandler(() => {
        const cancel = (): void => {
          cancelled = true
        }
        return new Response(new ReadableStream({ cancel }))
      }),
    )
    expect((await exchange(port, `HEAD / HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`)).statuses).toEqual([200])
    await until(() => cancelled)
  })

  it('keeps the connection when the handler does not read the body', async () => {
    const { port } = await startHttp(fetchHandler(() => new Response('ok')))
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`
    expect((await exchange(port, `${post}GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`)).statuses).toEqual([
      200, 200,
    ])
  })

  it('answers 500 when the handler throws or returns something else', async () => {
    const { port } = await startHttp(
      fetchHandler(request => {
        if (request.url.endsWith('/throw')) throw new Error('secret')
        return 'text' as unknown as Response
      }),
    )
    for (const path of ['/throw', '/text']) {
      expect((await exchange(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`)).statuses).toEqual([
        500,
      ])
    }
    expect(logs.map(line => line.code)).toEqual(['INTERNAL', 'HTTP_RESPONSE_INVALID'])
  })

  it.each([
    ['a method that it does not know', 'TRACE / HTTP/1.1\r\nHost: a\r\n', 'HTTP_METHOD_UNSUPPORTED'],
    // Methods have a case, and the Fetch API would make it another method.
    ['a method that it would change', 'get / HTTP/1.1\r\nHost: a\r\n', 'HTTP_METHOD_UNSUPPORTED'],
    ['a host that it does not take', 'GET / HTTP/1.1\r\nHost: 256.256.256.256\r\n', 'HTTP_HOST_INVALID'],
    ['a port that it does not take', 'GET / HTTP/1.1\r\nHost: a:99999\r\n', 'HTTP_HOST_INVALID'],
  ])('refuses %s', async (_what, head, code) => {
    const { port } = await startHttp(fetchHandler(() => new Response('fooled')))
    expect((await exchange(port, `${head}${CLOSE}\r\n`)).received).toMatch(new RegExp(`: ${code}\n$`))
  })

  it('passes on other methods with their bodies, or refuses them: it never makes one of another', async () => {
    const { port } = await startHttp(
      fetchHandler(async request => new Response(`${request.method} ${await request.text()}`)),
    )
    const asked = async (method: string): Promise<string> => {
      const request = `${method} / HTTP/1.1\r\nHost: a\r\n${CLOSE}Content-Length: 2\r\n\r\nhi`
      return (await exchange(port, request)).received
    }
    expect(await asked('PURGE')).toContain('PURGE hi')
    // Bun 1.4 knows no methods but those that are registered.
    expect(await asked('Blub')).toMatch(/Blub hi|: HTTP_METHOD_UNSUPPORTED\n$/)
  })

  it('works over HTTP/2', async () => {
    const { port } = await startHttp(fetchHandler(async request => new Response(await request.text())))
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.end('hello')
    let body = ''
    for await (const chunk of stream) body += chunk
    expect(body).toBe('hello')
    session.destroy()
  })
})

function upperCase(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform: (chunk, controller) =>
      controller.enqueue(Buffer.from(Buffer.from(chunk).toString().toUpperCase())),
  })
}
