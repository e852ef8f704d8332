// sendProxyHeader writes PROXY headers, and nginx and HAProxy read them.
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { configureLogging, type Layer, stack } from 'sluice'
import { type Connection, connectTcp, forward, IpAddress, ipAddress, listen } from 'sluice/net'
import {
  acceptProxyHeader,
  type SendProxyHeaderOptions,
  sendProxyHeader,
  serializeProxyHeader,
} from 'sluice/proxy-protocol'
import { acceptTls, selfSigned } from 'sluice/tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, runPeer, startPeer, temporaryFolder } from '../support/peers.ts'

configureLogging({ directives: 'off' })

const folder = temporaryFolder()
const file = (name: string): string => `${folder.path}/${name}`
const closers: (() => unknown)[] = []
const ports = { stream: 0, http: 0, haproxy: 0 }

/** Each receiver answers with the four parts of what it was told; HAProxy also with the TLVs that it knows. */
beforeAll(async () => {
  for (const name of ['stream', 'http', 'haproxy'] as const) ports[name] = await freePort()
  const claimed =
    '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port'
  writeFileSync(
    file('nginx.conf'),
    `
    load_module /usr/lib/nginx/modules/ngx_stream_module.so;
    daemon off;
    pid ${file('nginx.pid')};
    error_log stderr;
    worker_processes 1;
    events { worker_connections 64; }
    stream {
      server { listen 127.0.0.1:${ports.stream} proxy_protocol; return "${claimed}"; }
    }
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder.path};`).join('\n')}
      server {
        listen 127.0.0.1:${ports.http} proxy_protocol;
        set_real_ip_from 127.0.0.1;
        real_ip_header proxy_protocol;
        location / { return 200 "${claimed} realip $remote_addr $remote_port"; }
      }
    }
    `,
  )
  writeFileSync(
    file('haproxy.cfg'),
    `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend receiver
  bind 127.0.0.1:${ports.haproxy} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port] authority=%[fc_pp_authority] id=%[fc_pp_unique_id]"
`,
  )
  const nginx = await startPeer({
    program: 'nginx',
    package: 'nginx-light',
    args: ['-c', file('nginx.conf'), '-e', 'stderr', '-p', folder.path],
    ports: [ports.stream, ports.http],
  })
  const haproxy = await startPeer({
    program: 'haproxy',
    package: 'haproxy',
    args: ['-f', file('haproxy.cfg'), '-db'],
    ports: [ports.haproxy],
  })
  closers.push(
    () => nginx.stop(),
    () => haproxy.stop(),
  )
})

afterAll(async () => {
  for (const close of closers.reverse()) await close()
  folder.remove()
})

/** A proxy in front of a receiver; answers what to connect to. */
async function proxy(
  receiver: number,
  options: SendProxyHeaderOptions = {},
  on = '127.0.0.1:0',
  above: Layer<Connection> = next => next,
): Promise<number> {
  const service = stack<Connection>()
    .layer(above)
    .service(forward(ipAddress('127.0.0.1', receiver), { connect: sendProxyHeader(options) }))
  const listener = await listen(on, {}, service)
  closers.push(() => listener.close(0))
  return listener.address instanceof IpAddress ? listener.address.port : 0
}

/** What comes back over HTTP, and the port that curl itself had. */
async function curl(...args: string[]): Promise<{ body: string; clientPort: string }> {
  const { code, stdout, stderr } = await runPeer('curl', 'curl', ['-sS', '-w', '\n%{local_port}', ...args])
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}`)
  const [body = '', clientPort = ''] = stdout.split('\n')
  return { body, clientPort }
}

/** What comes back over TCP, and the port that the client had. */
async function dial(
  port: number,
  host: string,
  first?: Buffer,
): Promise<{ body: string; clientPort: number }> {
  const socket = connect(port, host)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const clientPort = socket.localPort ?? 0
  if (first !== undefined) socket.write(first)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return { body: Buffer.concat(chunks).toString(), clientPort }
}

describe.each([1, 2] as const)('version %i', version => {
  it('to nginx, stream: the client and the address that it dialled', async () => {
    const port = await proxy(ports.stream, { version })
    const { body, clientPort } = await dial(port, '127.0.0.1')
    expect(body).toBe(`127.0.0.1 ${clientPort} 127.0.0.1 ${port}`)
  })

  it('to nginx, http: its realip takes the client', async () => {
    const port = await proxy(ports.http, { version })
    const { body, clientPort } = await curl(`http://127.0.0.1:${port}/`)
    expect(body).toBe(`127.0.0.1 ${clientPort} 127.0.0.1 ${port} realip 127.0.0.1 ${clientPort}`)
  })

  it('to HAProxy', async () => {
    const port = await proxy(ports.haproxy, { version })
    const { body, clientPort } = await curl(`http://127.0.0.1:${port}/`)
    expect(body).toBe(`127.0.0.1 ${clientPort} 127.0.0.1 ${port} authority= id=`)
  })

  it('for a client on IPv6', async () => {
    for (const receiver of [ports.http, ports.haproxy]) {
      const port = await proxy(receiver, { version }, '[::1]:0')
      const { body, clientPort } = await curl(`http://[::1]:${port}/`)
      expect(body).toContain(`::1 ${clientPort} ::1 ${port}`)
    }
  })

  it('for a client on IPv6 whose destination is IPv4, which is mapped', async () => {
    const addresses = { source: ipAddress('2001:db8::7', 4711), destination: ipAddress('192.0.2.1', 443) }
    const claim = Buffer.concat([serializeProxyHeader({ addresses }), Buffer.from('GET / HTTP/1.0\r\n\r\n')])
    const trusting = acceptProxyHeader({ trust: ['loopback'] })
    const nginx = await dial(await proxy(ports.http, { version }, undefined, trusting), '127.0.0.1', claim)
    expect(nginx.body).toMatch(
      /2001:db8::7 4711 ::ffff:(?:192\.0\.2\.1|c000:201) 443 realip 2001:db8::7 4711$/,
    )
    const haproxy = await dial(
      await proxy(ports.haproxy, { version }, undefined, trusting),
      '127.0.0.1',
      claim,
    )
    expect(haproxy.body).toMatch(/2001:db8::7 4711 ::ffff:192\.0\.2\.1 443 authority= id=$/)
  })

  it('to nginx for a client on a unix socket, of whom it knows no address', async () => {
    const path = file(`nginx-${version}.sock`)
    await proxy(ports.http, { version }, `unix:${path}`)
    const { body } = await curl('--unix-socket', path, 'http://localhost/')
    expect(body).toMatch(/ realip 127\.0\.0\.1 \d+$/)
  })

  it('for nobody: a connection of our own', async () => {
    for (const receiver of [ports.http, ports.haproxy]) {
      const connector = sendProxyHeader({ version })(connectTcp())
      const { socket } = await connector({ to: ipAddress('127.0.0.1', receiver) })
      socket.write('GET / HTTP/1.0\r\n\r\n')
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk)
      expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.\d 200 /)
    }
  })
})

describe('version 1', () => {
  it('to HAProxy for a client on a unix socket, which is UNKNOWN', async () => {
    const path = file('haproxy.sock')
    await proxy(ports.haproxy, { version: 1 }, `unix:${path}`)
    const { body } = await curl('--unix-socket', path, 'http://localhost/')
    expect(body).toMatch(/^127\.0\.0\.1 \d+ 127\.0\.0\.1 \d+ authority= id=$/)
  })
})

describe('version 2 with more than addresses', () => {
  it('a checksum, which HAProxy verifies', async () => {
    const port = await proxy(ports.haproxy, { crc32c: true })
    const { body, clientPort } = await curl(`http://127.0.0.1:${port}/`)
    expect(body).toContain(`127.0.0.1 ${clientPort} `)
    const addresses = { source: ipAddress('192.0.2.1', 1), destination: ipAddress('192.0.2.2', 2) }
    const header = serializeProxyHeader({ addresses, crc32c: true })
    const request = Buffer.from('GET / HTTP/1.0\r\n\r\n')
    const right = await dial(ports.haproxy, '127.0.0.1', Buffer.concat([header, request]))
    expect(right.body).toContain('192.0.2.1 1 192.0.2.2 2')
    header.writeUInt8(9, 16)
    const wrong = await dial(ports.haproxy, '127.0.0.1', Buffer.concat([header, request])).catch(() => ({
      body: '',
    }))
    expect(wrong.body).toBe('')
  })

  it('a unique id and TLVs of our own', async () => {
    const port = await proxy(ports.haproxy, {
      uniqueId: ({ id }) => Buffer.from(`sluice-${id}`),
      tlvs: [
        { kind: 0xea, value: Buffer.from('x'.repeat(300)) },
        { kind: 0x04, value: Buffer.alloc(5) },
      ],
    })
    const { body } = await curl(`http://127.0.0.1:${port}/`)
    expect(body).toMatch(/ authority= id=sluice-\d+$/)
  })

  it('what TLS proved: AUTHORITY from SNI', async () => {
    const service = stack<Connection>()
      .layer(acceptTls({ certificate: selfSigned({ names: ['example.com'] }) }))
      .service(forward(ipAddress('127.0.0.1', ports.haproxy), { connect: sendProxyHeader({ crc32c: true }) }))
    const listener = await listen('127.0.0.1:0', {}, service)
    closers.push(() => listener.close(0))
    const port = listener.address instanceof IpAddress ? listener.address.port : 0
    const { body, clientPort } = await curl(
      ...['-k', '--resolve', `example.com:${port}:127.0.0.1`, `https://example.com:${port}/`],
    )
    expect(body).toBe(`127.0.0.1 ${clientPort} 127.0.0.1 ${port} authority=example.com id=`)
  })
})
