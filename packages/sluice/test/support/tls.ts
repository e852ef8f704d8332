// A TLS listener for tests that tells what became of each connection.
import type { Socket } from 'node:net'
import { isSluiceError, type Layer, type Service, type SluiceError, stack } from '../../src/core/index.ts'
import { type Connection, IpAddress, type Listener, listen } from '../../src/net/index.ts'
import { type AcceptTlsOptions, acceptTls, type Secure, type TlsInfo } from '../../src/tls/index.ts'

/** What became of a connection: what the service below TLS got, or what ended it before. */
interface Outcome {
  readonly tls?: TlsInfo
  readonly error?: SluiceError
}

export interface TlsListener {
  readonly port: number
  readonly listener: Listener
  /** The next connection's outcome, in the order in which they came about: when the handshake is done or has failed. */
  next(): Promise<Outcome>
}

/** Answers with what it gets, and ends when the client does. */
export const echo: Service<Connection> = async ({ socket }) => {
  await new Promise<void>(resolve => {
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.pipe(socket)
  })
}

export async function listenTls(
  options: AcceptTlsOptions,
  service: Service<Connection & Secure> = echo,
  above: Layer<Connection> = next => next,
): Promise<TlsListener> {
  const come: Outcome[] = []
  const waiting: ((outcome: Outcome) => void)[] = []
  const tell = (outcome: Outcome): void => {
    const next = waiting.shift()
    if (next === undefined) come.push(outcome)
    else next(outcome)
  }
  const secured = stack<Connection>()
    .layer(above)
    .layer(acceptTls(options))
    .tap(({ tls }) => tell({ tls }))
    .service(service)
  const listener = await listen('127.0.0.1:0', {}, async connection => {
    try {
      await secured(connection)
    } catch (error) {
      if (isSluiceError(error)) tell({ error })
      throw error
    }
  })
  const port = listener.address instanceof IpAddress ? listener.address.port : 0
  return {
    port,
    listener,
    next: () => {
      const outcome = come.shift()
      return outcome === undefined ? new Promise(resolve => waiting.push(resolve)) : Promise.resolve(outcome)
    },
  }
}

/** Resolves when a socket is closed, with all that came and the error, if there was one. */
export function closed(socket: Socket): Promise<{ data: Buffer; error: NodeJS.ErrnoException | undefined }> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let failed: NodeJS.ErrnoException | undefined
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', error => {
      failed = error
    })
    socket.on('close', () => resolve({ data: Buffer.concat(chunks), error: failed }))
  })
}
