// Connections to one upstream that may carry the same requests: those of everybody, or of one client where each
// connection speaks for its client (PROXY headers).
import type { Connection } from '../../net/index.ts'
import type { ClientConnectionOwner, Http1ClientConnection } from '../h1/client-connection.ts'
import type { Http2UpstreamSession } from '../h2/client-session.ts'
import { sweep } from '../sweep.ts'
import type { Carrier } from './ticket.ts'

/** An upstream closes a connection a moment before its own limit ends, as a request may be on its way then. */
const HINT_MARGIN = 1000

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
  /** The one that was used last is at the end, and is used next: others can grow old. */
  readonly #idle: Http1ClientConnection[] = []
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
    return this.#idle.pop()
  }

  /** An idle connection is taken and closed, to make room: whether there was one. */
  evict(): boolean {
    const oldest = this.#idle.shift()
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
    const { idleHint } = connection
    const hint = idleHint === undefined ? Number.POSITIVE_INFINITY : idleHint * 1000 - HINT_MARGIN
    if (hint <= 0) {
      connection.close()
      return
    }
    this.#idle.push(connection)
    connection.deadline = sweep.now + Math.min(this.#owner.idleTimeout, hint)
    this.#owner.offer(this)
  }

  lost(connection: Http1ClientConnection): void {
    const at = this.#idle.lastIndexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#owner.left()
  }

  /** The client has gone, or the pool is closed: what is idle is closed, what is in use when it is done. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close()
    for (const session of this.#sessions) session.close()
  }
}
