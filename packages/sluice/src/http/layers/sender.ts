// Who sent a request's bytes, as far as the connection tells.
import type { Address, Connection } from '../../net/index.ts'

/** What is read of a connection's PROXY header, if a layer above has believed one. */
interface MaybeProxied {
  readonly proxied?: { readonly source: Address } | undefined
}

/**
 * Who wrote the HTTP that came on a connection. Behind a load balancer that passes bytes on and writes a PROXY header,
 * that is the source which the header names: the balancer itself speaks no HTTP. Else it is the peer.
 */
export function senderOf(connection: Connection): Address {
  return (connection as MaybeProxied).proxied?.source ?? connection.peer
}
