// What a PROXY header says, whichever version it is written in.
import type { Address } from '../net/index.ts'
import type { Tlvs } from './tlvs.ts'

/** What carried the proxied connection: TCP or a unix stream, UDP or unix datagrams, or something not said. */
export type ProxyTransport = 'stream' | 'dgram' | 'unspec'

/** Who is connected to whom, as a header claims it. */
export interface ProxyAddresses {
  readonly source: Address
  readonly destination: Address
}

/** A PROXY header. */
export interface ProxyHeader {
  readonly version: 1 | 2
  /** `proxy`: made for someone else; `local`: made by the proxy itself, for a health check say. */
  readonly command: 'proxy' | 'local'
  readonly transport: ProxyTransport
  /** Absent for `local`, for v1 `UNKNOWN` and for v2 families and transports that are not specified. */
  readonly addresses: ProxyAddresses | undefined
  /** Empty for v1. */
  readonly tlvs: Tlvs
}
