// An origin on Node in a process of its own: the same routes over HTTP/1.1 and HTTP/2, in clear and with TLS, and
// WebSockets. It tells what happens to it in lines of JSON on standard output; the first has its ports.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2, createSecureServer } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { testCertificate } from './certificates.ts'
import { handleWebSockets } from './node-origin-websockets.ts'
import { pattern } from './pattern.ts'

/** The first line. */
export interface OriginPlaces {
  readonly ports: Readonly<Record<'http' | 'https' | 'h2c' | 'h2', number>>
  readonly ca: string
}

/** A later line. */
export interface OriginEvent {
  /** `begun`: a request has come to a route that says so; `closed`: it is over, answered or not. */
  readonly event: 'begun' | 'closed' | 'pong' | 'socket-closed' | 'reported'
  /** Path and query. */
  readonly url: string
  /** Bytes of its body that had come. */
  readonly received?: number
  /** The close code of a WebSocket. */
  readonly code?: number
  /** The reason for that, or what was reported. */
  readonly reason?: string
}

type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => unknown

function report(event: OriginEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

const CONTINUED = Symbol('continued')

const routes: Readonly<Record<string, Handler>> = {
  /** Says how the request came. */
  say: (request, response) => {
    const { method, url, httpVersion: version, headers } = request
    send(response, JSON.stringify({ method, url, version, headers, pairs: pairs(request.rawHeaders) }))
  },
  /** Sends the body back as it comes, and the trailers. */
  echo: async (request, response) => {
    const { 'content-type': type, 'content-length': length } = request.headers
    if (type !== undefined) response.setHeader('content-type', type)
    if (length !== undefined) response.setHeader('content-length', length)
    // Without it, Node would leave out trailers after a body of nothing.
    response.flushHeaders()
    await pipeline(request, response, { end: false })
    if (length === undefined) response.addTrailers(Object.fromEntries(pairs(request.rawTrailers)))
    response.end()
  },
  /** Reads the body, with `slowly` at no more than 100 MB a second, and says what it was. */
  hash: async (request, response, query) => {
    const hash = createHash('sha256')
    let bytes = 0
    let rest = 0
    for await (const chunk of request) {
      hash.update(chunk)
      bytes += chunk.length
      rest += chunk.length
      if (rest < 1_000_000 || !query.has('slowly')) continue
      rest = 0
      await wait(10)
    }
    const { 'transfer-encoding': coding, 'content-length': length } = request.headers
    const continued = Reflect.get(request, CONTINUED) === true
    const { trailers } = request
    send(response, JSON.stringify({ bytes, sha256: hash.digest('hex'), continued, coding, length, trailers }))
  },
  /** So many bytes, with their length or without. */
  bytes: (request, response, query) => {
    const count = Number(query.get('n'))
    if (!query.has('chunked')) response.setHeader('content-length', count)
    if (request.method === 'HEAD') return response.end()
    return pipeline(Readable.from(pattern(count), { objectMode: false }), response)
  },
  gzip: (_request, response) => {
    response.setHeader('content-encoding', 'gzip')
    send(response, gzipSync('made small '.repeat(1000)))
  },
  /** Early hints, and then an answer. */
  early: (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
    send(response, 'late')
  },
  trailers: (_request, response) => {
    response.setHeader('trailer', 'x-sum, x-more')
    response.write('with ')
    response.addTrailers({ 'x-sum': '42', 'x-more': 'yes' })
    response.end('trailers')
  },
  /** A body that ends with the connection, as of HTTP/1.0. */
  'until-closed': ({ socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\nx-old: yes\r\n\r\nuntil it is closed')
  },
  status: (_request, response, query) => {
    response.statusCode = Number(query.get('code'))
    send(response, query.get('body') ?? '')
  },
  /** Several fields of one name. */
  cookies: (_request, response) => {
    response.setHeader('set-cookie', ['a=1; Path=/', 'b=2; HttpOnly'])
    send(response, '')
  },
  /** Answers before the body has come. What of it came all the same, it tells. */
  refuse: (request, response, query) => {
    watch(request, response)
    response.statusCode = Number(query.get('code'))
    send(response, 'refused')
  },
  /** Never answers; says when the client has gone. */
  hang: (request, response) => {
    watch(request, response)
    request.pause()
  },
  /** Never answers, and reads what comes. */
  swallow: (request, response) => watch(request, response),
  /** Breaks off while it reads. */
  choke: (request, response, query) => {
    request.once('data', () => cut(request, response, query.get('how') ?? 'end'))
  },
  /** Begins an answer, and never ends it. */
  begin: (request, response) => {
    watch(request, response)
    response.write('begun')
  },
  /** Sends without an end until the client has gone. */
  endless: async (request, response) => {
    watch(request, response)
    await pipeline(Readable.from(pattern(Number.POSITIVE_INFINITY), { objectMode: false }), response)
  },
  /** Breaks off inside the body. */
  cut: (request, response, query) => {
    if (!query.has('chunked')) response.setHeader('content-length', 100_000)
    response.write('x'.repeat(1000), () => cut(request, response, query.get('how') ?? 'end'))
  },
  /** Breaks off before an answer. */
  drop: (request, response, query) => cut(request, response, query.get('how') ?? 'end'),
  /** An event, and each further one when `next` is asked for. */
  events: (_request, response, query) => {
    response.setHeader('content-type', query.get('type') ?? 'text/event-stream')
    response.setHeader('cache-control', 'no-store')
    let count = 0
    const next = () => {
      response.write(query.has('type') ? `piece ${count}\n` : `id: ${count}\ndata: event ${count}\n\n`)
      count += 1
    }
    streams.set(query.get('id') ?? '', { next, end: () => response.end() })
    next()
  },
  next: (_request, response, query) => {
    const stream = streams.get(query.get('id') ?? '')
    if (query.has('end')) stream?.end()
    else stream?.next()
    send(response, '')
  },
  /** Tells what a page has found out. */
  report: async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    report({ event: 'reported', url: request.url ?? '', reason: String(Buffer.concat(chunks)) })
    send(response, '')
  },
}

/** The TCP connections, by the port of the other side. */
const transports = new Map<number, Socket>()
const streams = new Map<string, { next(): void; end(): void }>()

function send(response: ServerResponse, body: string | Buffer): void {
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html',
  'app.js': 'text/javascript',
  'style.css': 'text/css',
  'image.svg': 'image/svg+xml',
}

/** One of the files of the page for browsers. */
function sendFile(response: ServerResponse, name: string): void {
  const type = TYPES[name]
  if (type === undefined) {
    response.statusCode = 404
    send(response, 'not found')
    return
  }
  response.setHeader('content-type', type)
  send(response, readFileSync(new URL(`browser/${name}`, import.meta.url)))
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[at * 2] ?? '', raw[at * 2 + 1] ?? ''])
}

function watch(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? ''
  let received = 0
  request.on('data', chunk => {
    received += chunk.length
  })
  report({ event: 'begun', url })
  response.on('close', () => report({ event: 'closed', url, received }))
}

/** An HTTP/1.1 connection ends in order or with a reset; an HTTP/2 stream is reset either way. */
function cut({ httpVersionMajor, socket }: IncomingMessage, response: ServerResponse, how: string): void {
  if (httpVersionMajor === 2) {
    const { stream } = response as unknown as { stream: { close(code: number): void } }
    stream.close(how === 'end' ? 8 : 2)
  } else if (how === 'end') {
    socket.end()
  } else {
    // Below TLS, too: what is encrypted can't be reset.
    transports.get(socket.remotePort ?? 0)?.resetAndDestroy()
  }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://origin')
  const route = routes[pathname.slice(1)]
  // Clients break off; that is no fault of the origin.
  for (const each of [request, response]) each.on('error', () => {})
  // Node resets HTTP/2 streams whose request nobody reads, and with that loses the ends of answers that wait for a window.
  if (request.method === 'GET') request.resume()
  try {
    if (pathname.startsWith('/browser/')) {
      sendFile(response, pathname.slice('/browser/'.length))
    } else if (route === undefined) {
      response.statusCode = 404
      send(response, 'not found')
    } else {
      await route(request, response, searchParams)
    }
  } catch {
    response.destroy()
  }
}

function expecting(request: IncomingMessage, response: ServerResponse): void {
  if (!request.url?.startsWith('/refuse')) {
    Reflect.set(request, CONTINUED, true)
    response.writeContinue()
  }
  void handle(request, response)
}

const { cert, key } = await testCertificate({ usage: 'server' })
const servers = {
  http: createServer(handle),
  https: createHttps({ cert, key, ALPNProtocols: ['http/1.1'] }, handle),
  // The compatibility interface has the same methods.
  h2c: createHttp2(handle as unknown as Parameters<typeof createHttp2>[1]),
  h2: createSecureServer(
    { cert, key, allowHTTP1: true },
    handle as unknown as Parameters<typeof createSecureServer>[1],
  ),
}
const ports: Record<string, number> = {}
for (const [name, server] of Object.entries<Server>(servers)) {
  server.on('checkContinue', expecting)
  server.on('clientError', (_error, socket: Socket) => socket.destroy())
  server.on('connection', (socket: Socket) => {
    const { remotePort = 0 } = socket
    transports.set(remotePort, socket)
    socket.once('close', () => transports.delete(remotePort))
  })
  handleWebSockets(server, report)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  ports[name] = (server.address() as AddressInfo).port
}
process.stdout.write(`${JSON.stringify({ ports, ca: cert })}\n`)
