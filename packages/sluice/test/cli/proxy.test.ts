// `sluice proxy` as a user runs it: a process of its own, over real sockets.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2, type ClientHttp2Session as Http2Session } from 'node:http2'
import { connect as connectPlain, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { version } from '../../src/cli/version.ts'
import { testCertificate as makeCertificate } from '../support/certificates.ts'
import { type LogLine, RunningSluice, type StartOptions } from '../support/cli.ts'
import { RawClient } from '../support/http.ts'
import { freePort } from '../support/peers.ts'
import { OK, type OriginScript, type RawOrigin, startOrigin } from '../support/raw-origin.ts'
import { closeSockets, keep } from '../support/sockets.ts'
import { testCertificate, testKey } from '../support/test-certificate.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await closeSockets()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
  cleanups.push(() => rmSync(path, { recursive: true }))
  return path
}

/** A certificate and its key in files, the test certificate unless told. */
function files({ cert, key } = { cert: testCertificate, key: testKey }): { cert: string; key: string } {
  const path = folder()
  writeFileSync(join(path, 'site.pem'), cert)
  writeFileSync(join(path, 'site.key'), key)
  return { cert: join(path, 'site.pem'), key: join(path, 'site.key') }
}

/** Answers each request with what it was, to the byte. */
const mirror: OriginScript = async connection => {
  for (;;) {
    const request = await connection.request()
    await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${request.length}\r\n\r\n${request}`)
  }
}

/** Agrees to a WebSocket, and sends back what comes, byte for byte. */
const webSocket: OriginScript = async connection => {
  await connection.head()
  await connection.send(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  )
  connection.socket.pipe(connection.socket)
}

async function sluice(args: readonly string[], options?: StartOptions): Promise<RunningSluice> {
  const from = args.includes('--from') ? [] : ['--from', '127.0.0.1:0']
  const running = await RunningSluice.start(['proxy', ...from, ...args], options)
  cleanups.push(() => running[Symbol.asyncDispose]())
  return running
}

async function http1(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
  const settings = { rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
  const socket = keep(connect({ port, host: '127.0.0.1', ...settings, ...options }))
  await once(socket, 'secureConnect')
  return new RawClient(socket)
}

async function http2(url: string): Promise<Http2Session> {
  const session = connectHttp2(url, { rejectUnauthorized: false })
  session.on('error', () => {})
  cleanups.push(() => session.destroy())
  await once(session, 'connect')
  return session
}

const GET = 'GET /path?q=1 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n'

/** The answer to a request on a connection of its own. */
async function ask(port: number, request: string = GET, options?: ConnectionOptions): Promise<string> {
  return (await (await http1(port, options)).send(request).over()).received
}

async function all(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

/** Sends a signal, and waits until it has been taken. */
async function drain(running: RunningSluice, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  running.signal(signal)
  await running.logged(line => line.msg.startsWith('draining'))
}

/** An origin that answers when it is told to. */
async function slowOrigin(): Promise<{ origin: RawOrigin; asked: Promise<void>; answer: () => void }> {
  const asked = Promise.withResolvers<void>()
  const told = Promise.withResolvers<void>()
  const origin = await startOrigin(async connection => {
    await connection.request()
    asked.resolve()
    await told.promise
    await connection.send(OK)
  })
  return { origin, asked: asked.promise, answer: told.resolve }
}

async function isRefused(port: number): Promise<boolean> {
  const socket = keep(connectPlain({ port, host: '127.0.0.1' }))
  return new Promise(resolve => {
    socket.on('connect', () => resolve(false))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}

describe('sluice proxy, when it is told to stop', () => {
  it('lets an answer over HTTP/1.1 finish, closes that connection and idle ones, and exits with 0', async () => {
    const { origin, asked, answer } = await slowOrigin()
    const running = await sluice(['--to', origin.url])
    const port = await running.port()
    const idle = await http1(port)
    const client = await http1(port)
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked

    await drain(running)
    expect(await isRefused(port)).toBe(true)
    await idle.over()
    expect(running.running).toBe(true)
    answer()
    await client.over()
    expect(client.received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nconnection: close\r\n\r\nok$/)
    expect(client.ended).toBe(true)
    expect(await running.exited()).toBe(0)
    expect(running.lines.at(-1)).toMatchObject({ msg: 'drained', reason: 'SIGTERM' })
    expect(running.otherOutput).toEqual([])
  })

  it('tells HTTP/2 clients with GOAWAY, lets their streams finish, and exits with 0', async () => {
    const { origin, asked, answer } = await slowOrigin()
    const running = await sluice(['--to', origin.url])
    const session = await http2(`https://127.0.0.1:${await running.port()}`)
    const told = once(session, 'goaway')
    const stream = session.request({ ':path': '/' })
    const text = all(stream)
    await asked

    await drain(running, 'SIGINT')
    const [code] = await told
    expect(code).toBe(0)
    answer()
    expect(await text).toBe('ok')
    expect(await running.exited()).toBe(0)
  })

  it('lets a WebSocket go on until its ends are done', async () => {
    const origin = await startOrigin(webSocket)
    const running = await sluice(['--to', origin.url])
    const client = await upgraded(await running.port())
    await drain(running)
    client.send('after')
    await client.until(() => client.received.endsWith('after'))
    expect(running.running).toBe(true)
    client.socket.end()
    expect(await running.exited()).toBe(0)
  })

  it('cuts a WebSocket that is open at the limit, says so, and exits with 1', async () => {
    const origin = await startOrigin(webSocket)
    const running = await sluice(['--to', origin.url, '--drain-limit', '1s'])
    const client = await upgraded(await running.port())
    running.signal('SIGTERM')
    await client.over()
    expect(client.failed).toBe('ECONNRESET')
    expect(await running.exited()).toBe(1)
    const cut = running.lines.find(line => line.msg.startsWith('cut'))
    expect(cut).toMatchObject({
      level: 'warn',
      open: [expect.stringMatching(/^1 connection on 127\.0\.0\.1:\d+ /)],
    })
  })
})

async function upgraded(port: number): Promise<RawClient> {
  const client = await http1(port)
  client.send(
    'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await client.until(() => client.received.includes('\r\n\r\n'))
  expect(client.received).toMatch(/^HTTP\/1\.1 101 /)
  client.send('before')
  return client.until(() => client.received.endsWith('before'))
}

describe('sluice proxy', () => {
  it('hands requests on over HTTP/1.1 and HTTP/2, and says who the client is', async () => {
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url])
    const port = await running.port()
    const forged = 'X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: ftp\r\nX-Request-Id: mine\r\n'
    const answer = await ask(port, GET.replace('Connection', `${forged}Connection`))
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toMatch(/\r\n\r\nGET \/path\?q=1 HTTP\/1\.1\r\nhost: a\.example\r\n/)
    expect(answer).toMatch(/\r\nx-forwarded-for: 127\.0\.0\.1\r\nx-forwarded-proto: https\r\n/)
    expect(answer).toMatch(/\r\nx-request-id: [\w-]{16}\r\n/i)
    expect(answer).not.toMatch(/192\.0\.2\.66|ftp|mine/)

    const session = await http2(`https://127.0.0.1:${port}`)
    expect(session.alpnProtocol).toBe('h2')
    const request = session.request({ ':path': '/two', ':authority': 'b.example' })
    expect(await all(request)).toMatch(
      /^GET \/two HTTP\/1\.1\r\nhost: b\.example\r\n[\s\S]*\r\nvia: 2 sluice\r\n/,
    )
  })

  it('streams an upload of 20 MB to the origin', async () => {
    let bytes = 0
    const origin = await startOrigin(async connection => {
      await connection.head()
      bytes = connection.rest.length
      connection.socket.removeAllListeners('data').on('data', chunk => {
        bytes += chunk.length
        if (bytes === 20_000_000) void connection.send(OK)
      })
    })
    const running = await sluice(['--to', origin.url])
    const client = await http1(await running.port())
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\nConnection: close\r\n\r\n')
    client.send(Buffer.alloc(20_000_000))
    expect((await client.over()).received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/)
    expect(bytes).toBe(20_000_000)
  })

  it('takes several upstreams in turn, however they are named', async () => {
    const origins = await Promise.all(['one', 'two'].map(name => startOrigin(named(name))))
    const [one, two] = origins.map(({ port }) => String(port))
    const running = await RunningSluice.start([
      `127.0.0.1:${one}`,
      '--from',
      '127.0.0.1:0',
      '--to',
      two ?? '',
    ])
    cleanups.push(() => running[Symbol.asyncDispose]())
    const port = await running.port()
    const bodies: string[] = []
    for (let count = 0; count < 4; count++) bodies.push((await ask(port)).slice(-3))
    expect(bodies).toEqual(['two', 'one', 'two', 'one'])
  })

  it('serves without TLS where that is told, HTTP/2 too', async () => {
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url, '--http'])
    const port = await running.port()
    const client = await RawClient.connect(port)
    expect((await client.send(GET).over()).received).toMatch(/\r\nx-forwarded-proto: http\r\n/)
    const session = await http2(`http://127.0.0.1:${port}`)
    expect(await all(session.request({ ':path': '/two' }))).toMatch(/^GET \/two /)
    const { certificate, routes } = await running.logged(line => line.msg === 'ready')
    expect(certificate).toBeUndefined()
    expect(routes).toMatchObject([{ scheme: 'http' }])
  })

  it('serves the certificate of its files', async () => {
    const { cert, key } = files()
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url, '--cert', cert, '--key', key])
    const trust = { ca: testCertificate, servername: 'localhost', rejectUnauthorized: true }
    expect(await ask(await running.port(), GET, trust)).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  it('keeps the Host of the request, or tells upstreams their own', async () => {
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url, '--host', 'upstream'])
    const answer = await ask(await running.port())
    expect(answer).toMatch(new RegExp(`\r\nhost: 127\\.0\\.0\\.1:${origin.port}\r\n`))
    expect(answer).toMatch(/\r\nx-forwarded-host: a\.example\r\n/)
  })

  it('believes what trusted proxies say of the client and of the request', async () => {
    const origin = await startOrigin(mirror)
    const networks = ['--trust', '192.0.2.0/24', '--trust', '10.0.0.0/8,loopback']
    const running = await sluice(['--to', origin.url, ...networks])
    const told = 'X-Forwarded-For: 198.51.100.7\r\nX-Request-Id: theirs\r\n'
    const answer = await ask(await running.port(), GET.replace('Connection', `${told}Connection`))
    expect(answer).toMatch(/\r\nx-forwarded-for: 198\.51\.100\.7, 127\.0\.0\.1\r\n/i)
    expect(answer).toMatch(/\r\nx-request-id: theirs\r\n/i)
    await running.printed(/"client":"198\.51\.100\.7","peer":"127\.0\.0\.1:/)
  })

  it('takes PROXY headers, and sends them', async () => {
    const first = Promise.withResolvers<string>()
    const origin = await startOrigin(async connection => {
      first.resolve(await connection.head())
      await connection.send(OK)
    })
    const running = await sluice(['--to', origin.url, '--accept-proxy', 'loopback', '--send-proxy', 'v1'])
    const port = await running.port()
    const raw = keep(connectPlain({ port, host: '127.0.0.1' }))
    raw.write('PROXY TCP4 198.51.100.7 192.0.2.1 5000 443\r\n')
    expect(await ask(port, GET, { socket: raw })).toMatch(/ok$/)
    expect(await first.promise).toMatch(
      /^PROXY TCP4 198\.51\.100\.7 192\.0\.2\.1 5000 443\r\nGET \/path\?q=1 HTTP\/1\.1\r\n[\s\S]*x-forwarded-for: 198\.51\.100\.7\r\n/,
    )
    await expect(http1(port)).rejects.toThrow()
    await running.logged(line => line.code === 'PROXY_HEADER_MISSING')
  })

  it('verifies https upstreams: with the CA that it was told, or not at all if it must be', async () => {
    const origin = await startOrigin(mirror, { tls: true })
    const strict = await sluice(['--to', origin.url])
    expect(await ask(await strict.port())).toMatch(/^HTTP\/1\.1 502 [\s\S]*TLS_UPSTREAM_UNVERIFIED/)
    const told = await sluice(['--to', origin.url, '--ca', files().cert])
    expect(await ask(await told.port())).toMatch(/^HTTP\/1\.1 200 /)
    expect(told.lines.filter(({ level }) => level === 'warn')).toEqual([])
    const unsafe = await sluice(['--to', origin.url, '--unsafe-skip-verify'])
    expect(await ask(await unsafe.port())).toMatch(/^HTTP\/1\.1 200 /)
    await unsafe.logged(({ level, msg }) => level === 'warn' && msg.includes('--unsafe-skip-verify'))
  })

  it('listens on a unix socket, and hands on to one', async () => {
    const path = folder()
    const upstream = join(path, 'app.sock')
    const backend = await sluice([
      '--to',
      (await startOrigin(mirror)).url,
      '--from',
      `unix:${upstream}`,
      '--http',
    ])
    const edge = join(path, 'edge.sock')
    const running = await sluice(['--to', `unix:${upstream}`, '--from', `unix:${edge}`])
    expect(await ask(0, GET, { socket: keep(connectPlain(edge)) })).toMatch(/^HTTP\/1\.1 200 /)
    expect((await running.logged(line => line.msg === 'ready')).routes).toMatchObject([
      { scheme: 'https', listen: `unix:${edge}`, to: `unix:${upstream}` },
    ])
    expect(backend.running).toBe(true)
  })

  it('survives an upstream that is down, names it in the log alone, and serves when it is back', async () => {
    const down = await freePort()
    const running = await sluice(['--to', `127.0.0.1:${down}`])
    const port = await running.port()
    const answer = await ask(port)
    expect(answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*CONNECT_REFUSED/)
    expect(answer).not.toContain(String(down))
    const line = await running.logged(({ code }) => code === 'CONNECT_REFUSED')
    expect(line).toMatchObject({ level: 'warn', msg: expect.stringContaining(`127.0.0.1:${down} refused`) })
    expect(running.lines.filter(({ code }) => code !== undefined)).toHaveLength(1)

    const server = createServer(socket => keep(socket).once('data', () => socket.end(OK)))
    server.listen(down, '127.0.0.1')
    cleanups.push(() => server.close())
    await once(server, 'listening')
    expect(await ask(port)).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  it('shows what happened inside to developers who ask for it', async () => {
    const down = await freePort()
    const running = await sluice(['--to', `127.0.0.1:${down}`, '--development'])
    expect(await ask(await running.port())).toContain(`127.0.0.1:${down} refused the connection`)
  })
})

/** Answers with a name. */
function named(name: string): OriginScript {
  return async connection => {
    for (;;) {
      await connection.request()
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${name}`)
    }
  }
}

describe('the access log of sluice proxy', () => {
  it('has a line of JSON for each request on standard output, and nothing else is there', async () => {
    const origin = await startOrigin(mirror)
    // Not --json: that standard output is no terminal is enough.
    const running = await sluice(['--to', origin.url], { json: false })
    const port = await running.port()
    await ask(port)
    await ask(port, GET.replace('/path?q=1', '/again'))
    await running.printed(/\n[\s\S]*\n/)
    const lines: LogLine[] = running.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toMatchObject([
      {
        method: 'GET',
        target: '/path?q=1',
        status: 200,
        upstream: origin.url,
        tls: 'TLSv1.3',
        version: '1.1',
      },
      { method: 'GET', target: '/again', status: 200 },
    ])
  })

  it('has a line for each request over HTTP/2', async () => {
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url, '--access-log', 'combined'])
    const session = await http2(`https://127.0.0.1:${await running.port()}`)
    await all(session.request({ ':path': '/two', 'user-agent': 'test' }))
    expect(await running.printed(/\n/)).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/[^\]]+\] "GET \/two HTTP\/2\.0" 200 \d+ "-" "test"\n$/,
    )
  })

  it('is for people where that is told, below the banner, and has the code of what failed', async () => {
    const down = await freePort()
    const running = await sluice(['--to', String(down), '--access-log', 'pretty'], { json: false })
    const port = Number(/https:\/\/127\.0\.0\.1:(\d+)\//.exec(running.stdout)?.[1])
    await ask(port)
    expect(await running.printed(/GET/)).toMatch(
      /^\n {2}sluice [\s\S]*\n\n\d\d:\d\d:\d\d GET {2}\/path\?q=1 502 \d+\.\d ms CONNECT_REFUSED\n$/,
    )
  })

  it('can be left out', async () => {
    const origin = await startOrigin(mirror)
    const running = await sluice(['--to', origin.url, '--access-log', 'off'])
    await ask(await running.port())
    running.signal('SIGTERM')
    expect(await running.exited()).toBe(0)
    expect(running.stdout).toBe('')
  })

  it('is written to the end before the program exits', async () => {
    const { origin, asked, answer } = await slowOrigin()
    const running = await sluice(['--to', origin.url])
    const client = (await http1(await running.port())).send(GET)
    await asked
    await drain(running)
    answer()
    await client.over()
    expect(await running.exited()).toBe(0)
    expect(JSON.parse(running.stdout)).toMatchObject({ target: '/path?q=1', status: 200 })
  })
})

describe('the banner of sluice proxy', () => {
  const number = /\d+/.source
  const expires = /\d{4}-\d\d-\d\d/.source

  it('tells people where to go to, what is behind it, and what to try', async () => {
    const running = await sluice(['--from', 'localhost:0', '3000', '3001', '--access-log', 'off'], {
      json: false,
    })
    expect(running.stdout).toMatch(
      new RegExp(
        [
          `^\n {2}sluice ${version.replaceAll('.', '\\.')} {2}ready in ${number} ms\n`,
          '\n',
          ` {2}https://localhost:${number}/ {2}→ {2}http://localhost:3000, http://localhost:3001 {2}\\(in turn\\)\n`,
          ` {2}certificate {2}localhost, 127\\.0\\.0\\.1, ::1 {2}\\(self-signed, expires ${expires}\\)\n`,
          '\n',
          ` {2}Try: curl -k https://localhost:${number}/\n\n$`,
        ].join(''),
      ),
    )
  })

  it.each([
    [['--from', ':0', '--http'], '  http://localhost:0/ (on all addresses)  →  ', 'curl http://localhost:0/'],
    [
      ['--from', '127.0.0.1:0', '--accept-proxy', 'loopback', '--send-proxy', 'v2'],
      '(PROXY header required; PROXY v2 sent)',
      'curl -k --haproxy-protocol https://127.0.0.1:0/',
    ],
  ])('says with %j what is to be known', async (args, says, tries) => {
    const running = await sluice([...args, '3000', '--access-log', 'off'], { json: false })
    const text = running.stdout.replaceAll(/:\d+\//g, ':0/')
    expect(text).toContain(says)
    expect(text).toContain(`Try: ${tries}\n`)
  })

  it('does not say to try what would fail: a certificate of its own may be for names that lead elsewhere', async () => {
    const authority = await makeCertificate({ name: 'CA', ca: true })
    const names = [{ type: 'dns', value: 'site.example' } as const]
    const { cert, key } = files(await makeCertificate({ issuer: authority, names }))
    const args = ['--cert', cert, '--key', key, '--to', '3000', '--access-log', 'off']
    const running = await sluice(args, { json: false })
    expect(running.stdout).toMatch(/\n {2}certificate {2}site\.example {2}\(expires [\d-]+\)\n\n$/)
  })
})
