// acceptTls and connectTls against OpenSSL's own client and server, and curl.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { configureLogging, type Service } from '../../src/core/index.ts'
import { type Connection, connectTcp, IpAddress } from '../../src/net/index.ts'
import {
  type AcceptTlsOptions,
  certificateAuthority,
  connectTls,
  fromPem,
  issueBy,
} from '../../src/tls/index.ts'
import { type TestCertificate, testCertificate } from '../support/certificates.ts'
import {
  findProgram,
  freePort,
  type RunResult,
  runPeer,
  startPeer,
  temporaryFolder,
} from '../support/peers.ts'
import { listenTls, type TlsListener } from '../support/tls.ts'

configureLogging({ directives: 'off' })

const folder = temporaryFolder()
const open: TlsListener[] = []
let ca: TestCertificate
let server: TestCertificate
let client: TestCertificate
let caFile: string
let clientFile: string
let serverFile: string

beforeAll(async () => {
  ca = await testCertificate({ ca: true, name: 'interop ca' })
  server = await testCertificate({ issuer: ca })
  client = await testCertificate({ issuer: ca, name: 'interop client', usage: 'client' })
  caFile = file('ca.pem', ca.cert)
  clientFile = file('client.pem', client.cert + client.key)
  serverFile = file('server.pem', server.cert + server.key)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ listener }) => listener.close(0)))
})
afterAll(folder.remove)

function file(name: string, text: string): string {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}

/** Answers a line and closes. */
const answer: Service<Connection> = async ({ socket }) => {
  socket.once('data', chunk => socket.end(`answer to ${String(chunk)}`))
  await once(socket, 'close')
}

async function listenWith(options: Partial<AcceptTlsOptions> = {}): Promise<TlsListener> {
  const certificate = fromPem({ cert: server.cert, key: server.key })
  const listener = await listenTls({ certificate, ...options }, answer)
  open.push(listener)
  return listener
}

/** Says a line through `openssl s_client`, which verifies with our CA unless told otherwise. */
function openssl({ port }: TlsListener, ...args: string[]): Promise<RunResult> {
  return runPeer(
    'openssl',
    'openssl',
    [
      's_client',
      '-connect',
      `127.0.0.1:${port}`,
      ...['-CAfile', caFile, '-verify_return_error', '-ign_eof', '-servername', 'localhost'],
      ...args,
    ],
    { input: 'hello\n' },
  )
}

describe.each(['1_2', '1_3'])('openssl s_client with TLS %s', version => {
  const only = `-tls${version}`

  it.each([false, true])('verifies, speaks and is answered (clientHello: %s)', async clientHello => {
    const listener = await listenWith({ clientHello, alpn: ['http/1.1'] })
    const { stdout } = await openssl(listener, only, '-alpn', 'h2,http/1.1')
    expect(stdout).toContain('answer to hello')
    expect(stdout).toContain('Verification: OK')
    expect(stdout).toContain('ALPN protocol: http/1.1')
    expect((await listener.next()).tls).toMatchObject({
      serverName: 'localhost',
      alpn: 'http/1.1',
      version: `TLSv${version.replace('_', '.')}`,
    })
  })

  it('names the cipher as we do', async () => {
    const listener = await listenWith()
    const { stdout } = await openssl(listener, only)
    const { tls } = await listener.next()
    expect(stdout).toContain(`Cipher is ${tls?.cipher}\n`)
  })

  it('resumes a session', async () => {
    const listener = await listenWith()
    const session = join(folder.path, `session${version}`)
    expect((await openssl(listener, only, '-sess_out', session)).stdout).toContain('New, TLS')
    expect((await openssl(listener, only, '-sess_in', session)).stdout).toContain('Reused, TLS')
    expect((await listener.next()).tls?.resumed).toBe(false)
    expect((await listener.next()).tls?.resumed).toBe(true)
  })

  it('shows its certificate, and is refused without one', async () => {
    const listener = await listenWith({ clientCertificates: { ca: caFile, require: true } })
    expect((await openssl(listener, only, '-cert', clientFile)).stdout).toContain('answer to hello')
    expect((await listener.next()).tls?.clientCertificate?.commonName).toBe('interop client')
    const { stdout, stderr } = await openssl(listener, only)
    expect(stdout).not.toContain('answer')
    expect(stderr).toMatch(version === '1_2' ? /alert handshake failure/ : /alert certificate required/)
    expect((await listener.next()).error?.code).toBe('TLS_CLIENT_CERTIFICATE_MISSING')
  })

  it('refuses our certificate, which we say', async () => {
    const listener = await listenWith({ certificate: issueBy(certificateAuthority()) })
    await openssl(listener, only)
    expect((await listener.next()).error?.code).toBe('TLS_CERTIFICATE_REFUSED')
  })

  it.each<[string, Partial<AcceptTlsOptions>, string[], RegExp, string]>([
    [
      'version',
      version === '1_2' ? { minVersion: 'TLSv1.3' } : { maxVersion: 'TLSv1.2' },
      [],
      /alert protocol version/,
      'TLS_NO_SHARED_VERSION',
    ],
    [
      'protocol',
      { alpn: ['h2'] },
      ['-alpn', 'http/1.1'],
      /alert no application protocol/,
      'TLS_NO_SHARED_ALPN',
    ],
  ])('is told by an alert that there is no %s in common', async (_, options, args, alert, code) => {
    const listener = await listenWith(options)
    expect((await openssl(listener, only, ...args)).stderr).toMatch(alert)
    expect((await listener.next()).error?.code).toBe(code)
  })
})

describe('openssl s_client', () => {
  it('is refused renegotiation (R)', async () => {
    const listener = await listenWith()
    const child = spawn(
      findProgram('openssl', 'openssl'),
      ['s_client', '-connect', `127.0.0.1:${listener.port}`, '-tls1_2', '-CAfile', caFile],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', text => (output += text))
    child.stdin.on('error', () => {})
    await listener.next()
    child.stdin.write('R\n')
    await once(child, 'close')
    expect(output).toContain('RENEGOTIATING')
    expect(output).toContain('no renegotiation')
    expect(output).not.toContain('answer to')
  })

  it('gets a certificate for each name that it asks for', async () => {
    const authority = certificateAuthority()
    const own = file('own-ca.pem', await authority.certificate())
    const listener = await listenWith({ certificate: issueBy(authority) })
    for (const name of ['a.example', 'b.example']) {
      const { stdout } = await openssl(
        listener,
        '-CAfile',
        own,
        '-servername',
        name,
        '-verify_hostname',
        name,
      )
      expect(stdout).toContain(`Verified peername: ${name}`)
      expect(stdout).toContain('answer to hello')
    }
  })
})

describe('curl', () => {
  it('says that it does not trust us, and so do we', async () => {
    const listener = await listenWith({ clientHello: true })
    const { code } = await runPeer('curl', 'curl', ['-s', `https://127.0.0.1:${listener.port}/`])
    expect(code).toBe(60)
    expect((await listener.next()).error?.code).toBe('TLS_CERTIFICATE_REFUSED')
  })
})

describe('connectTls to openssl s_server', () => {
  it.each(['1_2', '1_3'])('verifies, shows its certificate and speaks over TLS %s', async version => {
    const port = await freePort()
    await using peer = await startPeer({
      program: 'openssl',
      package: 'openssl',
      args: [
        's_server',
        ...['-accept', `127.0.0.1:${port}`, '-cert', serverFile, '-key', serverFile, `-tls${version}`],
        ...['-Verify', '1', '-verify_return_error', '-CAfile', caFile, '-rev', '-alpn', 'other'],
      ],
      ports: [port],
    })
    const connector = connectTls({
      ca: caFile,
      certificate: fromPem({ cert: client.cert, key: client.key }),
      alpn: ['other'],
    })(connectTcp())
    const stream = await connector({ to: new IpAddress('ipv4', '127.0.0.1', port) })
    const socket = stream.socket as TLSSocket
    socket.write('abc\n')
    const [line] = await once(socket, 'data')
    expect(String(line)).toBe('cba\n')
    expect(socket.alpnProtocol).toBe('other')
    expect(socket.authorized).toBe(true)
    stream.reset()
    expect(peer.output()).toContain('interop client')
  })
})
