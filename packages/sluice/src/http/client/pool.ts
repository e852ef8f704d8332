// The connections to one upstream: kept between requests, used again, limited in number; requests queue for them.
import type { TLSSocket } from 'node:tls'
import { errorCode, isSluiceError, SluiceError } from '../../core/index.ts'
import type { Connected, Connection, Connector, Endpoint } from '../../net/index.ts'
import { Http1ClientConnection } from '../h1/client-connection.ts'
import { Http2UpstreamSession } from '../h2/client-session.ts'
import { Batch } from '../turn.ts'
import { ConnectionGroup, type GroupOwner } from './group.ts'
import type { UpstreamLimits } from './limits.ts'
import { Ticket, type TicketOwner } from './ticket.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest } from './upstream.ts'

/**
 * How many connections are begun in one turn of the event loop; in the first, as many again at its end. When many requests
 * come at once, as after a pause, those that are in use become free meanwhile, and the rest need not be made.
 */
const AT_ONCE = 4

const connecting = new Batch<UpstreamPool>(pool => pool.goOn())

export interface PoolSettings {
  readonly to: Endpoint
  /** Makes connections; below TLS, ALPN says which version of HTTP is spoken on them. */
  readonly connect: Connector
  /** Makes connections that can be upgraded, where `connect` offers HTTP/2: HTTP/1.1 alone. */
  readonly connectUpgradable: Connector | undefined
  /** Whether HTTP/2 is spoken on every connection, without asking (prior knowledge). */
  readonly http2: boolean
  /** Whether a connection carries the requests of one client only. */
  readonly perClient: boolean
  readonly limits: UpstreamLimits
  readonly maxConnections: number
  readonly maxWaiting: number
  /** Milliseconds. */
  readonly queueTimeout: number
  /** Milliseconds that an idle connection is kept; less, if the upstream says so. */
  readonly idleTimeout: number
}

/** How many connections there are, for whoever wants to know. */
export interface PoolCounts {
  readonly open: number
  readonly idle: number
  readonly waiting: number
}

export class UpstreamPool implements TicketOwner, GroupOwner {
  readonly #settings: PoolSettings
  readonly #shared: ConnectionGroup
  readonly #ofClients = new Map<Connection, ConnectionGroup>()
  readonly #queue: Ticket[] = []
  /** Connections that are open or being made. */
  #open = 0
  /** Those of them that are being made for requests in the queue. */
  #making = 0
  /** Those of them that were begun in this turn. */
  #begun = 0
  /** Whether connections of this pool have been HTTP/2: one of them is enough for many requests. */
  #multiplexed: boolean
  #closed = false

  constructor(settings: PoolSettings) {
    this.#settings = settings
    this.#shared = new ConnectionGroup(this, undefined)
    this.#multiplexed = settings.http2 || settings.connectUpgradable !== undefined
  }

  get queueTimeout(): number {
    return this.#settings.queueTimeout
  }

  get idleTimeout(): number {
    return this.#settings.idleTimeout
  }

  get counts(): PoolCounts {
    let idle = this.#shared.idle
    for (const group of this.#ofClients.values()) idle += group.idle
    return { open: this.#open, idle, waiting: this.#queue.length }
  }

  /** Sends a request as soon as there is a connection for it. */
  send(request: UpstreamRequest, observer: UpstreamObserver): UpstreamExchange {
    const ticket = new Ticket(this, request, observer)
    this.assign(ticket, false)
    return ticket
  }

  /** Takes no more requests; connections are closed when they are free. */
  close(): void {
    this.#closed = true
    this.#shared.close()
    for (const group of this.#ofClients.values()) group.close()
  }

  assign(ticket: Ticket, fresh: boolean): void {
    if (this.#closed) {
      ticket.fail(new SluiceError('HTTP_QUEUE_FULL', 'its connections are being closed'))
      return
    }
    const { upgrade } = ticket.request
    if (upgrade !== undefined && this.#settings.connectUpgradable !== undefined) {
      this.#connectFor(ticket, this.#settings.connectUpgradable)
      return
    }
    const group = this.#groupOf(ticket.client)
    const carrier = fresh && !this.#multiplexed ? undefined : group.take()
    if (carrier !== undefined) {
      ticket.sendOn(carrier)
      return
    }
    // Those that connections are made for do not wait for one that is in use.
    const { maxConnections, maxWaiting, perClient } = this.#settings
    const room = maxConnections - this.#open
    const served = this.#making + (this.#multiplexed && !perClient ? Math.min(room, 1) : room)
    const most = maxWaiting + served
    // An idle connection of another client makes room; they are counted only where it matters.
    if (this.#queue.length >= most && this.#queue.length >= most + this.counts.idle) {
      const what = `all its ${maxConnections} connections are in use, and ${maxWaiting} requests wait for one`
      ticket.fail(new SluiceError('HTTP_QUEUE_FULL', what))
      return
    }
    this.#queue.push(ticket)
    ticket.wait(group, fresh)
    group.waiting++
    this.#connectIfNeeded(group)
  }

  leave(ticket: Ticket): void {
    const { group } = ticket
    if (group === undefined) return
    const at = this.#queue.indexOf(ticket)
    if (at >= 0) this.#queue.splice(at, 1)
    group.waiting--
    ticket.stopWaiting()
  }

  offer(group: ConnectionGroup): boolean {
    if (this.#queue.length === 0) return false
    const ticket = this.#queue.find(one => one.group === group && (!one.fresh || this.#multiplexed))
    const carrier = ticket === undefined ? undefined : group.take()
    if (ticket === undefined || carrier === undefined) {
      // Who waits for another connection than this one can have its place.
      this.#connectForWaiting()
      return false
    }
    this.leave(ticket)
    ticket.sendOn(carrier)
    return true
  }

  left(): void {
    this.#open--
    this.#connectForWaiting()
  }

  #connectForWaiting(): void {
    for (const { group } of this.#queue) {
      if (group !== undefined && !this.#connectIfNeeded(group)) return
    }
  }

  #groupOf(client: Connection | undefined): ConnectionGroup {
    if (client === undefined || !this.#settings.perClient) return this.#shared
    let group = this.#ofClients.get(client)
    if (group === undefined) {
      group = new ConnectionGroup(this, client)
      const created = group
      this.#ofClients.set(client, created)
      const { socket } = client
      // Every upstream has a pool, and of more than ten the platform would say that they leak.
      socket.setMaxListeners(socket.getMaxListeners() + 1)
      socket.once('close', () => {
        this.#ofClients.delete(client)
        created.close()
      })
    }
    return group
  }

  /** The turn is over in which enough connections have been begun. */
  goOn(): void {
    this.#begun = 0
    this.#connectForWaiting()
  }

  /** Makes a connection if requests wait for more than are being made; false if there can be none now. */
  #connectIfNeeded(group: ConnectionGroup): boolean {
    const wanted = this.#multiplexed ? Math.min(group.waiting, 1) : group.waiting
    if (group.connecting >= wanted) return true
    if (this.#begun === AT_ONCE) return false
    if (!this.#hasRoom()) {
      // Closing one may lead back here.
      this.#makeRoom()
      if (group.connecting >= wanted) return true
      if (!this.#hasRoom()) return false
    }
    if (this.#begun === 0) connecting.add(this)
    this.#begun++
    this.#open++
    this.#making++
    group.connecting++
    this.#connect(this.#settings.connect, group.client).then(
      connected => this.#onConnected(group, connected),
      error => this.#onFailed(group, error),
    )
    return true
  }

  #hasRoom(): boolean {
    return this.#open < this.#settings.maxConnections
  }

  /** Closes an idle connection of another client, or that was used before, for one that is needed more. */
  #makeRoom(): void {
    if (this.#shared.evict()) return
    for (const group of this.#ofClients.values()) if (group.evict()) return
  }

  async #connect(connect: Connector, client: Connection | undefined): Promise<Connected> {
    const { to } = this.#settings
    const connected = await connect({ to, client })
    // Whoever waits for an answer keeps the process alive, not a connection that is kept for later.
    connected.socket.unref()
    return connected
  }

  #onConnected(group: ConnectionGroup, connected: Connected): void {
    if (group.closed || connected.socket.destroyed) {
      connected.reset()
      this.#onFailed(group, closedAtOnce())
      return
    }
    this.#making--
    group.connecting--
    const { http2, limits } = this.#settings
    const isHttp2 = http2 || (connected.socket as Partial<TLSSocket>).alpnProtocol === 'h2'
    this.#multiplexed = isHttp2
    if (isHttp2) {
      this.#addSession(group, connected)
      return
    }
    const connection = new Http1ClientConnection(connected, limits, group)
    const ticket = this.#queue.find(one => one.group === group)
    if (ticket !== undefined && !connection.closed) {
      this.leave(ticket)
      ticket.sendOn(connection)
    } else {
      group.addConnection(connection)
    }
    // What was thought to be one connection for many is one for each.
    while (group.connecting < group.waiting && this.#connectIfNeeded(group));
  }

  #addSession(group: ConnectionGroup, connected: Connected): void {
    const { limits, idleTimeout } = this.#settings
    const session: Http2UpstreamSession = new Http2UpstreamSession(
      connected,
      { ...limits, idleTimeout },
      {
        changed: () => group.sessionChanged(),
        closed: () => group.sessionClosed(session),
      },
    )
    group.addSession(session)
    if (group.waiting > 0) this.#connectIfNeeded(group)
  }

  #onFailed(group: ConnectionGroup, error: unknown): void {
    this.#making--
    group.connecting--
    this.#open--
    const failure = isSluiceError(error)
      ? error
      : new SluiceError('CONNECT_FAILED', `connecting failed (${errorCode(error)})`, { cause: error })
    // With one connection for many requests, its failure is that of all of them.
    const failed = this.#queue.filter(one => one.group === group).slice(0, this.#multiplexed ? undefined : 1)
    for (const ticket of failed) {
      this.leave(ticket)
      ticket.fail(failure)
    }
    this.#connectForWaiting()
  }

  /** A connection for one request alone, which will be upgraded. */
  #connectFor(ticket: Ticket, connect: Connector): void {
    if (!this.#hasRoom()) this.#makeRoom()
    if (!this.#hasRoom()) {
      ticket.fail(new SluiceError('HTTP_QUEUE_FULL', 'all its connections are in use'))
      return
    }
    this.#open++
    this.#connect(connect, this.#settings.perClient ? ticket.client : undefined).then(
      connected => {
        if (ticket.over || connected.socket.destroyed) {
          connected.reset()
          this.left()
          ticket.fail(closedAtOnce())
          return
        }
        const connection = new Http1ClientConnection(connected, this.#settings.limits, {
          released: () => connection.close(),
          lost: () => this.left(),
        })
        ticket.sendOn(connection)
      },
      error => {
        this.left()
        ticket.fail(isSluiceError(error) ? error : new SluiceError('CONNECT_FAILED', String(error)))
      },
    )
  }
}

function closedAtOnce(): SluiceError {
  return new SluiceError('CONNECT_FAILED', 'the connection to it was closed as soon as it was made')
}
