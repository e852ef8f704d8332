// Connectors: services from a target to a connected stream.
import type { Socket } from 'node:net'
import type { Service } from '../core/index.ts'
import type { Endpoint } from './address.ts'
import type { Connection } from './connection.ts'

/** What a connector is asked: where to, and for whom. */
export interface ConnectRequest<C = Connection> {
  readonly to: Endpoint
  /** The client's connection on whose behalf this one is made; absent for connections of Sluice's own (health checks). */
  readonly client?: C
  /** Gives up connecting. */
  readonly signal?: AbortSignal
}

/** A connected stream, ready to be written to and read from. */
export interface Connected {
  /** The byte stream; a TLS socket below `connectTls`. It is paused: nothing has been read yet. */
  socket: Socket
}

/** A service from a request to connect to a connected stream. */
export type Connector<C = Connection> = Service<ConnectRequest<C>, Connected>

/**
 * Wraps a connector: `sendProxyHeader()` and `connectTls()` are such layers. `Needs` is what it reads on the client's
 * connection.
 */
export type ConnectLayer<in Needs = unknown> = <C extends Needs>(next: Connector<C>) => Connector<C>
