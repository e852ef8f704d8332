// Accepts connections and gives each to a service.
import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Duration,
  errorCode,
  logger,
  milliseconds,
  type Service,
  type Shutdown,
  wholeNumber,
} from '../core/index.ts'
import { type Address, type Endpoint, UnixAddress } from './address.ts'
import { Admission, admissionLimits } from './admission.ts'
import { bind } from './bind.ts'
import { closeInOrder } from './close-in-order.ts'
import { AcceptedConnection, type Connection, nextConnectionId } from './connection.ts'
import { descriptorsForConnections, sharedBudget } from './descriptors.ts'
import { ipAddress, localAddress, peerAddress } from './ip.ts'
import type { Listener, ListenerCounts, ListenOptions } from './listen-options.ts'
import { parseEndpoint } from './parse-address.ts'
import { rarely, report } from './report.ts'
import { cut, ignore } from './stream.ts'

/** After an error of accept (out of descriptors or memory) nothing new is served for this long, in ms. */
const ACCEPT_PAUSE = 1000
/** A service that does not settle when its connection was cut is waited for this long, in ms. */
const LAST_GRACE = 1000
/** The other end of a unix socket has no name. */
const NOBODY = new UnixAddress('')

const log = logger('net')

/**
 * Listens on an address and gives each connection to a service, whose promise covers the connection's life: when it
 * settles, the connection is closed. What it throws is logged once, with the connection's id and the error's code, and
 * the connection is reset.
 *
 * Closing in order means that the client gets all that was written, however slowly it reads: only one that takes nothing
 * for 30 seconds is reset. What it still sends is read and dropped, for five seconds at most after the last byte is out.
 *
 * @param address `127.0.0.1:8080`, `[::1]:443`, `:8080` (all addresses), `8080` (this machine only), `unix:/path`
 * @throws {SluiceError} `ADDRESS_INVALID`, `LISTEN_ADDRESS_IN_USE`, `LISTEN_ADDRESS_UNAVAILABLE`, `LISTEN_PERMISSION`,
 *   `LISTEN_FAILED`, `DURATION_INVALID`, `OPTION_INVALID`
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
  readonly #backlog: number
  readonly #connections = new Set<AcceptedConnection>()
  readonly #draining = new AbortController()
  readonly #aborted = new AbortController()
  readonly #closed = Promise.withResolvers<void>()
  readonly #logRefused: (fields: object) => void
  readonly #logAcceptError: (fields: object) => void
  #address: Address = NOBODY
  #accepted = 0
  #refused = 0
  #timer: NodeJS.Timeout | undefined
  #deadline = Number.POSITIVE_INFINITY
  #isClosed = false

  constructor(endpoint: Endpoint, options: ListenOptions, service: Service<Connection>) {
    this.#endpoint = endpoint
    this.#options = options
    this.#service = service
    this.#backlog = wholeNumber('backlog', options.backlog ?? 1024)
    this.#admission = new Admission(
      admissionLimits(options),
      sharedBudget(),
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
      backlog: this.#backlog,
      reusePort: this.#options.reusePort ?? false,
    })
    this.#address = this.#endpoint.family === 'unix' ? this.#endpoint : boundAddress(this.#server)
    this.#server.on('error', error => {
      this.#logAcceptError({ address: this.#address, code: errorCode(error) })
      this.#admission.pause(ACCEPT_PAUSE)
    })
    this.#warnOfFileLimit()
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
    const deadline = performance.now() + milliseconds(limit)
    this.#drain()
    if (!this.#isClosed && !this.#aborted.signal.aborted && deadline < this.#deadline) {
      this.#deadline = deadline
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => this.#abort(), milliseconds(limit))
    }
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

  #warnOfFileLimit(): void {
    const descriptors = descriptorsForConnections()
    const { maxConnections } = this.#options
    if (maxConnections === undefined || descriptors === undefined || maxConnections <= descriptors) return
    log.warn(
      { address: this.#address, maxConnections, descriptors },
      'the limit on open files does not suffice for maxConnections; raise it (ulimit -n)',
    )
  }

  #describe(): string {
    const some = [...this.#connections].slice(0, 3).map(({ id, peer }) => `${id} from ${peer}`)
    const count = this.#connections.size
    const more = count > some.length ? ', …' : ''
    return `${count} ${count === 1 ? 'connection' : 'connections'} on ${this.#address} (${some.join(', ')}${more})`
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
    if (this.#isClosed || this.#aborted.signal.aborted) return
    this.#aborted.abort()
    for (const connection of this.#connections) connection.reset()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#settle(), LAST_GRACE)
  }

  #settleIfEmpty(): void {
    if (this.#draining.signal.aborted && this.#connections.size === 0) this.#settle()
  }

  #settle(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
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
    cut(socket, socket)
  }

  async #serve(socket: Socket): Promise<void> {
    const connection = this.#connection(socket)
    if (connection === undefined) {
      socket.destroy()
      this.#admission.release()
      return
    }
    this.#connections.add(connection)
    try {
      await this.#service(connection)
    } catch (error) {
      report(log, connection, error)
      connection.reset()
    }
    if (!socket.destroyed) await closeInOrder(connection, socket)
    this.#connections.delete(connection)
    this.#admission.release()
    this.#settleIfEmpty()
  }

  /** Undefined if it is gone or has an address that can't be read: whose peer is not known, nobody serves. */
  #connection(socket: Socket): AcceptedConnection | undefined {
    if (socket.destroyed) return undefined
    const unix = this.#endpoint.family === 'unix' ? this.#endpoint : undefined
    try {
      const peer = unix === undefined ? peerAddress(socket) : NOBODY
      const local = unix ?? localAddress(socket)
      return new AcceptedConnection(
        nextConnectionId(),
        socket,
        peer,
        local,
        this.#draining.signal,
        this.#aborted.signal,
      )
    } catch (error) {
      log.info({ address: this.#address, code: errorCode(error), error }, 'a connection has no address')
      return undefined
    }
  }
}

function boundAddress(server: Server): Address {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return new UnixAddress(bound ?? '')
  return ipAddress(bound.address, bound.port)
}
