// Real sockets for tests: pairs as a listener accepts them, and what a peer sees of the other end.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { AcceptedConnection } from '../../src/net/connection.ts'
import { UnixAddress } from '../../src/net/index.ts'
import { testCertificate, testKey } from './test-certificate.ts'

export type Kind = 'tcp' | 'unix' | 'tls'

export interface Pair {
  /** What a service would be given: accepted, paused, half-open allowed; unread, or handshaken for TLS. */
  readonly connection: AcceptedConnection
  /** The other end, in the hands of the test. Half-open is allowed here too. */
  readonly peer: Socket
  /** The socket under `peer` if that is TLS, else `peer`. */
  readonly transport: Socket
}

const open = new Set<Socket | Server>()
const folders: string[] = []

/** Closes everything that was made here; for `afterEach`. */
export async function closeSockets(): Promise<void> {
  const all = [...open]
  open.clear()
  await Promise.all(
    all.map(one => {
      if (!('destroy' in one)) return new Promise<void>(done => one.close(() => done()))
      one.destroy()
      return undefined
    }),
  )
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

/** Keeps a socket or server to be closed by `closeSockets`, while it is open, and takes its errors. */
export function keep<T extends Socket | Server>(one: T): T {
  one.on('error', () => {})
  one.once('close', () => open.delete(one))
  open.add(one)
  return one
}

/** A path for a unix socket in a folder of its own. */
export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
  folders.push(folder)
  return join(folder, 'test.sock')
}

/** A server of the platform that accepts as a listener does. Its address is what `connect` takes. */
export async function startServer(
  kind: 'tcp' | 'unix',
  onConnection: (socket: Socket) => void,
): Promise<{ server: Server; address: { host: string; port: number } | { path: string } }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, socket => {
    onConnection(keep(socket))
  })
  open.add(server)
  const at: ListenOptions = kind === 'unix' ? { path: socketPath() } : { host: '127.0.0.1', port: 0 }
  await new Promise<void>(done => server.listen(at, done))
  const bound = server.address()
  if (bound === null) throw new Error('not bound')
  return {
    server,
    address: typeof bound === 'string' ? { path: bound } : { host: bound.address, port: bound.port },
  }
}

/** Two ends of one connection. */
export async function pair(kind: Kind): Promise<Pair> {
  const accepted = Promise.withResolvers<AcceptedConnection>()
  const tls = createTlsServer({ cert: testCertificate, key: testKey })
  const { server, address } = await startServer(kind === 'unix' ? 'unix' : 'tcp', raw => {
    const nobody = new UnixAddress('')
    const never = new AbortController().signal
    const connection = new AcceptedConnection('1', raw, nobody, nobody, never, never)
    if (kind !== 'tls') return accepted.resolve(connection)
    tls.once('secureConnection', socket => {
      connection.socket = keep(socket)
      accepted.resolve(connection)
    })
    tls.emit('connection', raw)
  })
  const transport = keep(connect({ ...address, allowHalfOpen: true, noDelay: true }))
  const peer = kind === 'tls' ? keep(tlsConnect({ socket: transport, rejectUnauthorized: false })) : transport
  const connection = await accepted.promise
  server.close()
  open.delete(server)
  return { connection, peer, transport }
}

/** What one end sees of the other until it is closed. */
export interface Seen {
  bytes: number
  readonly chunks: Buffer[]
  ended: boolean
  /** The code of the error, such as ECONNRESET. */
  error: string | undefined
  /** Settled at the end or at an error. */
  readonly over: Promise<void>
}

/** Reads a socket to its end. */
export function read(socket: Socket): Seen {
  const { promise, resolve } = Promise.withResolvers<void>()
  const seen: Seen = { bytes: 0, chunks: [], ended: false, error: undefined, over: promise }
  socket.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.length
    seen.chunks.push(chunk)
  })
  socket.on('end', () => {
    seen.ended = true
    resolve()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code
    resolve()
  })
  socket.on('close', () => resolve())
  if (socket.closed) resolve()
  socket.resume()
  return seen
}

/** Settled when the socket is closed. */
export function closed(socket: Socket): Promise<void> {
  return new Promise(done => {
    if (socket.closed) done()
    else socket.once('close', () => done())
  })
}

/** Settled when a condition holds, which is looked at in every turn of the event loop; the test's limit is its limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(next => setImmediate(next))
}
