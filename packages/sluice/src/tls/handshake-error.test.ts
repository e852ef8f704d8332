import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../../test/support/certificates.ts'
import { closed, listenTls, type TlsListener } from '../../test/support/tls.ts'
import { configureLogging } from '../core/index.ts'
import type { AcceptTlsOptions } from './accept-tls.ts'
import { selfSigned } from './certificates/index.ts'
import { handshakeError } from './handshake-error.ts'

configureLogging({ directives: 'off' })

const certificate = selfSigned()
const open: TlsListener[] = []
const sockets: Socket[] = []

/** Whatever goes wrong with a client, nothing may get as far as this. */
const escaped: unknown[] = []
const note = (error: unknown) => escaped.push(error)
let ca: TestCertificate

beforeAll(async () => {
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  ca = await testCertificate({ ca: true, name: 'clients' })
  await certificate.certificate()
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(open.splice(0).map(({ listener }) => listener.close(0)))
  expect(escaped).toEqual([])
})
afterAll(() => {
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
})

async function serve(options: Partial<AcceptTlsOptions>): Promise<TlsListener> {
  const listener = await listenTls({ certificate, ...options })
  open.push(listener)
  return listener
}

/** Why the server ended the handshake with a TLS client. */
async function failure(
  options: Partial<AcceptTlsOptions>,
  clientOptions: ConnectionOptions,
): Promise<string> {
  const listener = await serve(options)
  const socket = connect({
    port: listener.port,
    host: '127.0.0.1',
    servername: 'localhost',
    rejectUnauthorized: false,
    ...clientOptions,
  })
  sockets.push(socket)
  closed(socket)
  return (await listener.next()).error?.code ?? 'succeeded'
}

/** Why the server ended a connection on which these bytes came, and nothing of what follows if `then` is given. */
async function failureOf(
  bytes: string | Buffer,
  options: Partial<AcceptTlsOptions>,
  then: 'wait' | 'end' | 'reset' = 'wait',
): Promise<string> {
  const listener = await serve(options)
  const socket = connectTcp({ port: listener.port, host: '127.0.0.1', allowHalfOpen: then === 'end' })
  sockets.push(socket)
  const done = closed(socket)
  await once(socket, 'connect')
  await new Promise<void>(resolve => socket.write(bytes, () => resolve()))
  if (then === 'end') socket.end()
  if (then === 'reset') socket.resetAndDestroy()
  const code = (await listener.next()).error?.code ?? 'succeeded'
  if (then === 'wait') await done
  return code
}

/** What a TLS client says first. */
async function firstFlight(): Promise<Buffer> {
  const { createServer } = await import('node:net')
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost' })
  socket.on('error', () => {})
  const [peer] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(peer, 'data')) as [Buffer]
  socket.destroy()
  peer.destroy()
  server.close()
  return hello
}

const ECDSA = 'ECDHE-ECDSA-AES128-GCM-SHA256'

describe.each([{ clientHello: false }, { clientHello: true }])(
  'a handshake fails (clientHello: $clientHello)',
  options => {
    it.each<[string, string, Partial<AcceptTlsOptions>, ConnectionOptions]>([
      [
        'no cipher in common',
        'TLS_NO_SHARED_CIPHER',
        { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
        { ciphers: ECDSA, maxVersion: 'TLSv1.2' },
      ],
      [
        'a version that is too low',
        'TLS_NO_SHARED_VERSION',
        { minVersion: 'TLSv1.3' },
        { maxVersion: 'TLSv1.2' },
      ],
      [
        'a version that is too high',
        'TLS_NO_SHARED_VERSION',
        { maxVersion: 'TLSv1.2' },
        { minVersion: 'TLSv1.3' },
      ],
      [
        'no group in common',
        'TLS_NO_SHARED_GROUP',
        { groups: ['P-256'] },
        { ecdhCurve: 'P-384', minVersion: 'TLSv1.3' },
      ],
      [
        'no signature in common',
        'TLS_NO_SHARED_SIGNATURE',
        {},
        { sigalgs: 'rsa_pss_rsae_sha256', minVersion: 'TLSv1.3' },
      ],
      ['no protocol in common', 'TLS_NO_SHARED_ALPN', { alpn: ['h2'] }, { ALPNProtocols: ['http/1.1'] }],
      ['a client that leaves at our certificate', 'TLS_HANDSHAKE_CLOSED', {}, { rejectUnauthorized: true }],
    ])('for %s with %s', async (_, code, server, client) => {
      expect(await failure({ ...options, ...server }, client)).toBe(code)
    })

    it('for no TLS 1.3 cipher in common', async () => {
      const server = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' } as const
      expect(await failure({ ...options, ...server }, { ciphers: 'TLS_AES_128_GCM_SHA256' })).toBe(
        'TLS_NO_SHARED_CIPHER',
      )
    })

    it.each([
      'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
      'POST /a HTTP/1.1\r\n\r\n',
      'CONNECT a:443 HTTP/1.1\r\n\r\n',
    ])('for plain HTTP: %j', async text => {
      expect(await failureOf(text, options)).toBe('TLS_PLAIN_HTTP')
    })

    it.each([
      ['SSH', 'SSH-2.0-OpenSSH_9.9\r\n'],
      ['SMTP', 'EHLO mail.example\r\n'],
      ['zeros', Buffer.alloc(100)],
      ['ones', Buffer.alloc(100, 255)],
      ['a PROXY header', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'],
    ])('for something that is not TLS: %s', async (_, bytes) => {
      expect(await failureOf(bytes, options)).toBe('TLS_NOT_TLS')
    })

    it('for a ClientHello that is none', async () => {
      const garbage = Buffer.concat([Buffer.from([22, 3, 1, 0, 50]), Buffer.alloc(50, 7)])
      expect(await failureOf(garbage, options)).toMatch(/^TLS_(HANDSHAKE_FAILED|CLIENT_HELLO_MALFORMED)$/)
    })

    it('for a ClientHello of 64 KB', async () => {
      const message = Buffer.concat([Buffer.from([1, 0, 255, 255, 3, 3]), Buffer.alloc(65_533, 7)])
      const records = Array.from({ length: 5 }, (_, index) => {
        const part = message.subarray(index * 16_000, (index + 1) * 16_000)
        return Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part])
      })
      const hello = Buffer.concat(records)
      expect(await failureOf(hello, options)).toMatch(/^TLS_(HANDSHAKE_FAILED|CLIENT_HELLO_TOO_LARGE)$/)
    })

    it('for silence, half a record, and a client that says nothing after its ClientHello', async () => {
      const limited = { ...options, handshakeTimeout: 100 }
      expect(await failureOf('', limited)).toBe('TLS_HANDSHAKE_TIMEOUT')
      expect(await failureOf(Buffer.from([22, 3, 1, 0, 200, 1]), limited)).toBe('TLS_HANDSHAKE_TIMEOUT')
      expect(await failureOf(await firstFlight(), limited)).toBe('TLS_HANDSHAKE_TIMEOUT')
    })

    it('for one byte at a time, at its limit in all', async () => {
      const listener = await serve({ ...options, handshakeTimeout: 300 })
      const socket = connectTcp({ port: listener.port, host: '127.0.0.1' })
      sockets.push(socket)
      const hello = await firstFlight()
      let at = 0
      const drip = setInterval(() => socket.write(hello.subarray(at, ++at)), 20)
      const began = performance.now()
      const { error } = await listener.next()
      clearInterval(drip)
      expect(error?.code).toBe('TLS_HANDSHAKE_TIMEOUT')
      expect(performance.now() - began).toBeLessThan(5000)
    })

    it.each(['end', 'reset'] as const)('for a client that goes at any stage (%s)', async how => {
      const hello = await firstFlight()
      for (const bytes of [Buffer.alloc(0), hello.subarray(0, 3), hello.subarray(0, -1), hello]) {
        expect(await failureOf(bytes, options, how)).toBe('TLS_HANDSHAKE_CLOSED')
      }
    })

    it.each([
      ['TLSv1.2', 'required'],
      ['TLSv1.3', 'required'],
      ['TLSv1.2', 'asked for'],
      ['TLSv1.3', 'asked for'],
    ] as const)('for client certificates over %s where they are %s', async (version, way) => {
      const server = { ...options, clientCertificates: { ca: ca.cert, require: way === 'required' } }
      const withCertificate = (own?: TestCertificate) => ({
        maxVersion: version,
        ...(own && { cert: own.cert, key: own.key }),
      })
      const bad = [
        await testCertificate({ name: 'issued by nobody' }),
        await testCertificate({ issuer: ca, until: -0.5, usage: 'client' }),
        await testCertificate({ issuer: ca, usage: 'server' }),
      ]
      for (const own of bad) {
        expect(await failure(server, withCertificate(own))).toBe('TLS_CLIENT_CERTIFICATE_INVALID')
      }
      expect(await failure(server, withCertificate())).toBe(
        way === 'required' ? 'TLS_CLIENT_CERTIFICATE_MISSING' : 'succeeded',
      )
      const good = await testCertificate({ issuer: ca, name: 'good', usage: 'client' })
      expect(await failure(server, withCertificate(good))).toBe('succeeded')
    })
  },
)

describe('handshakeError', () => {
  it.each([
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'TLS_CERTIFICATE_REFUSED'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'TLS_CERTIFICATE_REFUSED'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'TLS_CERTIFICATE_REFUSED'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'TLS_CERTIFICATE_REFUSED'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'TLS_NO_SHARED_VERSION'],
    ['ERR_SSL_CERTIFICATE_VERIFY_FAILED', 'TLS_CLIENT_CERTIFICATE_INVALID'],
    ['ERR_SSL_UNEXPECTED_EOF_WHILE_READING', 'TLS_HANDSHAKE_CLOSED'],
    ['EPIPE', 'TLS_HANDSHAKE_CLOSED'],
    ['ERR_SSL_SOMETHING_NEW', 'TLS_HANDSHAKE_FAILED'],
    ['EMFILE', 'TLS_HANDSHAKE_FAILED'],
  ])('makes of %s %s', (platform, code) => {
    const cause = Object.assign(new Error('from the platform'), { code: platform })
    expect(handshakeError(cause)).toMatchObject({ code, cause })
  })
})
