// One accepted connection: the byte stream, and what was observed about it.
import type { Socket } from 'node:net'
import type { Address } from './address.ts'
import { bytesTaken } from './bytes-taken.ts'
import { cut, type Stream } from './stream.ts'

/** A connection as it was accepted. Layers add what they prove: `proxied`, `tls`. */
export interface Connection extends Stream {
  /** Unique in this process, for log lines; counts up in order of accepting. */
  readonly id: string
  /** The byte stream as it is at this point of the stack: the TCP socket, or the TLS socket below `acceptTls`. */
  socket: Socket
  /** Who is at the other end of the TCP or unix connection, as observed; never what someone claims. */
  readonly peer: Address
  /** The address that the client dialled, as observed on this machine. */
  readonly local: Address
  /** A number that grows with what the kernel has taken of what was written, to see whether the peer takes anything. */
  readonly taken: number
  /** Aborted when the listener drains: finish what is in flight, begin nothing new. Shared by all its connections. */
  readonly draining: AbortSignal
  /** Aborted when the limit of the drain has passed; the listener then closes the connection by itself. Shared too. */
  readonly aborted: AbortSignal
}

let lastId = 0

/** The id of the next connection that is accepted, by whoever accepts it. */
export function nextConnectionId(): string {
  lastId += 1
  return String(lastId)
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
  readonly #transport: Socket

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
    this.#transport = socket
  }

  get taken(): number {
    return bytesTaken(this.socket, this.#transport)
  }

  reset(): void {
    cut(this.socket, this.#transport)
  }
}
