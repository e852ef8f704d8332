// HTTP for tests: a server on a port of its own, and a client that sends bytes as they are and keeps what comes back.
import { connect, type Socket } from 'node:net'
import type { Service } from '../../src/core/index.ts'
import {
  type HttpRequest,
  type HttpResponse,
  type ServeHttpOptions,
  serveHttp,
} from '../../src/http/index.ts'
import { IpAddress, isResetTakenForEnd, type Listener, listen } from '../../src/net/index.ts'
import { keep } from './sockets.ts'

const listeners: Listener[] = []

/** Serves HTTP on a free port of 127.0.0.1. */
export async function startHttp(
  service: Service<HttpRequest, HttpResponse>,
  options: ServeHttpOptions = {},
): Promise<{ port: number; listener: Listener }> {
  const listener = await listen('127.0.0.1:0', {}, serveHttp(service, options))
  listeners.push(listener)
  if (!(listener.address instanceof IpAddress)) throw new Error('no port')
  return { port: listener.address.port, listener }
}

/** Closes all servers, and what is still open on them; for `afterEach`. */
export async function stopHttp(): Promise<void> {
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
}

/** One connection of a client, and everything that came on it. */
export class RawClient {
  readonly socket: Socket
  /** What came, as Latin-1. */
  received = ''
  /** The server has ended its side in order. */
  ended = false
  /** The server has reset the connection, or it broke. */
  failed: string | undefined
  readonly #changed = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = keep(socket)
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      this.#wake()
    })
    socket.on('end', () => {
      // As Node 22 does.
      if (isResetTakenForEnd(socket)) this.failed = 'ECONNRESET'
      else this.ended = true
      this.#wake()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failed = error.code
      this.#wake()
    })
    socket.on('close', () => this.#wake())
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new RawClient(socket)))
    })
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
    return this
  }

  /** Settled when the server has ended or broken the connection. */
  async over(): Promise<this> {
    await this.until(() => this.ended || this.failed !== undefined || this.socket.destroyed)
    return this
  }

  /** Settled when what has come holds; fails if the connection ends before. */
  async until(holds: () => boolean): Promise<this> {
    while (!holds()) {
      if (this.socket.destroyed) throw new Error(`the connection ended with ${JSON.stringify(this.received)}`)
      await new Promise<void>(resolve => {
        this.#changed.clear()
        this.#changed.add(resolve)
      })
    }
    return this
  }

  /** The status codes of all answers so far, in order. */
  get statuses(): number[] {
    return [...this.received.matchAll(/(?:^|\n|\}|\w)HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]))
  }

  #wake(): void {
    for (const wake of this.#changed) wake()
  }
}

/** Sends bytes on a new connection and gives back what came until the server closed it. */
export async function exchange(port: number, bytes: string | readonly string[]): Promise<RawClient> {
  const client = await RawClient.connect(port)
  for (const part of typeof bytes === 'string' ? [bytes] : bytes) client.send(part)
  return client.over()
}
