// `sluice tls` as a user runs it: a process of its own, over real sockets.
import { once } from 'node:events'
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { RunningSluice } from '../support/cli.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A backend that gives each connection to a function. */
async function backend(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function sluice(args: readonly string[], env?: Record<string, string>): Promise<RunningSluice> {
  const running = await RunningSluice.start(['tls', '--listen', '127.0.0.1:0', ...args], env)
  cleanups.push(() => running[Symbol.asyncDispose]())
  return running
}

async function client(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** How a new connection to a port ends. */
async function attempt(port: number): Promise<string> {
  const socket = connectPlain({ port, host: '127.0.0.1' })
  cleanups.push(() => socket.destroy())
  return new Promise(resolve => {
    socket.on('connect', () => resolve('connected'))
    socket.on('error', error => resolve('code' in error ? String(error.code) : error.message))
  })
}

async function read(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

describe('sluice tls, when it is told to stop', () => {
  it('lets an open relay finish, refuses new connections, and exits with 0', async () => {
    const to = await backend(socket => socket.pipe(socket))
    const running = await sluice(['--to', String(to)])
    const port = await running.port()
    const socket = await client(port)
    socket.write('before')
    expect(await read(socket)).toBe('before')

    running.signal('SIGTERM')
    await running.logged(line => line.msg.startsWith('draining'))
    expect(await attempt(port)).toBe('ECONNREFUSED')
    socket.write('after')
    expect(await read(socket)).toBe('after')
    socket.end()
    expect(await running.exited()).toBe(0)
    await running.logged(line => line.msg === 'drained')
  })

  it('lets a slow answer finish', async () => {
    let answer = (): void => {}
    const to = await backend(socket => {
      socket.on('data', () => {
        answer = () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow')
      })
    })
    const running = await sluice(['--to', String(to)])
    const socket = await client(await running.port())
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => answer.name).toBe('answer')
    running.signal('SIGTERM')
    await running.logged(line => line.msg.startsWith('draining'))
    const answered = read(socket)
    answer()
    expect(await answered).toContain('slow')
    socket.end()
    expect(await running.exited()).toBe(0)
  })

  it('cuts what is open when the limit has passed, says what it was, and exits with 1', async () => {
    const to = await backend(socket => socket.pipe(socket))
    const running = await sluice(['--to', String(to), '--drain-limit', '1s'])
    const socket = await client(await running.port())
    const error = once(socket, 'error').catch(() => [])
    const closed = once(socket, 'close')
    socket.write('x')
    await read(socket)

    running.signal('SIGTERM')
    const before = performance.now()
    expect(await running.exited()).toBe(1)
    expect(performance.now() - before).toBeGreaterThan(900)
    await closed
    const cut = await running.logged(line => line.msg.startsWith('cut'))
    expect(String(cut.open)).toContain('1 connection')
    void error
  })

  it('ends at once at a second signal, with 1', async () => {
    const to = await backend(socket => socket.pipe(socket))
    const running = await sluice(['--to', String(to), '--drain-limit', '1h'])
    const socket = await client(await running.port())
    socket.on('error', () => {})
    socket.write('x')
    await read(socket)
    running.signal('SIGTERM')
    await running.logged(line => line.msg.startsWith('draining'))
    // Two signals within 50 ms are one key press.
    await new Promise(resolve => setTimeout(resolve, 60))
    running.signal('SIGTERM')
    expect(await running.exited()).toBe(1)
  })

  it('exits with 0 at once if nothing is open', async () => {
    const running = await sluice(['--to', '1'])
    running.signal('SIGINT')
    expect(await running.exited()).toBe(0)
  })
})

describe('sluice tls', () => {
  it('logs the ClientHello when asked', async () => {
    const to = await backend(socket => socket.pipe(socket))
    const running = await sluice(['--to', String(to), '--client-hello', '--alpn', 'h2,http/1.1'])
    const socket = connect({
      port: await running.port(),
      host: '127.0.0.1',
      servername: 'shop.example',
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
    })
    cleanups.push(() => socket.destroy())
    await once(socket, 'secureConnect')
    expect(socket.alpnProtocol).toBe('http/1.1')
    const { clientHello } = await running.logged(line => line.msg === 'ClientHello')
    expect(clientHello).toMatchObject({
      serverName: 'shop.example',
      alpn: ['http/1.1'],
      ja4: expect.stringMatching(/^t13d\d{4}h1_/),
    })
  })

  it('sends the kind of PROXY header that was chosen', async () => {
    let first = ''
    const to = await backend(socket =>
      socket.once('data', chunk => {
        first = String(chunk)
        socket.end('ok')
      }),
    )
    const running = await sluice(['--to', String(to), '--send-proxy', 'v1'])
    const port = await running.port()
    const socket = await client(port)
    expect(await read(socket)).toBe('ok')
    expect(first).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort} ${port}\r\n`)
  })

  it('requires a PROXY header before TLS where it was told to, and passes the client on', async () => {
    let first = ''
    const to = await backend(socket =>
      socket.once('data', chunk => {
        first = String(chunk)
        socket.end('ok')
      }),
    )
    const running = await sluice(['--to', String(to), '--send-proxy', 'v1', '--accept-proxy', '127.0.0.0/8'])
    const port = await running.port()
    const plain = connectPlain({ port, host: '127.0.0.1' })
    await once(plain, 'connect')
    plain.write('PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n')
    const socket = connect({ socket: plain, rejectUnauthorized: false })
    cleanups.push(() => socket.destroy())
    await once(socket, 'secureConnect')
    expect(await read(socket)).toBe('ok')
    expect(first).toBe('PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n')

    const bare = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    cleanups.push(() => bare.destroy())
    await once(bare, 'error')
    await running.logged(line => line.code === 'PROXY_HEADER_MISSING')
  })

  it('survives a backend that is down, and says so in one line', async () => {
    const running = await sluice(['--to', '127.0.0.1:1'])
    const socket = await client(await running.port())
    socket.on('error', () => {})
    await once(socket, 'close')
    await running.logged(line => line.code === 'CONNECT_REFUSED')
    expect(running.running).toBe(true)
  })
})
