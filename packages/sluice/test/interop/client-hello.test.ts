// The ClientHellos of real clients, as they come today: our JA3 must be tshark's, our JA4 that of another reader.
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { calculateJa4, readTlsClientHello } from 'read-tls-client-hello'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientHelloReader, ja3, parseClientHello } from '../../src/tls/client-hello/index.ts'
import { capturedHellos } from '../support/captured-hellos.ts'
import { startChromium } from '../support/chromium.ts'
import { inRecords } from '../support/client-hello.ts'
import { pcapOf } from '../support/pcap.ts'
import { type RunResult, runPeer, temporaryFolder } from '../support/peers.ts'

interface Running {
  /** Settles when the client has ended by itself, if it does. */
  readonly ended?: Promise<RunResult>
  stop(): unknown
}

interface Client {
  readonly client: string
  /** Makes the client connect to a port on 127.0.0.1. */
  start(port: number): Promise<Running>
}

const clients: readonly Client[] = [
  {
    client: 'curl over HTTP/2',
    start: port =>
      run('curl', [
        '-sk',
        '--http2',
        '--resolve',
        `a.example:${port}:127.0.0.1`,
        `https://a.example:${port}/`,
      ]),
  },
  {
    client: 'curl over HTTP/1.1 to an address',
    start: port => run('curl', ['-sk', '--http1.1', `https://127.0.0.1:${port}/`]),
  },
  {
    client: 'curl with TLS 1.2',
    start: port => run('curl', ['-sk', '--tls-max', '1.2', `https://localhost:${port}/`]),
  },
  {
    client: 'openssl with TLS 1.3',
    start: port =>
      run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.example', '-tls1_3']),
  },
  {
    client: 'openssl with TLS 1.2 and ALPN',
    start: port =>
      run('openssl', [
        's_client',
        '-connect',
        `127.0.0.1:${port}`,
        '-noservername',
        '-tls1_2',
        '-alpn',
        'h2',
      ]),
  },
  {
    client: 'openssl with few ciphers and groups',
    start: port =>
      run('openssl', [
        ...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.example', '-groups', 'P-256'],
        ...['-cipher', 'ECDHE-RSA-AES128-GCM-SHA256', '-ciphersuites', 'TLS_AES_128_GCM_SHA256'],
      ]),
  },
  {
    client: 'Node',
    start: port => node(port, { servername: 'a.example', ALPNProtocols: ['h2', 'http/1.1'] }),
  },
  { client: 'Node with TLS 1.2 alone', start: port => node(port, { maxVersion: 'TLSv1.2' }) },
  { client: 'Chromium', start: port => chromium(`https://a.example:${port}/`) },
  { client: 'Chromium to an address', start: port => chromium(`https://127.0.0.1:${port}/`) },
]

/** A client that ends by itself once the connection is reset. */
async function run(program: string, args: readonly string[]): Promise<Running> {
  const ended = runPeer(program, program, args)
  return { ended, stop: () => ended }
}

async function node(port: number, options: object): Promise<Running> {
  const socket = connectTls({ port, host: '127.0.0.1', ...options })
  socket.on('error', () => {})
  return { stop: () => socket.destroy() }
}

function chromium(url: string): Promise<Running> {
  return startChromium(url, ['--host-resolver-rules=MAP a.example 127.0.0.1'])
}

/** The first bytes of a client, up to where its ClientHello ends. */
async function firstBytes(client: Client): Promise<Buffer> {
  const sockets: Socket[] = []
  const server = createServer()
  const bytes = new Promise<Buffer>((resolve, reject) => {
    server.on('connection', socket => {
      sockets.push(socket)
      const read = clientHelloReader()
      let sofar = Buffer.alloc(0)
      socket.on('error', reject)
      socket.on('data', (chunk: Buffer) => {
        sofar = Buffer.concat([sofar, chunk])
        try {
          if (read(sofar) === undefined) return
          resolve(sofar)
        } catch (error) {
          reject(error)
        }
        socket.on('error', () => {})
        socket.resetAndDestroy()
      })
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const running = await client.start(address.port)
  try {
    const first = await Promise.race([bytes, ...(running.ended === undefined ? [] : [running.ended])])
    if (!Buffer.isBuffer(first)) throw new Error(`${client.client} sent no ClientHello: ${first.stderr}`)
    return first
  } finally {
    await running.stop()
  }
}

interface Dissected {
  readonly text: string
  readonly hash: string
  readonly serverName: string
}

/** What tshark reads in connections that begin with these bytes. */
async function tshark(streams: readonly Buffer[]): Promise<readonly Dissected[]> {
  const folder = temporaryFolder('sluice-pcap-')
  onTestFinished(folder.remove)
  const file = join(folder.path, 'hellos.pcap')
  writeFileSync(file, pcapOf(streams))
  const fields = ['ja3_full', 'ja3', 'extensions_server_name'].flatMap(name => [
    '-e',
    `tls.handshake.${name}`,
  ])
  const result = await runPeer('tshark', 'tshark', [
    ...['-r', file, '-Y', 'tls.handshake.type == 1', '-T', 'fields', ...fields],
  ])
  if (result.code !== 0) throw new Error(result.stderr)
  const lines = result.stdout.split('\n').filter(line => line !== '')
  return lines.map(line => {
    const [text = '', hash = '', serverName = ''] = line.split('\t')
    return { text, hash, serverName }
  })
}

describe('the ClientHello of', () => {
  it.each(clients)('$client has the JA3 that tshark says', async client => {
    const bytes = await firstBytes(client)
    const hello = parseClientHello(bytes)
    if (hello === undefined) throw new Error('the hello was not read')
    expect(await tshark([bytes])).toEqual([{ ...ja3(hello), serverName: hello.serverNameAsSent ?? '' }])

    const stream = new PassThrough()
    stream.end(bytes)
    expect(hello.ja4).toBe(calculateJa4(await readTlsClientHello(stream)))
  })
})

describe('tshark', () => {
  it('says the same of the recorded hellos', async () => {
    const dissected = await tshark(capturedHellos.map(({ bytes }) => bytes))
    expect(dissected.map(({ hash }) => hash)).toEqual(capturedHellos.map(captured => captured.ja3))
  })

  it('says the same of hellos that are spread over records', async () => {
    const spread = capturedHellos.map(({ bytes }) => inRecords(bytes.subarray(5), [300, 90]))
    const dissected = await tshark(spread)
    expect(dissected.map(({ hash }) => hash)).toEqual(spread.map(bytes => parseClientHello(bytes)?.ja3))
  })
})
