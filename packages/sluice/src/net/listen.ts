// Accepts connections and gives each to a service.
import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Duration,
  errorCode,
  isSluiceError,
  logger,
  milliseconds,
  type Service,
  type Shutdown,
} from '../core/index.ts'
import { type Address, type Endpoint, UnixAddress } from './address.ts'
import { Admission, connectionsWithinFileLimit } from './admission.ts'
import { bind } from './bind.ts'
import { AcceptedConnection, type Connection } from './connection.ts'
import { ipAddress, localAddress, peerAddress } from './ip.ts'
import { parseEndpoint } from './parse-address.ts'
import { ignore } from './stream.ts'

export interface ListenOptions {
  /** Drains and aborts the listener. Without it, only `close` does. */
  readonly shutdown?: Shutdown
  /**
   * Connections that the kernel holds before they are accepted; it caps this by its own limit (`somaxconn`).
   * @default 1024
   */
  readonly backlog?: number
  /**
   * Lets several processes listen on one address, and the kernel spread the connections over them.
   * @default false
   */
  readonly reusePort?: boolean
  /**
   * Connections served at once. Past it, new ones are held unread until a place is free.
   * @default 16384, or what the limit on open files leaves room for if that is less
   */
  readonly maxConnections?: number
  /**
   * Connections held unread. Past it, new ones are refused with a reset, and counted.
   * @default 1024
   */
  readonly maxWaiting?: number
  /**
   * How long a connection is held unread before it is refused.
   * @default '10s'
   */
  readonly waitTimeout?: Duration
}

export interface ListenerCounts {
  readonly accepted: number
  readonly serving: number
  readonly waiting: number
  readonly refused: number
}

/** A bound listener. Disposing of it closes it. */
export interface Listener extends AsyncDisposable {
  /** What it listens on, with the port that the system chose for port 0. */
  readonly address: Address
  readonly counts: ListenerCounts
  /**
   * Stops accepting, lets what is in flight finish, and cuts it when the limit has passed. Settles when every
   * connection is closed.
   *
   * @param limit how long it may take; 30 s unless told
   */
  close(limit?: Duration): Promise<void>
}

/** After an error of accept (out of descriptors or memory) nothing new is served for this long, in ms. */
const ACCEPT_PAUSE = 1000
/** A service that has ended leaves its connection this long to take the last bytes, in ms. */
const LINGER = 5000
/** What happens in floods is logged at most once in this time, in ms, with how often it happened. */
const LOG_INTERVAL = 1000

const log = logger('net')
let lastId = 0

/**
 * Listens on an address and gives each connection to a service, whose promise covers the connection's life: when it
 * settles, the connection is closed. What it throws is logged once, with the connection's id and the error's code.
 *
 * @param address `127.0.0.1:8080`, `[::1]:443`, `:8080` (all addresses), `8080` (this machine only), `unix:/path`
 * @throws {SluiceError} `ADDRESS_INVALID`, `LISTEN_ADDRESS_IN_USE`, `LISTEN_ADDRESS_UNAVAILABLE`, `LISTEN_PERMISSION`,
 *   `LISTEN_FAILED`, `DURATION_INVALID`
 */
export async function listen(
  address: Endpoint | string | number,
  options: ListenOptions,
  service: Service<Connection>,
): Promise<Listener> {
  const endpoint = typeof address === 'object' ? address : parseEndpoint(address, 'listen')
  const listener = new SocketListener(endpoint, options, service)
  await listener.bind()
  return listener
}

class SocketListener implements Listener {
  readonly #endpoint: Endpoint
  readonly #options: ListenOptions
  readonly #service: Service<Connection>
  readonly #server: Server
  readonly #admission: Admission
  readonly #connections = new Set<AcceptedConnection>()
  readonly #draining = new AbortController()
  readonly #aborted = new AbortController()
  readonly #closed = Promise.withResolvers<void>()
  readonly #logRefused: (fields: object) => void
  readonly #logAcceptError: (fields: object) => void
  #address: Address = new UnixAddress('')
  #accepted = 0
  #refused = 0
  #limit: NodeJS.Timeout | undefined

  constructor(endpoint: Endpoint, options: ListenOptions, service: Service<Connection>) {
    this.#endpoint = endpoint
    this.#options = options
    this.#service = service
    this.#admission = new Admission(
      {
        maxConnections:
          options.maxConnections ??
          Math.min(16_384, connectionsWithinFileLimit() ?? Number.POSITIVE_INFINITY),
        maxWaiting: options.maxWaiting ?? 1024,
        waitTimeout: milliseconds(options.waitTimeout ?? '10s'),
      },
      socket => void this.#serve(socket),
      socket => this.#refuse(socket),
    )
    this.#logRefused = rarely((fields, times) =>
      log.warn({ ...fields, times }, 'connections refused: too many are open and waiting'),
    )
    this.#logAcceptError = rarely((fields, times) =>
      log.error({ ...fields, times }, 'connections can not be accepted; pausing'),
    )
    // Whoever serves may watch these for all its connections; more than ten is no leak.
    setMaxListeners(0, this.#draining.signal, this.#aborted.signal)
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, socket =>
      this.#accept(socket),
    )
  }

  async bind(): Promise<void> {
    await bind(this.#server, this.#endpoint, {
      backlog: this.#options.backlog ?? 1024,
      reusePort: this.#options.reusePort ?? false,
    })
    this.#address = this.#endpoint.family === 'unix' ? this.#endpoint : boundAddress(this.#server)
    this.#server.on('error', error => {
      this.#logAcceptError({ address: this.#address, code: errorCode(error) })
      this.#admission.pause(ACCEPT_PAUSE)
    })
    this.#follow(this.#options.shutdown)
  }

  get address(): Address {
    return this.#address
  }

  get counts(): ListenerCounts {
    return {
      accepted: this.#accepted,
      serving: this.#admission.serving,
      waiting: this.#admission.waiting,
      refused: this.#refused,
    }
  }

  close(limit: Duration = '30s'): Promise<void> {
    this.#limit ??= setTimeout(() => this.#abort(), milliseconds(limit))
    this.#drain()
    return this.#closed.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #follow(shutdown: Shutdown | undefined): void {
    if (shutdown === undefined) return
    const onDrain = (): void => {
      const release = shutdown.hold(() => this.#describe())
      this.#closed.promise.then(release)
      this.#drain()
    }
    const onAbort = (): void => this.#abort()
    shutdown.draining.addEventListener('abort', onDrain)
    shutdown.aborted.addEventListener('abort', onAbort)
    this.#closed.promise.then(() => {
      shutdown.draining.removeEventListener('abort', onDrain)
      shutdown.aborted.removeEventListener('abort', onAbort)
    })
    if (shutdown.draining.aborted) onDrain()
  }

  #describe(): string {
    const some = [...this.#connections].slice(0, 3).map(({ id, peer }) => `${id} from ${peer}`)
    const more = this.#connections.size > some.length ? ', …' : ''
    return `${this.#connections.size} connections on ${this.#address} (${some.join(', ')}${more})`
  }

  #drain(): void {
    if (this.#draining.signal.aborted) return
    this.#server.close()
    this.#draining.abort()
    this.#admission.refuseWaiting()
    this.#settleIfEmpty()
  }

  #abort(): void {
    this.#drain()
    this.#aborted.abort()
    for (const connection of this.#connections) connection.reset()
  }

  #settleIfEmpty(): void {
    if (!this.#draining.signal.aborted || this.#connections.size > 0) return
    clearTimeout(this.#limit)
    this.#closed.resolve()
  }

  #accept(socket: Socket): void {
    socket.on('error', ignore)
    this.#accepted += 1
    // Gone already, and with it its addresses: nobody is served whose address is not known. Once asked for, they stay.
    if (
      this.#endpoint.family !== 'unix' &&
      (socket.remoteAddress === undefined || socket.localAddress === undefined)
    ) {
      socket.destroy()
      return
    }
    if (this.#draining.signal.aborted) this.#refuse(socket)
    else this.#admission.admit(socket)
  }

  #refuse(socket: Socket): void {
    if (socket.destroyed) return
    this.#refused += 1
    if (!this.#draining.signal.aborted) this.#logRefused({ address: this.#address, code: 'CONNECTION_LIMIT' })
    new AcceptedConnection('', socket, NOBODY, NOBODY, this.#draining.signal, this.#aborted.signal).reset()
  }

  async #serve(socket: Socket): Promise<void> {
    const connection = this.#connection(socket)
    this.#connections.add(connection)
    try {
      await this.#service(connection)
    } catch (error) {
      this.#report(connection, error)
      connection.reset()
    }
    if (!socket.destroyed) await finished(connection, socket)
    this.#connections.delete(connection)
    this.#admission.release()
    this.#settleIfEmpty()
  }

  #connection(socket: Socket): AcceptedConnection {
    lastId += 1
    const unix = this.#endpoint.family === 'unix' ? this.#endpoint : undefined
    return new AcceptedConnection(
      String(lastId),
      socket,
      unix === undefined ? peerAddress(socket) : NOBODY,
      unix ?? localAddress(socket),
      this.#draining.signal,
      this.#aborted.signal,
    )
  }

  #report(connection: Connection, error: unknown): void {
    const level = levelOf(error)
    if (!log.isLevelEnabled(level)) return
    log[level](
      {
        connection: connection.id,
        peer: connection.peer,
        address: this.#address,
        code: errorCode(error),
        error,
      },
      error instanceof Error ? error.message : 'a service threw something that is not an error',
    )
  }
}

/** The other end of a unix socket has no name. */
const NOBODY = new UnixAddress('')

/** What a client does wrong is the day's work; what a backend does wrong needs a look; the rest is a fault of ours. */
function levelOf(error: unknown): 'info' | 'warn' | 'error' {
  if (!isSluiceError(error)) return errorCode(error) === 'INTERNAL' ? 'error' : 'info'
  return error.side === 'downstream' ? 'info' : error.side === 'upstream' ? 'warn' : 'error'
}

/** Ends a connection whose service is done; one that does not take its last bytes in time is reset. */
function finished(connection: AcceptedConnection, socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => connection.reset(), LINGER)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    connection.socket.destroySoon()
  })
}

function boundAddress(server: Server): Address {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return new UnixAddress(bound ?? '')
  return ipAddress(bound.address, bound.port)
}

/** Calls at most once in an interval, with how many times it was called since. */
function rarely(report: (fields: object, times: number) => void): (fields: object) => void {
  let times = 0
  let last = Number.NEGATIVE_INFINITY
  return fields => {
    times += 1
    const now = performance.now()
    if (now - last < LOG_INTERVAL) return
    last = now
    report(fields, times)
    times = 0
  }
}
