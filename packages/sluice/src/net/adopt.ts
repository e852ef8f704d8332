// A connection that another server has accepted, as services take it.
import type { Socket } from 'node:net'
import { AcceptedConnection, type Connection, nextConnectionId } from './connection.ts'
import { localAddress, peerAddress } from './ip.ts'

export interface AdoptOptions {
  /** Aborted when the server drains. @default never */
  readonly draining?: AbortSignal | undefined
  /** Aborted when the limit of the drain has passed; closing the connection is up to the server. @default never */
  readonly aborted?: AbortSignal | undefined
  /** Closes it at once, where the socket itself must not be touched. @default resets the socket */
  readonly reset?: (() => void) | undefined
}

const never = new AbortController().signal

/**
 * Makes a connection of a socket that another server has accepted: of a Node server, for example.
 *
 * @throws {SluiceError} `DOWNSTREAM_RESET` if it is gone already, so that nobody knows whose it was
 */
export function adopt(socket: Socket, options: AdoptOptions = {}): Connection {
  const { draining = never, aborted = never, reset } = options
  const [peer, local] = [peerAddress(socket), localAddress(socket)]
  const connection = new AcceptedConnection(nextConnectionId(), socket, peer, local, draining, aborted)
  if (reset !== undefined) connection.reset = reset
  return connection
}
