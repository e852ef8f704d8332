// `sluice tls` as a user runs it: a process of its own, over real sockets.
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { version } from '../../src/cli/version.ts'
import { testCertificate } from '../support/certificates.ts'
import { RunningSluice, type StartOptions } from '../support/cli.ts'
import { freePort } from '../support/peers.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
  cleanups.push(() => rmSync(path, { recursive: true }))
  return path
}

/** A backend on a port or a path that gives each connection to a function. */
async function backend(serve: (socket: Socket) => void, at: number | string = 0): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(typeof at === 'string' ? { path: at } : { port: at, host: '127.0.0.1' })
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : `unix:${address}`
}

const echo = (socket: Socket): unknown => socket.pipe(socket)

/** A backend that answers `ok` to the first bytes, and what those were. */
async function witness(at?: number | string): Promise<{ to: string; first: Promise<string> }> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const answer = (socket: Socket): void => {
    socket.once('data', chunk => {
      resolve(String(chunk))
      socket.end('ok')
    })
  }
  return { to: await backend(answer, at), first: promise }
}

async function sluice(args: readonly string[], options?: StartOptions): Promise<RunningSluice> {
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
  const running = await RunningSluice.start(['tls', ...listen, ...args], options)
  cleanups.push(() => running[Symbol.asyncDispose]())
  return running
}

/** A TLS connection; its errors are taken. */
async function client(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** How a new connection to a port ends. */
function attempt(port: number): Promise<string> {
  const socket = connectPlain({ port, host: '127.0.0.1' })
  cleanups.push(() => socket.destroy())
  return new Promise(resolve => {
    socket.on('connect', () => resolve('connected'))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

async function read(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

async function exchange(socket: Socket, text: string): Promise<string> {
  const answer = read(socket)
  socket.write(text)
  return answer
}

/** Sends a signal, and waits until it has been taken. */
async function drain(running: RunningSluice, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  running.signal(signal)
  await running.logged(line => line.msg.startsWith('draining'))
}

describe('sluice tls, when it is told to stop', () => {
  it('lets an open relay finish, refuses new connections, and exits with 0', async () => {
    const running = await sluice(['--to', await backend(echo)])
    const port = await running.port()
    const socket = await client(port)
    expect(await exchange(socket, 'before')).toBe('before')

    await drain(running)
    expect(await attempt(port)).toBe('ECONNREFUSED')
    expect(await exchange(socket, 'after')).toBe('after')
    expect(running.running).toBe(true)
    socket.end()
    expect(await running.exited()).toBe(0)
    expect(running.lines.at(-1)).toMatchObject({ msg: 'drained', reason: 'SIGTERM' })
  })

  it('lets a slow answer finish', async () => {
    const asked = Promise.withResolvers<Socket>()
    const to = await backend(socket => socket.once('data', () => asked.resolve(socket)))
    const running = await sluice(['--to', to])
    const socket = await client(await running.port())
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const slow = await asked.promise
    await drain(running)
    const answered = read(socket)
    slow.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow')
    expect(await answered).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nslow$/)
    socket.end()
    expect(await running.exited()).toBe(0)
  })

  it('cuts what is open when the limit has passed, says what it was, and exits with 1', async () => {
    const running = await sluice(['--to', await backend(echo), '--drain-limit', '1s'])
    const socket = await client(await running.port())
    await exchange(socket, 'x')
    let error: NodeJS.ErrnoException | undefined
    socket.on('error', cause => {
      error = cause
    })
    const closed = new Promise(resolve => socket.on('close', resolve))

    const before = performance.now()
    running.signal('SIGTERM')
    expect(await running.exited()).toBe(1)
    expect(performance.now() - before).toBeGreaterThan(950)
    await closed
    // A reset: the client can't take it for the end of what the backend had to say.
    expect(error?.code).toBe('ECONNRESET')
    const cut = running.lines.find(line => line.msg.startsWith('cut'))
    expect(cut).toMatchObject({ level: 'warn', reason: 'SIGTERM' })
    expect(cut?.open).toEqual([
      expect.stringMatching(/^1 connection on 127\.0\.0\.1:\d+ \(1 from 127\.0\.0\.1:\d+\)$/),
    ])
  })

  it('ends at once at a second signal, with 1', async () => {
    const running = await sluice(['--to', await backend(echo), '--drain-limit', '1h'])
    await exchange(await client(await running.port()), 'x')
    await drain(running)
    // Within 50 ms two signals are one key press.
    await wait(60)
    running.signal('SIGTERM')
    expect(await running.exited()).toBe(1)
    await running.logged(line => line.msg === 'stopping at once' && line.signal === 'SIGTERM')
  })

  it('takes two signals within 50 ms for one key press', async () => {
    const preload = join(folder(), 'twice.mjs')
    // Raised in the process itself: two that are sent to it may be kept apart by a busy machine.
    writeFileSync(
      preload,
      `process.on('SIGUSR2', () => { for (const name of ['SIGINT', 'SIGINT']) process.emit(name, name) })`,
    )
    const running = await sluice(['--to', await backend(echo), '--drain-limit', '1h'], { preload })
    const socket = await client(await running.port())
    await exchange(socket, 'x')
    await drain(running, 'SIGUSR2')
    expect(await exchange(socket, 'still there')).toBe('still there')
    socket.end()
    expect(await running.exited()).toBe(0)
    expect(running.lines.filter(line => line.signal !== undefined)).toHaveLength(1)
  })

  it('exits with 0 at once if nothing is open', async () => {
    const running = await sluice(['--to', '1', '--drain-limit', '1h'])
    running.signal('SIGINT')
    expect(await running.exited()).toBe(0)
  })
})

describe('sluice tls', () => {
  it('logs the ClientHello when asked', async () => {
    const running = await sluice(['--to', await backend(echo), '--client-hello', '--alpn', 'h2,http/1.1'])
    const socket = await client(await running.port(), {
      servername: 'shop.example',
      ALPNProtocols: ['http/1.1'],
    })
    expect(socket.alpnProtocol).toBe('http/1.1')
    const { clientHello } = await running.logged(line => line.msg === 'ClientHello')
    expect(clientHello).toMatchObject({
      serverName: 'shop.example',
      alpn: ['http/1.1'],
      ja4: expect.stringMatching(/^t13d\d{4}h1_/),
    })
  })

  it('sends nothing of its own to the backend unless it is told to', async () => {
    const { to, first } = await witness()
    const running = await sluice(['--to', to])
    expect(await exchange(await client(await running.port()), 'hello')).toBe('ok')
    expect(await first).toBe('hello')
  })

  it('sends a PROXY header of version 1', async () => {
    const { to, first } = await witness()
    const running = await sluice(['--to', to, '--send-proxy', 'v1'])
    const port = await running.port()
    const socket = await client(port)
    expect(await read(socket)).toBe('ok')
    expect(await first).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort} ${port}\r\n`)
  })

  it('sends a PROXY header of version 2', async () => {
    const { to, first } = await witness()
    const running = await sluice(['--to', to, '--send-proxy', 'v2'])
    expect(await read(await client(await running.port()))).toBe('ok')
    expect(await first).toMatch(/^\r\n\r\n\0\r\nQUIT\n!/)
  })

  it('requires a PROXY header before TLS where it was told to, and passes the client on', async () => {
    const { to, first } = await witness()
    const running = await sluice(['--to', to, '--send-proxy', 'v1', '--accept-proxy', '127.0.0.0/8'])
    const port = await running.port()
    const plain = connectPlain({ port, host: '127.0.0.1' })
    await once(plain, 'connect')
    plain.write('PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n')
    const socket = await client(port, { socket: plain })
    expect(await read(socket)).toBe('ok')
    expect(await first).toBe('PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n')

    await expect(client(port)).rejects.toThrow()
    await running.logged(line => line.code === 'PROXY_HEADER_MISSING')
  })

  it('believes nobody outside of the networks that it was told', async () => {
    const running = await sluice(['--to', '1', '--accept-proxy', '192.0.2.0/24'])
    await expect(client(await running.port())).rejects.toThrow()
    await running.logged(line => line.code === 'PROXY_HEADER_UNTRUSTED')
  })

  it('serves the certificate of its files', async () => {
    const { cert, key } = await testCertificate({ names: [{ type: 'dns', value: 'site.example' }] })
    const path = folder()
    writeFileSync(join(path, 'site.pem'), cert)
    writeFileSync(join(path, 'site.key'), key)
    const files = ['--cert', join(path, 'site.pem'), '--key', join(path, 'site.key')]
    const running = await sluice(['--to', await backend(echo), ...files])
    // Verified, with nothing but this certificate as the authority.
    const trust = { ca: cert, servername: 'site.example', rejectUnauthorized: true }
    const socket = await client(await running.port(), trust)
    expect(await exchange(socket, 'x')).toBe('x')
    const { certificate } = await running.logged(line => line.msg === 'ready')
    expect(certificate).toMatchObject({ names: ['site.example'], selfSigned: true })
  })

  it('takes one file with certificate and key, as HAProxy and hitch do, and the passphrase of a locked key', async () => {
    const { cert, key } = await testCertificate({ names: [{ type: 'dns', value: 'site.example' }] })
    const locked = createPrivateKey(key).export({
      ...{ type: 'pkcs8', format: 'pem' },
      ...{ cipher: 'aes-256-cbc', passphrase: 'open sesame' },
    })
    const path = folder()
    writeFileSync(join(path, 'both.pem'), `${cert}${locked}`)
    writeFileSync(join(path, 'passphrase'), 'open sesame\n')
    const files = ['--cert', join(path, 'both.pem'), '--passphrase-file', join(path, 'passphrase')]
    const running = await sluice(['--to', await backend(echo), ...files])
    const trust = { ca: cert, servername: 'site.example', rejectUnauthorized: true }
    expect(await exchange(await client(await running.port(), trust), 'x')).toBe('x')
  })

  it('listens on a unix socket, and forwards to one', async () => {
    const path = folder()
    const { to, first } = await witness(join(path, 'backend.sock'))
    const listen = join(path, 'edge.sock')
    const running = await sluice(['--listen', `unix:${listen}`, '--to', to])
    expect(await running.logged(line => line.msg === 'ready')).toMatchObject({
      routes: [{ listen: `unix:${listen}`, to: `unix:${join(path, 'backend.sock')}` }],
    })
    const plain = connectPlain(listen)
    await once(plain, 'connect')
    const socket = await client(0, { socket: plain })
    expect(await exchange(socket, 'hello')).toBe('ok')
    expect(await first).toBe('hello')
  })

  it('survives a backend that is down, says so in one line, and serves when it is back', async () => {
    const port = await freePort()
    const running = await sluice(['--to', `127.0.0.1:${port}`])
    const socket = await client(await running.port())
    if (!socket.closed) await new Promise(resolve => socket.on('close', resolve))
    const line = await running.logged(({ code }) => code === 'CONNECT_REFUSED')
    expect(line).toMatchObject({ level: 'warn', msg: expect.stringContaining(`127.0.0.1:${port} refused`) })
    expect(running.lines.filter(({ code }) => code !== undefined)).toHaveLength(1)

    const { to } = await witness(port)
    expect(to).toBe(`127.0.0.1:${port}`)
    expect(await exchange(await client(await running.port()), 'x')).toBe('ok')
  })

  it('goes on after a fault that nobody caught, and logs it', async () => {
    const path = folder()
    const preload = join(path, 'faults.mjs')
    writeFileSync(
      preload,
      `process.on('SIGUSR2', () => { Promise.reject(new Error('rejected')); throw new Error('thrown') })`,
    )
    const running = await sluice(['--to', await backend(echo)], { preload })
    const socket = await client(await running.port())
    await exchange(socket, 'x')
    running.signal('SIGUSR2')
    for (const message of ['thrown', 'rejected']) {
      const line = await running.logged(({ error }) => (error as Error | undefined)?.message === message)
      expect(line).toMatchObject({ level: 'error', msg: 'uncaught', code: 'INTERNAL' })
    }
    expect(await exchange(socket, 'still there')).toBe('still there')
    expect(await exchange(await client(await running.port()), 'x')).toBe('x')
  })
})

describe('the banner', () => {
  it('is a log line for machines', async () => {
    const running = await sluice(['--to', '127.0.0.1:3000', '--send-proxy', 'v2', '--alpn', 'h2,http/1.1'])
    const ready = await running.logged(line => line.msg === 'ready')
    expect(ready).toMatchObject({
      level: 'info',
      target: 'sluice',
      version,
      readyIn: expect.any(Number),
      routes: [
        {
          scheme: 'https',
          listen: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
          to: '127.0.0.1:3000',
          notes: ['TLS terminated', 'ALPN h2, http/1.1', 'PROXY v2 sent'],
        },
      ],
      certificate: { names: ['127.0.0.1', 'localhost', '::1'], selfSigned: true },
    })
    const days =
      (Date.parse(String((ready.certificate as { expires: string }).expires)) - Date.now()) / 86.4e6
    expect(days).toBeGreaterThan(80)
    expect(days).toBeLessThan(100)
    expect(running.stdout).toBe('')
  })

  it('tells people what listens where and goes where, with which certificate', async () => {
    const running = await sluice(['--to', '3000', '--accept-proxy', 'loopback'], { json: false })
    const expires = /\d{4}-\d\d-\d\d/.source
    expect(running.stdout).toMatch(
      new RegExp(
        [
          `^\n {2}sluice ${version.replaceAll('.', '\\.')} {2}ready in \\d+ ms\n`,
          '\n',
          ' {2}https://127\\.0\\.0\\.1:\\d+/ {2}→ {2}localhost:3000 {2}\\(PROXY header required; TLS terminated\\)\n',
          ` {2}certificate {2}127\\.0\\.0\\.1, localhost, ::1 {2}\\(self-signed, expires ${expires}\\)\n\n$`,
        ].join(''),
      ),
    )
    const port = Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(running.stdout)?.[1])
    expect(await attempt(port)).toBe('connected')
  })
})

describe('sluice tls with a directive that makes no sense', () => {
  it('warns of it once, in the format of all lines, and serves', async () => {
    const running = await sluice(['--to', '1'], { env: { SLUICE_LOG: 'loud,tls=verbose,info' } })
    const warnings = running.lines.filter(({ target }) => target === 'log')
    expect(warnings.map(({ level, msg }) => [level, msg.split(' is left out')[0]])).toEqual([
      ['warn', 'log directive "loud"'],
      ['warn', 'log directive "tls=verbose"'],
    ])
    expect(running.otherOutput).toEqual([])
  })
})
