// What `acceptProxyHeader` adds to a connection.
import type { Address, Connection } from '../net/index.ts'
import type { ProxyHeader, ProxyTransport } from './header.ts'
import type { Tlvs } from './tlvs.ts'

/** What a trusted peer claims about the connection that it made. */
export interface ProxiedInfo {
  readonly version: 1 | 2
  /** `local`: the peer made the connection by itself, for a health check say. */
  readonly command: 'proxy' | 'local'
  readonly transport: ProxyTransport
  /**
   * Whether the header named addresses. If it named none (LOCAL, UNKNOWN, UNSPEC), `source` and `destination` are those
   * of the connection itself: `peer` and `local`.
   */
  readonly claimed: boolean
  /** The client. */
  readonly source: Address
  /** The address that the client dialled. */
  readonly destination: Address
  readonly tlvs: Tlvs
}

/** A connection that brought a PROXY header from a trusted peer. `peer` and `local` stay what was observed. */
export interface Proxied {
  readonly proxied: ProxiedInfo
}

/** A connection that may have brought a PROXY header from a trusted peer: undefined if it was none, or not believed. */
export interface MaybeProxied {
  readonly proxied: ProxiedInfo | undefined
}

/** What a header says about a connection: the claim where there is one, else what is observed (section 2.1, 2.2). */
export function proxiedInfo(header: ProxyHeader, connection: Connection): ProxiedInfo {
  const { version, command, transport, addresses, tlvs } = header
  return {
    version,
    command,
    transport,
    claimed: addresses !== undefined,
    source: addresses?.source ?? connection.peer,
    destination: addresses?.destination ?? connection.local,
    tlvs,
  }
}
