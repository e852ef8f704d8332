// The reverse proxy with sendProxyHeader: nginx and HAProxy hear of each request from whom it is, over connections that are
// kept, and no two clients ever share one.
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { connect } from 'node:http2'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { configureLogging } from 'sluice'
import { sendProxyHeader } from 'sluice/proxy-protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { freePort, type Peer, startPeer, temporaryFolder } from '../support/peers.ts'
import { until } from '../support/sockets.ts'

configureLogging({ directives: 'off' })

const folder = temporaryFolder()
const file = (name: string): string => `${folder.path}/${name}`
const ports = { nginx: 0, haproxy: 0 }
const peers: Peer[] = []

beforeAll(async () => {
  ports.nginx = await freePort()
  ports.haproxy = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    file('nginx.conf'),
    `
    daemon off;
    master_process off;
    pid ${file('nginx.pid')};
    error_log stderr;
    events { worker_connections 64; }
    http {
      log_format clients '$connection $connection_requests $remote_addr $remote_port $request_uri';
      access_log ${file('access.log')} clients;
      ${temporary.map(name => `${name}_temp_path ${file(name)};`).join('\n')}
      server {
        listen 127.0.0.1:${ports.nginx} proxy_protocol;
        set_real_ip_from 127.0.0.1;
        real_ip_header proxy_protocol;
        location / { return 200 "$remote_addr $remote_port"; }
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
frontend origin
  bind 127.0.0.1:${ports.haproxy} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port]"
`,
  )
  peers.push(
    await startPeer({
      program: 'nginx',
      package: 'nginx-light',
      args: ['-c', file('nginx.conf'), '-e', 'stderr', '-p', folder.path],
      ports: [ports.nginx],
    }),
    await startPeer({
      program: 'haproxy',
      package: 'haproxy',
      args: ['-f', file('haproxy.cfg'), '-db'],
      ports: [ports.haproxy],
    }),
  )
})

afterAll(async () => {
  await stopEdges()
  for (const peer of peers) await peer.stop()
  folder.remove()
})

/** The lines of nginx's log, in their parts. */
function logged(): string[][] {
  const lines = readFileSync(file('access.log'), 'utf8').split('\n').slice(0, -1)
  return lines.map(line => line.split(' '))
}

interface Answer {
  readonly body: string
  /** The port of the client's connection. */
  readonly port: number
}

/** A client that keeps its one connection. */
class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #base: string

  constructor(base: string) {
    this.#base = base
  }

  ask(path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let socket: Socket | undefined
      const request = get(`${this.#base}${path}`, { agent: this.#agent }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', text => {
          body += text
        })
        response.on('end', () => resolve({ body, port: socket?.localPort ?? 0 }))
      })
      request.on('socket', used => {
        socket = used
      })
      request.on('error', reject)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk
  return text
}

describe.each(['nginx', 'haproxy'] as const)('in front of %s', name => {
  const start = (version: 1 | 2): Promise<Edge> =>
    startEdge(`http://127.0.0.1:${ports[name]}`, { connect: sendProxyHeader({ version }) })

  it.each([1, 2] as const)('clients that take turns are told apart (version %i)', async version => {
    const { plain } = await start(version)
    const clients = Array.from({ length: 3 }, () => new Client(plain))
    const seen = new Map<Client, number>()
    for (let round = 0; round < 6; round++) {
      for (const client of clients) {
        const { body, port } = await client.ask(`/v${version}/${clients.indexOf(client)}/${round}`)
        expect(body).toBe(`127.0.0.1 ${port}`)
        expect(port).toBe(seen.get(client) ?? port)
        seen.set(client, port)
      }
    }
    expect(new Set(seen.values()).size).toBe(3)
    for (const client of clients) client.close()
    if (name !== 'nginx') return
    const read = () => logged().filter(line => line[4]?.startsWith(`/v${version}/`))
    // nginx writes a line when it has answered.
    await until(() => read().length === 18)
    const lines = read()
    for (const client of clients) {
      const own = lines.filter(line => line[4]?.startsWith(`/v${version}/${clients.indexOf(client)}/`))
      // One connection for each client, kept for all of its requests, with the client's address on each line.
      expect(
        own.map(([connection, count, host, port]) => [connection, Number(count), host, Number(port)]),
      ).toEqual(own.map((_, round) => [own[0]?.[0], round + 1, '127.0.0.1', seen.get(client)]))
    }
    expect(new Set(lines.map(([connection]) => connection)).size).toBe(3)
  })

  it('clients that ask at the same time are told apart', async () => {
    const { plain } = await start(2)
    const clients = Array.from({ length: 8 }, () => new Client(plain))
    const answers = await Promise.all(
      clients.flatMap(client => Array.from({ length: 5 }, (_, count) => client.ask(`/many/${count}`))),
    )
    for (const { body, port } of answers) expect(body).toBe(`127.0.0.1 ${port}`)
    expect(new Set(answers.map(({ port }) => port)).size).toBe(8)
    for (const client of clients) client.close()
  })

  it('the streams of one client over HTTP/2 are its own, and nobody else is taken for it', async () => {
    const { secure } = await start(2)
    const sessions = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const session = connect(secure, { rejectUnauthorized: false })
        const asked = Array.from({ length: 10 }, (_, count) =>
          textOf(session.request({ ':path': `/h2/${count}` })),
        )
        const answers = await Promise.all(asked)
        const port = session.socket.localPort ?? 0
        session.close()
        return { port, answers }
      }),
    )
    for (const { port, answers } of sessions) expect(answers).toEqual(answers.map(() => `127.0.0.1 ${port}`))
    expect(new Set(sessions.map(({ port }) => port)).size).toBe(4)
  })

  it('a client that comes after another from the same address gets no connection of that one', async () => {
    const { plain } = await start(1)
    const ports: number[] = []
    for (let round = 0; round < 5; round++) {
      const client = new Client(plain)
      const { body, port } = await client.ask('/next')
      expect(body).toBe(`127.0.0.1 ${port}`)
      ports.push(port)
      client.close()
    }
    expect(new Set(ports).size).toBe(5)
  })
})
