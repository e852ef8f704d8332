// Connectors: services from a target to a connected stream. The first one is TCP and unix sockets.
import { type NetConnectOpts, connect as netConnect, type Socket } from 'node:net'
import {
  type Duration,
  type ErrorCode,
  errorCode,
  type Service,
  SluiceError,
  timeLimit,
} from '../core/index.ts'
import type { Endpoint } from './address.ts'
import type { Connection } from './connection.ts'
import { canShareReads, SharedReads, type Take } from './shared-reads.ts'
import { cut, ignore, type Stream } from './stream.ts'

/** What a connector is asked: where to, and for whom. */
export interface ConnectRequest<out C = Connection> {
  readonly to: Endpoint
  /**
   * The client's connection on whose behalf this one is made; absent for connections of Sluice's own (health checks), and
   * where connections to a backend are shared by clients, which a layer that is `perClient` prevents.
   */
  readonly client?: C | undefined
  /** Gives up connecting. */
  readonly signal?: AbortSignal | undefined
}

/** A connected stream. Nothing has been read from it yet. */
export interface Connected extends Stream {
  /** The TCP or unix socket, or the TLS socket over it. */
  socket: Socket
}

/** A service from a request to connect to a connected stream. */
export type Connector<C = Connection> = Service<ConnectRequest<C>, Connected>

/**
 * Wraps a connector: `sendProxyHeader()` and `connectTls()` are such layers. `Needs` is what it reads on the client's
 * connection.
 */
export interface ConnectLayer<in Needs = unknown> {
  <C extends Needs>(next: Connector<C>): Connector<C>
  /** Whether a connection that it made speaks for one client, and must never carry what another one asks. */
  readonly perClient?: boolean
}

export interface ConnectOptions {
  /**
   * How long connecting may take, resolving the name included.
   * @default '5s'
   */
  readonly timeout?: Duration
}

/** Idle time before the kernel probes whether the backend is still there, in ms. */
const KEEP_ALIVE_DELAY = 60_000

/**
 * Connects over TCP or a unix socket. Names are resolved, and their addresses tried with both families raced
 * (RFC 8305, by the platform). TCP_NODELAY and keep-alive are on.
 *
 * The connector throws `CONNECT_REFUSED`, `CONNECT_TIMEOUT`, `CONNECT_UNREACHABLE`, `CONNECT_NAME` or `CONNECT_FAILED`.
 *
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID`
 */
export function connectTcp(options: ConnectOptions = {}): Connector<unknown> {
  const timeout = timeLimit('timeout', options.timeout ?? '5s')

  return ({ to, signal }) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(givenUp(to, signal))
      const reads = canShareReads ? new SharedReads() : undefined
      const socket = start(to, reads)
      if (reads !== undefined) reads.socket = socket
      const timer = setTimeout(() => {
        fail(new SluiceError('CONNECT_TIMEOUT', `${to} did not accept a connection within ${timeout} ms`))
      }, timeout)
      function onConnect(): void {
        stop()
        socket.on('error', ignore)
        resolve(new ConnectedSocket(socket, reads))
      }
      function onError(cause: Error): void {
        fail(connectError(to, cause))
      }
      function onAbort(): void {
        fail(givenUp(to, signal))
      }
      function fail(error: SluiceError): void {
        stop()
        socket.on('error', ignore)
        socket.destroy()
        reject(error)
      }
      function stop(): void {
        clearTimeout(timer)
        socket.off('connect', onConnect)
        socket.off('error', onError)
        signal?.removeEventListener('abort', onAbort)
      }
      // Nothing is read before there is someone to read: what the backend sends first waits in the kernel.
      socket.pause()
      socket.on('connect', onConnect)
      socket.on('error', onError)
      signal?.addEventListener('abort', onAbort)
    })
}

class ConnectedSocket implements Connected {
  socket: Socket
  readonly #transport: Socket
  readonly #reads: SharedReads | undefined

  constructor(socket: Socket, reads: SharedReads | undefined) {
    this.socket = socket
    this.#transport = socket
    this.#reads = reads
  }

  reset(): void {
    cut(this.socket, this.#transport)
  }

  readInto(take: Take | undefined): boolean {
    const { socket } = this
    // Not below TLS, and not past what the stream has already.
    if (this.#reads === undefined || socket !== this.#transport || socket.readableLength > 0) return false
    this.#reads.take = take
    return true
  }
}

function givenUp(to: Endpoint, signal: AbortSignal | undefined): SluiceError {
  return new SluiceError('CONNECT_FAILED', `connecting to ${to} was given up`, { cause: signal?.reason })
}

/** Begins to connect. What the platform refuses at once, such as a path that is too long, gets a code as well. */
function start(to: Endpoint, reads: SharedReads | undefined): Socket {
  try {
    const options = socketOptions(to)
    return netConnect(reads === undefined ? options : { ...options, onread: reads })
  } catch (cause) {
    throw connectError(to, cause)
  }
}

function socketOptions(to: Endpoint): NetConnectOpts & { allowHalfOpen: true } {
  switch (to.family) {
    case 'unix':
      return { path: to.path, allowHalfOpen: true }
    case 'name':
      return { ...TCP, host: to.name, port: to.port, autoSelectFamily: true }
    default:
      // The family is known: without it the platform would look the address up like a name.
      return {
        ...TCP,
        host: to.zone === undefined ? to.host : `${to.host}%${to.zone}`,
        port: to.port,
        family: to.family === 'ipv6' ? 6 : 4,
        autoSelectFamily: false,
      }
  }
}

const TCP = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_DELAY,
} as const

const CODES: Readonly<Record<string, [ErrorCode, string]>> = {
  ECONNREFUSED: ['CONNECT_REFUSED', 'refused the connection; is the backend running there?'],
  ECONNRESET: ['CONNECT_FAILED', 'reset the connection as soon as it was made'],
  ENOENT: ['CONNECT_REFUSED', 'does not exist; is the backend running there?'],
  ETIMEDOUT: ['CONNECT_TIMEOUT', 'did not accept the connection in time'],
  EACCES: [
    'CONNECT_FAILED',
    'may not be connected to by this user; look at the permissions of the socket file',
  ],
  EAGAIN: [
    'CONNECT_FAILED',
    'has as many connections waiting as it allows; is the backend stuck, or its backlog small?',
  ],
  EMFILE: ['CONNECT_FAILED', 'can not be connected to: no file descriptors are left; raise `ulimit -n`'],
  EADDRNOTAVAIL: [
    'CONNECT_FAILED',
    'can not be connected to: this machine has no address or no local port left for it',
  ],
  EHOSTUNREACH: ['CONNECT_UNREACHABLE', 'can not be reached from here'],
  ENETUNREACH: ['CONNECT_UNREACHABLE', 'can not be reached from here'],
  ENOTFOUND: ['CONNECT_NAME', 'has a name that does not exist'],
  EAI_AGAIN: ['CONNECT_NAME', 'has a name that could not be resolved just now'],
}

function connectError(to: Endpoint, error: unknown): SluiceError {
  const cause = error instanceof AggregateError ? mostTelling(error.errors) : error
  const code = errorCode(cause)
  const [known, text] = CODES[code] ?? ['CONNECT_FAILED', `could not be connected to (${code})`]
  return new SluiceError(known, `${to} ${text}`, { cause })
}

/**
 * Where several addresses were tried, the platform gives all their errors in one. One that a machine answered says more
 * than that this machine has no IPv6.
 */
function mostTelling(errors: readonly unknown[]): unknown {
  return (
    errors.find(error => errorCode(error) === 'ECONNREFUSED') ??
    errors.find(error => errorCode(error) === 'ETIMEDOUT') ??
    errors[0]
  )
}
