// The TLS termination proxy with the service behind it, in this process, and what went wrong in it.
import { once } from 'node:events'
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { type Layer, stack } from '../../src/core/index.ts'
import { serveHttp, text } from '../../src/http/index.ts'
import { type Connection, forward, IpAddress, type Listener, listen } from '../../src/net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../../src/proxy-protocol/index.ts'
import { acceptTls, selfSigned } from '../../src/tls/index.ts'

export interface TerminatorOptions {
  /** The backend. @default the greeting service, which is part of it */
  readonly to?: string
  /** Whether a PROXY header is required before TLS. @default false */
  readonly acceptProxy?: boolean
  /** The idle limit of the relay, in ms. @default 1 h */
  readonly idleTimeout?: number
  /** Whether the ClientHello is read by Sluice, too. @default true */
  readonly clientHello?: boolean
}

/** What `/big` answers. */
const BIG = 8 * 1024 * 1024

export class Terminator {
  readonly edge: Listener
  readonly service: Listener
  readonly port: number
  /** The signals that its connections could watch. */
  readonly signals: ReadonlySet<AbortSignal>

  private constructor(edge: Listener, service: Listener, signals: ReadonlySet<AbortSignal>) {
    this.edge = edge
    this.service = service
    this.port = portOf(edge)
    this.signals = signals
  }

  static async start(options: TerminatorOptions = {}): Promise<Terminator> {
    const big = 'x'.repeat(BIG)
    const signals = new Set<AbortSignal>()
    const note = ({ draining, aborted }: Connection): unknown => signals.add(draining).add(aborted)
    const service = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .tap(note)
        .layer(acceptProxyHeader({ trust: ['loopback'] }))
        .service(
          serveHttp(async ({ connection, target, body }) => {
            if (target === '/big') return text(big)
            if (target === '/upload') return text(String((await body.bytes()).length))
            return text(`hello client ${connection.proxied.source}\r\n`)
          }),
        ),
    )
    const { acceptProxy = false, clientHello = true, idleTimeout } = options
    const through: Layer<Connection> = next => next
    const edge = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .tap(note)
        .layer(acceptProxy ? acceptProxyHeader({ trust: ['loopback'] }) : through)
        .layer(acceptTls({ certificate: selfSigned(), clientHello, alpn: ['h2', 'http/1.1'] }))
        .service(
          forward(options.to ?? String(service.address), {
            connect: sendProxyHeader(),
            ...(idleTimeout !== undefined && { idleTimeout }),
          }),
        ),
    )
    return new Terminator(edge, service, signals)
  }

  /** Whether nobody is connected any more. */
  get isIdle(): boolean {
    return [this.edge, this.service].every(({ counts }) => counts.serving === 0 && counts.waiting === 0)
  }

  async close(): Promise<void> {
    await Promise.all([this.edge.close(0), this.service.close(0)])
  }
}

function portOf({ address }: Listener): number {
  return address instanceof IpAddress ? address.port : 0
}

/** A TCP connection whose errors are taken. */
export async function dial(port: number): Promise<Socket> {
  const socket = connectPlain({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** One for all clients: to make one takes longer than a handshake. */
export const secureContext: SecureContext = createSecureContext()

/** TLS over a TCP connection, which stays in the caller's hands; or an error if there is no handshake. */
export async function secure(socket: Socket, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const tls = connect({
    socket,
    secureContext,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    ...{ allowHalfOpen: true },
    ...options,
  })
  await once(tls, 'secureConnect')
  tls.on('error', () => {})
  return tls
}

export const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** Everything that comes until the end; an error counts as an end. */
export function all(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    socket.on('data', chunk => {
      text += String(chunk)
    })
    socket.on('end', () => resolve(text))
    socket.on('error', () => resolve(text))
    socket.on('close', () => resolve(text))
  })
}

/** A good request, and what is answered: the proof that all is well. */
export async function greet(port: number, before: string = ''): Promise<{ answer: string; from: number }> {
  const socket = await dial(port)
  const from = socket.localPort ?? 0
  socket.write(before)
  const tls = await secure(socket)
  tls.write(REQUEST)
  const answer = await all(tls)
  tls.end()
  socket.end()
  return { answer, from }
}

/** The bytes of a real client's ClientHello. */
export async function realHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const accepted = once(server, 'connection')
  const client = connect({ port, host: '127.0.0.1', ALPNProtocols: ['http/1.1'], ...options })
  client.on('error', () => {})
  const [socket]: [Socket] = (await accepted) as [Socket]
  let hello = Buffer.alloc(0)
  for await (const chunk of socket) {
    hello = Buffer.concat([hello, chunk as Buffer])
    if (hello.length >= 5 && hello.length >= 5 + hello.readUInt16BE(3)) break
  }
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

/** A plain TCP backend for tests that gives each connection to a function. */
export async function plainBackend(
  serve: (socket: Socket) => void,
): Promise<{ to: string; close: () => void }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    to: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
