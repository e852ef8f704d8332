// One accepted connection: the byte stream, and what was observed about it.
import type { Socket } from 'node:net'
import type { Address } from './address.ts'

/** A connection as it was accepted. Layers add what they prove: `proxied`, `tls`. */
export interface Connection {
  /** Unique in this process, for log lines; short and in order of accepting. */
  readonly id: string
  /** The byte stream as it is at this point of the stack: the TCP socket, or the TLS socket below `acceptTls`. */
  socket: Socket
  /** Who is at the other end of the TCP or unix connection, as observed; never what someone claims. */
  readonly peer: Address
  /** The address that the client dialled, as observed on this machine. */
  readonly local: Address
  /** Aborted when the listener drains: finish what is in flight, begin nothing new. Shared by all its connections. */
  readonly draining: AbortSignal
  /** Aborted when the limit of the drain has passed; the listener then closes the connection by itself. */
  readonly aborted: AbortSignal
  /** Closes at once with a TCP reset, so that the peer can't take it for an orderly end. */
  reset(): void
}

/**
 * The one class behind `Connection`. It declares what layers add up front, hidden by the types until a layer has added
 * it, so that all connections keep one shape and property access stays monomorphic.
 */
export class AcceptedConnection implements Connection {
  readonly id: string
  readonly peer: Address
  readonly local: Address
  readonly draining: AbortSignal
  readonly aborted: AbortSignal
  socket: Socket
  proxied: unknown = undefined
  tls: unknown = undefined
  /** The socket that was accepted, under whatever `socket` is now. */
  readonly #accepted: Socket

  constructor(
    id: string,
    socket: Socket,
    peer: Address,
    local: Address,
    draining: AbortSignal,
    aborted: AbortSignal,
  ) {
    this.id = id
    this.peer = peer
    this.local = local
    this.draining = draining
    this.aborted = aborted
    this.socket = socket
    this.#accepted = socket
  }

  reset(): void {
    if (this.socket !== this.#accepted) this.socket.destroy()
    if (!this.#accepted.destroyed) this.#accepted.resetAndDestroy()
  }
}
