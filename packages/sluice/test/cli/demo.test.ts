// `sluice demo`, the seed program, as the README tells to try it.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectPlain } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RunningSluice } from '../support/cli.ts'

let running: RunningSluice | undefined
beforeAll(async () => {
  running = await RunningSluice.start(['demo'])
})
afterAll(() => running?.[Symbol.asyncDispose]())

function demo(): RunningSluice {
  if (running === undefined) throw new Error('not started')
  return running
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const GREETING =
  /hello client 127\.0\.0\.1:(\d+), you were served by tls terminator proxy 127\.0\.0\.1:(\d+)\r\n$/

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

async function all(socket: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('sluice demo', () => {
  it('greets the client by its real address over HTTP/1.1', async () => {
    const socket = await secure()
    const port = String(socket.localPort)
    socket.write(REQUEST)
    const answer = await all(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    const [, client, terminator] = GREETING.exec(answer) ?? []
    expect(client).toBe(port)
    expect(terminator).not.toBe(port)
  })

  it('greets the client by its real address over HTTP/2', async () => {
    const session = connectHttp2('https://127.0.0.1:63801', { rejectUnauthorized: false })
    await once(session, 'connect')
    expect(session.alpnProtocol).toBe('h2')
    const port = String(session.socket.localPort)
    const first = await all(session.request({ ':path': '/' }))
    expect(GREETING.exec(first)?.[1]).toBe(port)
    expect(await all(session.request({ ':path': '/again' }))).toBe(first)
    session.close()
  })

  it('logs the ClientHello with SNI, ALPN and JA4', async () => {
    const socket = await secure('demo.example')
    socket.write(REQUEST)
    await all(socket)
    const line = await demo().logged(
      ({ clientHello }) =>
        (clientHello as { serverName?: string } | undefined)?.serverName === 'demo.example',
    )
    expect(line).toMatchObject({
      level: 'debug',
      msg: 'secure connection established',
      clientHello: {
        alpn: ['http/1.1'],
        ja4: expect.stringMatching(/^t13d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/),
      },
    })
  })

  it('refuses who comes to the service without a PROXY header, and says why', async () => {
    const socket = connectPlain({ port: 62801, host: '127.0.0.1' })
    socket.on('error', () => {})
    let text = ''
    socket.on('data', chunk => {
      text += String(chunk)
    })
    const closed = new Promise(resolve => socket.on('close', resolve))
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await closed
    expect(text).toBe('')
    const line = await demo().logged(({ code }) => code === 'PROXY_HEADER_MISSING')
    expect(line).toMatchObject({ level: 'info', msg: expect.stringContaining('GET / HTTP/1.1') })
  })

  it('is not fooled by a PROXY header that a client sends through TLS', async () => {
    const forged = Buffer.from([
      ...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      ...[0x21, 0x11, 0, 12, 192, 0, 2, 66, 192, 0, 2, 77, 0x11, 0x22, 0x01, 0xbb],
    ])
    const socket = await secure()
    socket.write(Buffer.concat([forged, Buffer.from(REQUEST)]))
    const answer = await all(socket)
    expect(answer).not.toContain('192.0.2.66')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('tells what it runs', async () => {
    expect(await demo().logged(({ msg }) => msg === 'ready')).toMatchObject({
      routes: [
        { scheme: 'https', listen: '127.0.0.1:63801', to: '127.0.0.1:62801' },
        { scheme: 'http', listen: '127.0.0.1:62801' },
      ],
      certificate: { names: ['localhost', '127.0.0.1', '::1'], selfSigned: true },
    })
  })

  it('drains at SIGTERM, and exits with 0 without a complaint', async () => {
    demo().signal('SIGTERM')
    expect(await demo().exited()).toBe(0)
    expect(demo().lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
    expect(demo().otherOutput).toEqual([])
  })
})
