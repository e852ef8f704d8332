// `sluice demo`, the seed program, as the README tells to try it.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectPlain } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RunningSluice } from '../support/cli.ts'

let running: RunningSluice
beforeAll(async () => {
  running = await RunningSluice.start(['demo'])
})
afterAll(() => running[Symbol.asyncDispose]())

const GREETING =
  /hello client 127\.0\.0\.1:(\d+), you were served by tls terminator proxy 127\.0\.0\.1:\d+\r\n$/

async function secure(servername: string = 'localhost'): Promise<TLSSocket> {
  const socket = connect({
    port: 63801,
    host: '127.0.0.1',
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  await once(socket, 'secureConnect')
  return socket
}

async function all(socket: TLSSocket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('sluice demo', () => {
  it('greets the client by its real address over HTTP/1.1', async () => {
    const socket = await secure()
    const port = socket.localPort
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const answer = await all(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(GREETING.exec(answer)?.[1]).toBe(String(port))
  })

  it('greets the client by its real address over HTTP/2', async () => {
    const session = connectHttp2('https://localhost:63801', { rejectUnauthorized: false })
    await once(session, 'connect')
    expect(session.alpnProtocol).toBe('h2')
    const stream = session.request({ ':path': '/' })
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    expect(GREETING.exec(text)?.[1]).toBe(String(session.socket.localPort))
    session.close()
  })

  it('logs the ClientHello with SNI, ALPN and JA4', async () => {
    const socket = await secure('demo.example')
    socket.destroy()
    const line = await running.logged(
      ({ clientHello }) =>
        (clientHello as { serverName?: string } | undefined)?.serverName === 'demo.example',
    )
    expect(line).toMatchObject({
      level: 'debug',
      clientHello: {
        alpn: ['http/1.1'],
        ja4: expect.stringMatching(/^t13d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/),
      },
    })
  })

  it('refuses who comes to the service without a PROXY header, and says why', async () => {
    const socket = connectPlain({ port: 62801, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    let text = ''
    socket.on('data', chunk => {
      text += String(chunk)
    })
    await once(socket, 'close')
    expect(text).toBe('')
    const line = await running.logged(({ code }) => code === 'PROXY_HEADER_MISSING')
    expect(line.msg).toContain('GET / HTTP/1.1')
  })

  it('is not fooled by a PROXY header that a client sends through TLS', async () => {
    const forged = Buffer.from([
      ...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      ...[0x21, 0x11, 0, 12, 192, 0, 2, 66, 192, 0, 2, 77, 0x11, 0x22, 0x01, 0xbb],
    ])
    const socket = await secure()
    socket.on('error', () => {})
    socket.write(
      Buffer.concat([forged, Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')]),
    )
    const answer = await all(socket)
    expect(answer).not.toContain('192.0.2.66')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  })
})
