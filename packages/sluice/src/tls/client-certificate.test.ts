import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../../test/support/certificates.ts'
import { listenTls, type TlsListener } from '../../test/support/tls.ts'
import { configureLogging } from '../core/index.ts'
import { certificateAuthority, issueBy, selfSigned } from './certificates/index.ts'

configureLogging({ directives: 'off' })

const open: TlsListener[] = []
const sockets: TLSSocket[] = []
let ca: TestCertificate

beforeAll(async () => {
  ca = await testCertificate({ ca: true, name: 'clients' })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(open.splice(0).map(({ listener }) => listener.close(0)))
})

async function connected(listener: TlsListener, options: object): Promise<TLSSocket> {
  const socket = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  sockets.push(socket)
  await once(socket, 'secureConnect')
  return socket
}

describe('clientCertificate', () => {
  it('says who the client has proved to be', async () => {
    const listener = await listenTls({
      certificate: selfSigned(),
      clientCertificates: { ca: ca.cert, require: true },
    })
    open.push(listener)
    const own = await testCertificate({
      issuer: ca,
      usage: 'client',
      subject: [{ O: ['Müller, Sons & Co\nCN=admin'] }, { CN: ['client one, CN=admin'] }],
      names: [
        { type: 'dns', value: 'one.example' },
        { type: 'email', value: 'one@example' },
        { type: 'url', value: 'spiffe://example/one' },
        { type: 'ip', value: '192.0.2.1' },
      ],
    })
    await connected(listener, { cert: own.cert, key: own.key })
    const certificate = (await listener.next()).tls?.clientCertificate
    const raw = Buffer.from(own.x509.rawData)
    expect(certificate).toMatchObject({
      verified: true,
      commonName: 'client one, CN=admin',
      subject: 'O=Müller\\, Sons & Co\\0ACN=admin\nCN=client one\\, CN=admin',
      names: {
        dns: ['one.example'],
        email: ['one@example'],
        uri: ['spiffe://example/one'],
        ip: ['192.0.2.1'],
      },
      fingerprint: createHash('sha256').update(raw).digest('hex'),
    })
    expect(certificate?.raw.equals(raw)).toBe(true)
  })

  it.each([{}, { require: undefined }, { require: 'false' }, { require: null }])(
    'is required unless it is said that it is not: %j',
    async given => {
      const listener = await listenTls({
        certificate: selfSigned(),
        clientCertificates: { ca: ca.cert, ...(given as object) },
      })
      open.push(listener)
      const socket = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false })
      sockets.push(socket)
      socket.on('error', () => {})
      expect((await listener.next()).error?.code).toBe('TLS_CLIENT_CERTIFICATE_MISSING')
    },
  )

  it.each([
    ['several', [{ CN: ['one'] }, { CN: ['two'] }]],
    ['none', [{ O: ['Example'] }]],
  ])('gives no common name where there are %s', async (_, subject) => {
    const listener = await listenTls({
      certificate: selfSigned(),
      clientCertificates: { ca: ca.cert, require: true },
    })
    open.push(listener)
    const own = await testCertificate({ issuer: ca, usage: 'client', subject })
    await connected(listener, { cert: own.cert, key: own.key })
    expect((await listener.next()).tls?.clientCertificate).toMatchObject({ commonName: undefined })
  })

  it.each([
    ['TLSv1.2', 'the certificate of the layer'],
    ['TLSv1.3', 'the certificate of the layer'],
    ['TLSv1.2', 'a certificate by name'],
    ['TLSv1.3', 'a certificate by name'],
  ])('is known again when a session is resumed over %s with %s', async (maxVersion, which) => {
    const certificate = which.endsWith('name') ? issueBy(certificateAuthority()) : selfSigned()
    const listener = await listenTls({ certificate, clientCertificates: { ca: ca.cert, require: true } })
    open.push(listener)
    const own = await testCertificate({ issuer: ca, usage: 'client', name: 'again' })
    const options = { cert: own.cert, key: own.key, servername: 'a.example', maxVersion }
    const first = await connected(listener, options)
    const ticket = new Promise(resolve => first.once('session', resolve))
    first.write('x')
    const session = maxVersion === 'TLSv1.2' ? first.getSession() : await ticket
    expect((await listener.next()).tls).toMatchObject({
      resumed: false,
      clientCertificate: { commonName: 'again' },
    })
    await connected(listener, { ...options, session })
    expect((await listener.next()).tls).toMatchObject({
      resumed: true,
      clientCertificate: { commonName: 'again', verified: true },
    })
  })

  it('does not carry a session over to a layer that asks for another CA', async () => {
    const certificate = selfSigned()
    const open1 = await listenTls({ certificate, maxVersion: 'TLSv1.2' })
    const strict = await listenTls({
      certificate,
      maxVersion: 'TLSv1.2',
      clientCertificates: { ca: ca.cert, require: true },
    })
    open.push(open1, strict)
    const first = await connected(open1, {})
    const socket = connect({
      port: strict.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      session: first.getSession() ?? Buffer.alloc(0),
    })
    sockets.push(socket)
    socket.on('error', () => {})
    expect((await strict.next()).error?.code).toBe('TLS_CLIENT_CERTIFICATE_MISSING')
  })
})
