// Origins for churn: what they do with a request, its path says. One speaks HTTP/1.1 on raw sockets, in clear and over TLS,
// one HTTP/2. They keep nothing of what is over.
import { createHash } from 'node:crypto'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { testCertificate, testKey } from './test-certificate.ts'

export interface ChurnOrigins {
  /** Addresses: HTTP/1.1, HTTP/1.1 over TLS, HTTP/2 without TLS, and one where nobody listens. */
  readonly urls: readonly string[]
  close(): Promise<void>
}

const HALF = 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

const whole = (size: number): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n${'x'.repeat(size)}`
const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`

/** Grants a WebSocket (RFC 6455, section 1.3), and says something on it. */
function upgraded(head: string): string {
  const [, key = ''] = /\r\nsec-websocket-key: (\S+)\r\n/i.exec(head) ?? []
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `${UPGRADED}sec-websocket-accept: ${accept}\r\n\r\nhello`
}

/** What is answered at once, before the request's body; and what becomes of the connection then. */
const WAYS: Readonly<Record<string, (socket: Socket, size: number, head: string) => unknown>> = {
  ok: (socket, size) => socket.write(whole(size)),
  empty: socket => socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
  chunks: (socket, size) => socket.write(`${CHUNKED}${chunk(size)}${chunk(size)}0\r\nx-sum: 1\r\n\r\n`),
  'until-close': (socket, size) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(size)}`),
  hints: (socket, size) => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${whole(size)}`),
  continue: (socket, size) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${whole(size)}`),
  silent: () => undefined,
  end: socket => socket.end(),
  reset,
  'head-end': socket => socket.end('HTTP/1.1 200 O'),
  'head-reset': socket => socket.write('HTTP/1.1 200 O', () => reset(socket)),
  'body-end': socket => socket.end(HALF),
  'body-reset': async socket => {
    socket.write(HALF)
    await turn()
    reset(socket)
  },
  'chunk-end': socket => socket.end(`${CHUNKED}5\r\nhel`),
  stuck: socket => socket.write(HALF),
  malformed: socket => socket.write('HTTP/1.1 000 \r\n\r\n'),
  'bad-chunk': socket => socket.write(`${CHUNKED}5\r\nhello\r\nx`),
  extra: (socket, size) => socket.write(`${whole(size)}extra`),
  flood: socket => socket.write('HTTP/1.1 103 \r\n\r\n'.repeat(100)),
  refuse: socket => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno'),
  'ws-echo': (socket, _size, head) => {
    socket.write(upgraded(head))
    socket.pipe(socket)
  },
  'ws-end': (socket, _size, head) => socket.end(upgraded(head)),
  'ws-reset': async (socket, _size, head) => {
    socket.write(upgraded(head))
    await turn()
    reset(socket)
  },
}

/** TLS has no reset of its own. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}

function serveHttp1(socket: Socket): void {
  let rest = ''
  let left = 0
  let chunked = false
  let tunnelled = false
  socket.on('error', () => undefined)
  socket.on('end', () => socket.end())
  socket.on('data', (data: Buffer) => {
    if (tunnelled) return
    rest += data.toString('latin1')
    while (rest !== '' && !socket.destroyed) {
      if (chunked) {
        const end = rest.indexOf('0\r\n\r\n')
        const trailed = /(?:^|\r\n)0\r\n(?:[^\r]+\r\n)+\r\n/.exec(rest)
        if (end < 0 && trailed === null) return
        rest = trailed === null ? rest.slice(end + 5) : rest.slice(trailed.index + trailed[0].length)
        chunked = false
      } else if (left > 0) {
        const taken = Math.min(left, rest.length)
        rest = rest.slice(taken)
        left -= taken
      } else {
        const end = rest.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = rest.slice(0, end + 2)
        rest = rest.slice(end + 4)
        left = Number(/\r\ncontent-length: (\d+)\r\n/.exec(head)?.[1] ?? 0)
        chunked = /\r\ntransfer-encoding: chunked\r\n/.test(head)
        const [, , way = '', size = '2'] = head.split(' ')[1]?.split('/') ?? []
        tunnelled = way.startsWith('ws-')
        WAYS[way]?.(socket, Number(size), head)
      }
    }
  })
}

function serveHttp2(stream: ServerHttp2Stream, path: string): void {
  const [, , way = '', size = '2'] = path.split('/')
  stream.on('error', () => undefined)
  stream.resume()
  switch (way) {
    case 'reset':
      stream.close(2)
      return
    case 'half':
      stream.respond({ ':status': 200, 'content-length': '1000' })
      stream.write('half', () => stream.close(2))
      return
    case 'session':
      stream.session?.destroy()
      return
    case 'goaway':
      stream.session?.goaway()
      break
    case 'silent':
      return
    default:
  }
  stream.respond({ ':status': 200 })
  stream.end('x'.repeat(Number(size)))
}

export async function startChurnOrigins(): Promise<ChurnOrigins> {
  const sockets = new Set<Socket>()
  const note = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }
  const plain = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
    note(socket)
    serveHttp1(socket)
  })
  const tls = createTlsServer({ cert: testCertificate, key: testKey }, serveHttp1)
  tls.on('connection', note)
  tls.on('tlsClientError', () => undefined)
  const http2 = createHttp2Server()
  http2.on('connection', note)
  http2.on('sessionError', () => undefined)
  http2.on('stream', (stream: ServerHttp2Stream, headers) => serveHttp2(stream, String(headers[':path'])))
  // A port that is known to be free: it was bound, and is not any more.
  const free = createServer()
  const ports: number[] = []
  for (const server of [plain, tls, http2, free] as Server[]) ports.push(await portOf(server))
  await new Promise(done => free.close(done))
  return {
    urls: [
      `http://127.0.0.1:${ports[0]}`,
      `https://localhost:${ports[1]}`,
      `h2c://127.0.0.1:${ports[2]}`,
      `http://127.0.0.1:${ports[3]}`,
    ],
    async close() {
      for (const socket of sockets) socket.destroy()
      await Promise.all([plain, tls, http2].map(server => new Promise(done => server.close(done))))
    },
  }
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
