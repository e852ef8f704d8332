// Connections to one upstream that may carry the same requests: those of everybody, or of one client where each
// connection speaks for its client (PROXY headers).
import type { Connection } from '../../net/index.ts'
import type { ClientConnectionOwner, Http1ClientConnection } from '../h1/client-connection.ts'
import type { Http2UpstreamSession } from '../h2/client-session.ts'
import { sweep } from '../sweep.ts'
import type { Carrier } from './ticket.ts'

/** An upstream closes a connection a moment before its own limit ends, as a request may be on its way then. */
const HINT_MARGIN = 1000

/**
 * Milliseconds: connections that were needed at once in this time, or in as much before it, are wanted for the next such
 * peak. To connect is dear (100 µs and more, with TLS a round trip or two as well), and a peak is the worst time for it.
 */
const PEAK_WINDOW = 30_000

/** What a group tells the pool. */
export interface GroupOwner {
  readonly idleTimeout: number
  /** A connection or a stream is free: whether somebody took it. */
  offer(group: ConnectionGroup): boolean
  /** A connection is closed: another may be made. */
  left(): void
}

export class ConnectionGroup implements ClientConnectionOwner {
  readonly client: Connection | undefined
  readonly #owner: GroupOwner
  /** The one that was used last is at the end, and is used next: those that no peak needs grow old at the beginning. */
  readonly #idle: Http1ClientConnection[] = []
  /** How many were never needed in this window, and in the one before. */
  #spare = 0
  #spareBefore = 0
  #windowEnd = 0
  readonly #sessions: Http2UpstreamSession[] = []
  /** Requests that wait for a connection of this group. */
  waiting = 0
  /** Connections that are being made. */
  connecting = 0
  #closed = false

  constructor(owner: GroupOwner, client: Connection | undefined) {
    this.#owner = owner
    this.client = client
  }

  /** Whether the client whose connections these are has gone. */
  get closed(): boolean {
    return this.#closed
  }

  get idle(): number {
    return this.#idle.length
  }

  get sessions(): number {
    return this.#sessions.length
  }

  /** What a request can be sent on now. */
  take(): Carrier | undefined {
    for (const session of this.#sessions) if (session.available > 0) return session
    const carrier = this.#growingOld() ?? this.#idle.pop()
    this.#spare = Math.min(this.#spare, this.#idle.length)
    return carrier
  }

  /**
   * The oldest of the connections that peaks need, if a quarter of its time is over: used now and then it stays, and is
   * never idle for so long that the upstream might close it.
   */
  #growingOld(): Http1ClientConnection | undefined {
    const { now } = sweep
    if (now >= this.#windowEnd) {
      this.#spareBefore = this.#spare
      this.#spare = this.#idle.length
      this.#windowEnd = now + PEAK_WINDOW
    }
    const at = Math.min(this.#spare, this.#spareBefore)
    const oldest = this.#idle[at]
    if (oldest === undefined || oldest.deadline - now > this.#timeFor(oldest) * 0.75) return undefined
    this.#idle.splice(at, 1)
    return oldest
  }

  /** How long it may be idle. */
  #timeFor({ idleHint }: Http1ClientConnection): number {
    const { idleTimeout } = this.#owner
    return idleHint === undefined ? idleTimeout : Math.min(idleTimeout, idleHint * 1000 - HINT_MARGIN)
  }

  /** An idle connection is taken and closed, to make room: whether there was one. */
  evict(): boolean {
    const [oldest] = this.#idle
    // It leaves the list by itself.
    oldest?.close()
    return oldest !== undefined
  }

  addConnection(connection: Http1ClientConnection): void {
    if (!connection.closed) this.released(connection)
  }

  addSession(session: Http2UpstreamSession): void {
    this.#sessions.push(session)
    this.sessionChanged()
  }

  /** Streams of a session have become free. */
  sessionChanged(): void {
    while (this.#sessions.some(session => session.available > 0) && this.#owner.offer(this));
  }

  sessionClosed(session: Http2UpstreamSession): void {
    const at = this.#sessions.indexOf(session)
    if (at >= 0) this.#sessions.splice(at, 1)
    this.#owner.left()
  }

  released(connection: Http1ClientConnection): void {
    if (this.#closed) {
      connection.close()
      return
    }
    const time = this.#timeFor(connection)
    if (time <= 0) {
      connection.close()
      return
    }
    this.#idle.push(connection)
    connection.deadline = sweep.now + time
    this.#owner.offer(this)
  }

  lost(connection: Http1ClientConnection): void {
    const at = this.#idle.lastIndexOf(connection)
    if (at >= 0) {
      this.#idle.splice(at, 1)
      this.#spare = Math.max(0, this.#spare - 1)
      this.#spareBefore = Math.max(0, this.#spareBefore - 1)
    }
    this.#owner.left()
  }

  /** The client has gone, or the pool is closed: what is idle is closed, what is in use when it is done. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close()
    for (const session of this.#sessions) session.close()
  }
}
