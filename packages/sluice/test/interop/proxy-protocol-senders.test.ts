// HAProxy, hitch and curl write PROXY headers, and acceptProxyHeader reads them.
import { readFileSync, writeFileSync } from 'node:fs'
import { configureLogging, type Service, stack } from 'sluice'
import { type Connection, IpAddress, listen } from 'sluice/net'
import { acceptProxyHeader, type Proxied } from 'sluice/proxy-protocol'
import { acceptTls, selfSigned } from 'sluice/tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testCertificate } from '../support/certificates.ts'
import { freePort, type Peer, runPeer, startPeer, temporaryFolder } from '../support/peers.ts'

configureLogging({ directives: 'off' })

/** What the receiver answers over HTTP: what it observed and what was claimed. */
interface Told {
  readonly peer: string
  readonly proxied: {
    readonly version: number
    readonly command: string
    readonly transport: string
    readonly claimed: boolean
    readonly source: string
    readonly destination: string
    readonly tlvs: Record<string, unknown>
  }
}

const folder = temporaryFolder()
const file = (name: string): string => `${folder.path}/${name}`
const closers: (() => unknown)[] = []
let plain = 0
let secure = 0

/** A server certificate with its key in one file, and a CA with a client certificate. */
async function writeCertificates(): Promise<void> {
  const server = await testCertificate({ rsa: 2048, names: [{ type: 'dns', value: 'example.com' }] })
  const ca = await testCertificate({ name: 'Test CA', ca: true })
  const subject = [{ O: ['Analytical'] }, { CN: ['Ada Lovelace'] }]
  const client = await testCertificate({ subject, issuer: ca, usage: 'client' })
  writeFileSync(file('server.pem'), server.key + server.cert)
  writeFileSync(file('ca.crt'), ca.cert)
  writeFileSync(file('client.crt'), client.cert)
  writeFileSync(file('client.key'), client.key)
}

/** Answers an HTTP request, whatever it is, with what was observed and what was claimed. */
const tell: Service<Connection & Proxied> = ({ socket, peer, proxied }) =>
  new Promise(resolve => {
    const body = JSON.stringify({ peer, proxied })
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
    socket.once('data', () => socket.end(head + body))
    socket.once('end', () => socket.end())
    socket.once('close', () => resolve())
  })

async function start(service: Service<Connection>): Promise<number> {
  const listener = await listen('127.0.0.1:0', {}, service)
  closers.push(() => listener.close(0))
  if (!(listener.address instanceof IpAddress)) throw new Error('not on TCP')
  return listener.address.port
}

const proxied = stack<Connection>().layer(acceptProxyHeader({ trust: ['loopback'] }))

beforeAll(async () => {
  await writeCertificates()
  plain = await start(proxied.service(tell))
  secure = await start(proxied.layer(acceptTls({ certificate: selfSigned() })).service(tell))
})

afterAll(async () => {
  for (const close of closers.reverse()) await close()
  folder.remove()
})

/** Asks through a sender, and tells what the receiver answered and which port curl itself had. */
async function curl(...args: string[]): Promise<Told & { readonly clientPort: string }> {
  const { code, stdout, stderr } = await runPeer('curl', 'curl', ['-sS', '-w', '\n%{local_port}', ...args])
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}`)
  const [body = '', clientPort = ''] = stdout.split('\n')
  return { ...JSON.parse(body), clientPort }
}

const DEFAULTS = ['defaults', ' mode tcp', ' timeout connect 5s', ' timeout client 5s', ' timeout server 5s']

describe('HAProxy as the sender', () => {
  let haproxy: Peer
  const ports: Record<string, number> = {}

  beforeAll(async () => {
    const senders: Record<string, { bind?: string; server: string; more?: string }> = {
      v1: { server: 'send-proxy' },
      v2: { server: 'send-proxy-v2' },
      crc32c: { server: 'send-proxy-v2 proxy-v2-options crc32c,unique-id', more: 'unique-id-format %ci-%cp' },
      ssl: {
        bind: `ssl crt ${file('server.pem')} ca-file ${file('ca.crt')} verify optional alpn http/1.1`,
        server: 'send-proxy-v2-ssl-cn proxy-v2-options authority,ssl-cipher,cert-sig,cert-key,crc32c',
      },
      overTls: { server: 'send-proxy-v2 ssl verify none' },
    }
    const config = [
      'defaults',
      ' mode tcp',
      ' timeout connect 5s',
      ' timeout client 5s',
      ' timeout server 5s',
    ]
    for (const [name, { bind = '', server, more = '' }] of Object.entries(senders)) {
      const port = await freePort()
      ports[name] = port
      const to = name === 'overTls' ? secure : plain
      config.push(
        `listen ${name}`,
        ` bind 127.0.0.1:${port} ${bind}`,
        ` ${more}`,
        ` server s 127.0.0.1:${to} ${server}`,
      )
    }
    config.push('listen unix', ` bind ${file('haproxy.sock')}`, ` server s 127.0.0.1:${plain} send-proxy-v2`)
    writeFileSync(file('haproxy.cfg'), `${config.join('\n')}\n`)
    haproxy = await startPeer({
      program: 'haproxy',
      package: 'haproxy',
      args: ['-f', file('haproxy.cfg'), '-db'],
      ports: Object.values(ports),
    })
    closers.push(() => haproxy.stop())
  })

  const url = (name: string, scheme = 'http') => `${scheme}://127.0.0.1:${ports[name]}/`

  it('version 1', async () => {
    const { clientPort, peer, proxied } = await curl(url('v1'))
    expect(proxied).toMatchObject({
      version: 1,
      command: 'proxy',
      transport: 'stream',
      claimed: true,
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${ports.v1}`,
      tlvs: {},
    })
    expect(peer).not.toBe(proxied.source)
  })

  it('version 2', async () => {
    const { clientPort, proxied } = await curl(url('v2'))
    expect(proxied).toMatchObject({
      version: 2,
      command: 'proxy',
      transport: 'stream',
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${ports.v2}`,
      tlvs: {},
    })
  })

  it('version 2 with its checksum and a unique id', async () => {
    const { clientPort, proxied } = await curl(url('crc32c'))
    const uniqueId = Buffer.from(`127.0.0.1-${clientPort}`).toString('hex')
    expect(proxied).toMatchObject({ source: `127.0.0.1:${clientPort}`, tlvs: { uniqueId } })
  })

  it('version 2 with SSL, for a client without a certificate', async () => {
    const { proxied } = await curl('-k', '--tlsv1.3', url('ssl', 'https'))
    expect(proxied.tlvs).toMatchObject({
      ssl: {
        tls: true,
        certificateOnConnection: false,
        certificateInSession: false,
        verified: false,
        version: 'TLSv1.3',
        cipher: expect.stringMatching(/^TLS_/),
        signatureAlgorithm: 'RSA-SHA256',
        keyAlgorithm: 'RSA2048',
      },
    })
  })

  it('version 2 with SSL, CN and AUTHORITY, for a client with a certificate', async () => {
    const { proxied } = await curl(
      ...['-k', '--tls-max', '1.2', '--cert', file('client.crt'), '--key', file('client.key')],
      ...['--resolve', `example.com:${ports.ssl}:127.0.0.1`, `https://example.com:${ports.ssl}/`],
    )
    expect(proxied.tlvs).toMatchObject({
      authority: 'example.com',
      ssl: {
        tls: true,
        certificateOnConnection: true,
        verified: true,
        version: 'TLSv1.2',
        commonName: 'Ada Lovelace',
      },
    })
  })

  it('version 2 before TLS, in front of a TLS server', async () => {
    const { clientPort, proxied } = await curl(url('overTls'))
    expect(proxied).toMatchObject({
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${ports.overTls}`,
    })
  })

  it('a client on a unix socket, of whom nothing is claimed', async () => {
    const { peer, proxied } = await curl('--unix-socket', file('haproxy.sock'), 'http://localhost/')
    expect(proxied).toMatchObject({ claimed: false, source: peer })
  })

  it('health checks, which claim nobody else', async () => {
    const claims: Proxied['proxied'][] = []
    const both = Promise.withResolvers<void>()
    const checked = await start(
      proxied.service(({ proxied }) => {
        claims.push(proxied)
        if (new Set(claims.map(({ version }) => version)).size === 2) both.resolve()
      }),
    )
    const servers = ['send-proxy', 'send-proxy-v2'].map(
      (send, index) => ` server s${index} 127.0.0.1:${checked} ${send} check inter 50ms`,
    )
    // HAProxy does not start without something to listen on.
    const port = await freePort()
    const idle = ['frontend idle', ` bind 127.0.0.1:${port}`, ' tcp-request connection reject']
    writeFileSync(file('checks.cfg'), `${[...DEFAULTS, ...idle, 'backend checks', ...servers].join('\n')}\n`)
    const checker = await startPeer({
      program: 'haproxy',
      package: 'haproxy',
      args: ['-f', file('checks.cfg'), '-db'],
      ports: [port],
    })
    await both.promise
    await checker.stop()
    for (const { version, command, claimed, source } of claims) {
      expect(source).toMatchObject({ host: '127.0.0.1' })
      expect({ command, claimed }).toEqual(
        version === 2 ? { command: 'local', claimed: false } : { command: 'proxy', claimed: true },
      )
    }
  })
})

describe('hitch as the sender', () => {
  async function hitch(...options: string[]): Promise<number> {
    const port = await freePort()
    const config = [
      `frontend = { host = "127.0.0.1" port = "${port}" }`,
      `backend = "[127.0.0.1]:${plain}"`,
      `pem-file = "${file('server.pem')}"`,
      'workers = 1',
      'alpn-protos = "http/1.1"',
      ...options,
    ]
    writeFileSync(file(`hitch-${port}.conf`), `${config.join('\n')}\n`)
    const peer = await startPeer({
      program: 'hitch',
      package: 'hitch',
      args: ['--config', file(`hitch-${port}.conf`), '--user', 'nobody'],
      ports: [port],
    })
    closers.push(() => peer.stop())
    return port
  }

  it('version 1', async () => {
    const port = await hitch('write-proxy-v1 = on')
    const { clientPort, proxied } = await curl('-k', `https://127.0.0.1:${port}/`)
    expect(proxied).toMatchObject({
      version: 1,
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${port}`,
    })
  })

  it('version 2 with what it tells about TLS', async () => {
    const port = await hitch('write-proxy-v2 = on', 'proxy-tlv = on')
    const { clientPort, proxied } = await curl(
      ...['-k', '--resolve', `example.com:${port}:127.0.0.1`, `https://example.com:${port}/`],
    )
    expect(proxied).toMatchObject({
      version: 2,
      command: 'proxy',
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${port}`,
      tlvs: {
        alpn: 'http/1.1',
        authority: 'example.com',
        ssl: { tls: true, verified: false, version: 'TLSv1.3', cipher: expect.stringMatching(/^TLS_/) },
      },
    })
  })

  it('version 2 with the whole client certificate', async () => {
    const port = await hitch(
      'write-proxy-v2 = on',
      'proxy-tlv = on',
      'proxy-client-cert = on',
      'client-verify = required',
      `client-verify-ca = "${file('ca.crt')}"`,
    )
    const { proxied } = await curl(
      ...['-k', '--cert', file('client.crt'), '--key', file('client.key'), `https://127.0.0.1:${port}/`],
    )
    expect(proxied.tlvs).toMatchObject({ ssl: { certificateOnConnection: true, verified: true } })
    const body = (pem: string) => pem.replaceAll(/-----.*-----|\s/g, '')
    const sent = Buffer.from(String(proxied.tlvs['0xe0']), 'hex').toString()
    expect(body(sent)).toBe(body(readFileSync(file('client.crt'), 'utf8')))
  })
})

describe('curl as the sender', () => {
  it('version 1', async () => {
    const { clientPort, proxied } = await curl('--haproxy-protocol', `http://127.0.0.1:${plain}/`)
    expect(proxied).toMatchObject({
      version: 1,
      claimed: true,
      source: `127.0.0.1:${clientPort}`,
      destination: `127.0.0.1:${plain}`,
    })
  })

  it('version 1 before TLS', async () => {
    const { clientPort, proxied } = await curl('-k', '--haproxy-protocol', `https://127.0.0.1:${secure}/`)
    expect(proxied).toMatchObject({ version: 1, source: `127.0.0.1:${clientPort}` })
  })

  it('is refused without its header', async () => {
    const { code } = await runPeer('curl', 'curl', ['-s', `http://127.0.0.1:${plain}/`])
    // Nothing came back, or a reset.
    expect([52, 56]).toContain(code)
  })
})
