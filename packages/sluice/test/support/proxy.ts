// A reverse proxy for tests, on a port of its own, and what it adds to the requests that it forwards.
import type { ServeHttpOptions } from '../../src/http/index.ts'
import type { Connection, ConnectLayer } from '../../src/net/index.ts'
import { type ReverseProxyOptions, reverseProxy } from '../../src/proxy/index.ts'
import { startHttp } from './http.ts'

/** As PROXY headers have it: connections that each speak for a client. */
export const perClient: ConnectLayer = Object.assign<ConnectLayer, object>(next => next, { perClient: true })

export async function startProxy(
  to: string | readonly string[],
  options: ReverseProxyOptions<Connection> = {},
  serve: ServeHttpOptions = {},
): Promise<{ port: number }> {
  return startHttp(reverseProxy(to, options), serve)
}

/** The fields that say who the client is, for one on 127.0.0.1 that nobody trusts. */
export function identity(host: string | null = 'a', version = '1.1'): string {
  return (
    'x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n' +
    (host === null ? '' : `x-forwarded-host: ${host}\r\n`) +
    `forwarded: for=127.0.0.1${host === null ? '' : `;host="${host}"`};proto=http\r\n` +
    `via: ${version} sluice\r\n`
  )
}

export interface Forwarded {
  /** @default 'a' */
  readonly host?: string
  /** Other fields, with their line ends. */
  readonly fields?: string
  /** Framing and what else comes after who the client is. */
  readonly framing?: string
  readonly body?: string
  /** The version that the client spoke. @default '1.1' */
  readonly version?: string
}

/** A request as an origin gets it, to the byte. */
export function forwarded(method: string, target: string, parts: Forwarded = {}): string {
  const { host = 'a', fields = '', framing = '', body = '', version = '1.1' } = parts
  return `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n${fields}${identity(host, version)}${framing}\r\n${body}`
}
