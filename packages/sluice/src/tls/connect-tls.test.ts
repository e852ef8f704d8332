import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../../test/support/certificates.ts'
import { temporaryFolder } from '../../test/support/peers.ts'
import { closed, echo, listenTls, type TlsListener } from '../../test/support/tls.ts'
import { configureLogging, isSluiceError } from '../core/index.ts'
import {
  type Connected,
  type Connection,
  connectTcp,
  ipAddress,
  NamedAddress,
  UnixAddress,
} from '../net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../proxy-protocol/index.ts'
import type { AcceptTlsOptions } from './accept-tls.ts'
import { fromPem, selfSigned } from './certificates/index.ts'
import { type ConnectTlsOptions, connectTls } from './connect-tls.ts'

configureLogging({ directives: 'off' })

const listeners: TlsListener[] = []
const servers: Server[] = []
const streams: Connected[] = []
const sockets: Socket[] = []
let ca: TestCertificate
let own: TestCertificate

beforeAll(async () => {
  ca = await testCertificate({ ca: true, name: 'upstreams' })
  own = await testCertificate({ issuer: ca, name: 'upstream' })
})
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.reset()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
  await Promise.all(listeners.splice(0).map(({ listener }) => listener.close(0)))
})

/** An upstream whose certificate is for localhost and 127.0.0.1, issued by the CA. */
async function upstream(options: Partial<AcceptTlsOptions> = {}): Promise<TlsListener> {
  const listener = await listenTls({ certificate: fromPem({ cert: own.cert, key: own.key }), ...options })
  listeners.push(listener)
  return listener
}

/** An upstream that does what it is told with each raw connection. */
async function rawUpstream(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

async function connect(
  port: number,
  options: ConnectTlsOptions = {},
  host = '127.0.0.1',
): Promise<TLSSocket> {
  const to = host === 'localhost' ? new NamedAddress(host, port) : ipAddress(host, port)
  const stream = await connectTls(options)(connectTcp())({ to })
  streams.push(stream)
  return stream.socket as TLSSocket
}

/** The code and message of what connecting fails with. */
async function failure(port: number, options: ConnectTlsOptions = {}, host?: string): Promise<string> {
  try {
    await connect(port, options, host)
  } catch (error) {
    return isSluiceError(error) ? `${error.code}: ${error.message}` : String(error)
  }
  return 'connected'
}

async function echoed(socket: TLSSocket, text: string): Promise<string> {
  const done = closed(socket)
  socket.end(text)
  return String((await done).data)
}

describe('connectTls', () => {
  it('verifies the IP address that it connects to, and names no server', async () => {
    const listener = await upstream()
    const socket = await connect(listener.port, { ca: ca.cert })
    expect(socket.authorized).toBe(true)
    expect((await listener.next()).tls).toMatchObject({ serverName: undefined, version: 'TLSv1.3' })
    expect(await echoed(socket, 'there and back')).toBe('there and back')
  })

  it('verifies the name that it connects to, and asks for it', async () => {
    const listener = await upstream()
    await connect(listener.port, { ca: ca.cert }, 'localhost')
    expect((await listener.next()).tls).toMatchObject({ serverName: 'localhost' })
  })

  it('verifies and asks for another name if it is told to', async () => {
    const listener = await upstream()
    await connect(listener.port, { ca: ca.cert, serverName: 'localhost' })
    expect((await listener.next()).tls).toMatchObject({ serverName: 'localhost' })
    await connect(listener.port, { ca: ca.cert, serverName: '127.0.0.1' }, 'localhost')
    expect((await listener.next()).tls).toMatchObject({ serverName: undefined })
    expect(await failure(listener.port, { ca: ca.cert, serverName: 'other.example' })).toMatch(
      /^TLS_UPSTREAM_UNVERIFIED: the certificate of 127\.0\.0\.1:\d+ is for other names; pass the right serverName: /,
    )
    expect(await failure(listener.port, { ca: ca.cert, serverName: '127.0.0.2' })).toMatch(
      /^TLS_UPSTREAM_UNVERIFIED/,
    )
  })

  it('takes CAs from files', async () => {
    const folder = temporaryFolder()
    const path = join(folder.path, 'ca.pem')
    writeFileSync(path, `some text\n${(await testCertificate({ ca: true })).cert}\n${ca.cert}`)
    const layer = connectTls({ ca: [path] })
    rmSync(path)
    const { port } = await upstream()
    streams.push(await layer(connectTcp())({ to: ipAddress('127.0.0.1', port) }))
    writeFileSync(path, '')
    expect(() => connectTls({ ca: path })).toThrow(`CA file ${JSON.stringify(path)} is empty`)
    rmSync(path)
    expect(() => connectTls({ ca: path })).toThrow(
      `CA file ${JSON.stringify(path)} does not exist; check the path`,
    )
    folder.remove()
  })

  it('logs each handshake that is done', async () => {
    const lines: object[] = []
    const listener = await upstream({ alpn: ['http/1.1'] })
    configureLogging({
      directives: 'off,tls=debug',
      format: 'json',
      destination: { write: line => void lines.push(JSON.parse(line)) },
    })
    try {
      await connect(listener.port, { ca: ca.cert, alpn: ['http/1.1'] }, 'localhost')
      await listener.next()
    } finally {
      configureLogging({ directives: 'off' })
    }
    expect(lines).toContainEqual(
      expect.objectContaining({
        target: 'tls',
        level: 'debug',
        msg: 'TLS connected',
        to: `localhost:${listener.port}`,
        serverName: 'localhost',
        alpn: 'http/1.1',
        version: 'TLSv1.3',
        cipher: expect.stringMatching(/^TLS_/),
        resumed: false,
      }),
    )
  })

  it('offers protocols and versions', async () => {
    const listener = await upstream({ alpn: ['http/1.1'] })
    const socket = await connect(listener.port, {
      ca: ca.cert,
      alpn: ['h2', 'http/1.1'],
      maxVersion: 'TLSv1.2',
    })
    expect(socket.alpnProtocol).toBe('http/1.1')
    expect((await listener.next()).tls).toMatchObject({ alpn: 'http/1.1', version: 'TLSv1.2' })
  })

  it('shows its own certificate', async () => {
    const mine = await testCertificate({ issuer: ca, name: 'sluice', usage: 'client' })
    const listener = await upstream({ clientCertificates: { ca: ca.cert, require: true } })
    await connect(listener.port, { ca: ca.cert, certificate: fromPem({ cert: mine.cert, key: mine.key }) })
    expect((await listener.next()).tls).toMatchObject({ clientCertificate: { commonName: 'sluice' } })
  })

  it('goes over a connection on which a PROXY header was written', async () => {
    let source = ''
    const listener = await listenTls(
      { certificate: fromPem({ cert: own.cert, key: own.key }), clientHello: true },
      connection => {
        source = String((connection as unknown as { proxied: { source: unknown } }).proxied.source)
        return echo(connection)
      },
      acceptProxyHeader({ trust: ['loopback'] }),
    )
    listeners.push(listener)
    const connector = connectTls({ ca: ca.cert })(sendProxyHeader()(connectTcp()))
    const client = { peer: ipAddress('192.0.2.1', 1111), local: ipAddress('192.0.2.2', 443) } as Connection
    const stream = await connector({ to: ipAddress('127.0.0.1', listener.port), client })
    streams.push(stream)
    expect(await echoed(stream.socket as TLSSocket, 'after the header')).toBe('after the header')
    expect(source).toBe('192.0.2.1:1111')
  })

  it('resets what is below TLS', async () => {
    const listener = await upstream()
    const socket = await connect(listener.port, { ca: ca.cert })
    await listener.next()
    streams.at(-1)?.reset()
    await closed(socket)
    expect(listener.listener.counts.accepted).toBe(1)
  })
})

describe('connectTls refuses', () => {
  it.each([
    ['a certificate of an unknown CA', {}, /CA that is not known here/],
    [
      'a certificate of the CA for another name',
      { names: [{ type: 'dns', value: 'a.example' }] },
      /for other names/,
    ],
    ['a certificate that has expired', { until: -0.5 }, /has expired; renew it there$/],
    ['a certificate that is not valid yet', { from: 0.5 }, /is not valid yet/],
  ] as const)('%s', async (_, bad, why) => {
    const { cert, key } = await testCertificate({ issuer: ca, ...bad })
    const { port } = await upstream({
      certificate: { certificate: () => ({ cert, key }) as never, describe: () => Promise.reject() },
    })
    const options = Object.keys(bad).length === 0 ? {} : { ca: ca.cert }
    const message = await failure(port, options)
    expect(message).toMatch(/^TLS_UPSTREAM_UNVERIFIED: the certificate of 127\.0\.0\.1:\d+ /)
    expect(message).toMatch(why)
  })

  it('a self-signed certificate', async () => {
    const { port } = await upstream({ certificate: selfSigned() })
    expect(await failure(port)).toMatch(
      // Bun does not tell it from one of an unknown CA.
      /^TLS_UPSTREAM_UNVERIFIED: the certificate of 127.0.0.1:\d+ (is self-signed; pass it as ca|was issued by a CA that)/,
    )
  })

  it('whatever the environment says', async () => {
    const { port } = await upstream({ certificate: selfSigned() })
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect(await failure(port)).toMatch(/^TLS_UPSTREAM_UNVERIFIED/)
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    }
  })

  it('nothing with unsafeSkipVerify', async () => {
    const { port } = await upstream({ certificate: selfSigned() })
    expect(await failure(port, { unsafeSkipVerify: true })).toBe('connected')
    expect(await failure(port, { unsafeSkipVerify: true, serverName: 'a.example' })).toBe('connected')
  })

  it('a unix socket without a name to verify', async () => {
    const to = new UnixAddress('/run/app.sock')
    await expect(connectTls()(connectTcp())({ to })).rejects.toMatchObject({
      code: 'TLS_UPSTREAM_UNVERIFIED',
      message: 'unix:/run/app.sock has no name to verify its certificate by; pass serverName',
    })
  })

  it('an upstream that does not speak TLS', async () => {
    const port = await rawUpstream(socket => {
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    expect(await failure(port)).toMatch(
      /^TLS_UPSTREAM_FAILED: the TLS handshake with .* failed: it answered with something that is not TLS$/,
    )
  })

  it('plain text before the handshake (as in CVE-2026-1642), never handing it on', async () => {
    const listener = await upstream()
    const port = await rawUpstream(async socket => {
      // Who is in the middle puts an answer in front of the real upstream's handshake.
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged')
      const { connect: connectRaw } = await import('node:net')
      const real = connectRaw(listener.port, '127.0.0.1')
      sockets.push(real)
      real.on('error', () => {})
      socket.pipe(real)
      real.pipe(socket)
    })
    expect(await failure(port, { ca: ca.cert })).toMatch(/^TLS_UPSTREAM_FAILED/)
    // The same when the text is there before TLS begins.
    const late = connectTls({ ca: ca.cert })(async request => {
      const stream = await connectTcp()(request)
      await once(stream.socket, 'readable')
      return stream
    })
    await expect(late({ to: ipAddress('127.0.0.1', port) })).rejects.toMatchObject({
      code: 'TLS_UPSTREAM_FAILED',
    })
  })

  it('an upstream that says nothing', async () => {
    const port = await rawUpstream(() => {})
    expect(await failure(port, { handshakeTimeout: 50 })).toMatch(
      /^TLS_UPSTREAM_TIMEOUT: the TLS handshake with 127.0.0.1:\d+ was not finished in 50 ms$/,
    )
  })

  it.each(['end', 'resetAndDestroy'] as const)('an upstream that goes in the handshake (%s)', async how => {
    const port = await rawUpstream(socket => {
      socket.once('data', () => socket[how]())
    })
    expect(await failure(port)).toMatch(
      /^TLS_UPSTREAM_FAILED: .* it closed the connection; does it speak TLS/,
    )
  })

  it('to go on when it is told to give up', async () => {
    const port = await rawUpstream(() => {})
    const abort = new AbortController()
    const connector = connectTls()(connectTcp())
    const outcome = connector({ to: ipAddress('127.0.0.1', port), signal: abort.signal })
    while (sockets.length === 0) await new Promise(resolve => setImmediate(resolve))
    abort.abort()
    await expect(outcome).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  it('to wait for a certificate of its own that does not come', async () => {
    const { port } = await upstream()
    const source = (answer: () => Promise<never>) => ({ certificate: answer, describe: answer })
    const hanging = source(() => new Promise(() => {}))
    expect(await failure(port, { certificate: hanging, handshakeTimeout: 50 })).toMatch(
      /^TLS_ISSUE_FAILED: there is no certificate of our own for 127.0.0.1:\d+ \(the source did not answer within 50 ms\)$/,
    )
    const away = source(() => Promise.reject(new Error('away')))
    expect(await failure(port, { certificate: away })).toMatch(/^TLS_ISSUE_FAILED: .* \(away\)$/)
    const connector = connectTls({ certificate: hanging })(connectTcp())
    const to = ipAddress('127.0.0.1', port)
    const abort = new AbortController()
    const outcome = connector({ to, signal: abort.signal })
    abort.abort()
    await expect(outcome).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    await expect(connector({ to, signal: abort.signal })).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  it.each<[string, object, string]>([
    ['an empty list of CAs', { ca: [] }, 'TLS_CA_INVALID'],
    ['an empty CA', { ca: '' }, 'TLS_CA_INVALID'],
    ['an unknown cipher', { ciphers: 'NONSENSE' }, 'TLS_OPTION_INVALID'],
    ['an empty server name', { serverName: '' }, 'TLS_OPTION_INVALID'],
    ['no time', { handshakeTimeout: 0 }, 'OPTION_INVALID'],
    ['less than no time', { handshakeTimeout: -1 }, 'DURATION_INVALID'],
  ])('%s when it is made', (_, options, code) => {
    expect(() => connectTls(options)).toThrow(expect.objectContaining({ code }))
  })
})
