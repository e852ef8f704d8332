// The layer that says who the client is, where proxies that are trusted stand between it and us.
import { type Layer, oneOf } from '../../core/index.ts'
import { type Address, networks } from '../../net/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { type Followed, type ForwardingFields, follow } from '../forwarded/chain.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpRequest } from '../request.ts'
import { senderOf } from './sender.ts'

export interface TrustForwardedOptions {
  /**
   * The proxies whose fields are believed: CIDRs (`10.0.0.0/8`), addresses, `loopback`, `private` or `unix`. There is no
   * default, because whoever is trusted can claim to be anyone.
   */
  readonly trust: readonly string[]
  /**
   * The fields that the trusted proxies write: `forwarded` for Forwarded (RFC 7239), `x-forwarded` for
   * X-Forwarded-For, -Proto and -Host. The others are not looked at then, which is worth it: most proxies write one
   * kind and hand on the other as a stranger sent it.
   * @default both, and where both are there they must not contradict each other
   */
  readonly fields?: ForwardingFields
}

/** The client of a request, as far as proxies that are trusted tell. What was observed stays in `connection`. */
export interface ForwardedClient {
  /**
   * Its address; with port 0 if its port is not told. Undefined if a trusted proxy hides it (`unknown`, `_name`), or says
   * what can't be read: it is not known then, and not whoever stands nearest.
   */
  readonly address: Address | undefined
  /** The scheme that the client used. */
  readonly scheme: 'http' | 'https'
  /** Host, with its port if there is one, that the client asked for. */
  readonly host: string | undefined
  /**
   * Whether the sender is trusted, and what it says is sound. `reverseProxy` then extends the fields; else it puts its own
   * in their place.
   */
  readonly trusted: boolean
  /** The kind of fields that the sender is trusted with; undefined for both. */
  readonly fields: ForwardingFields | undefined
}

/** A request of which it is known who the client is. */
export interface WithClient {
  readonly client: ForwardedClient
}

/**
 * Sets `client` from Forwarded or X-Forwarded-For, -Proto and -Host, if whoever sent the request is trusted; else it is
 * the sender itself, and the fields mean nothing. The fields are followed from their end while the proxies that they
 * name are trusted; the first that is not is the client.
 *
 * The sender is who wrote the HTTP: below `acceptProxyHeader` the source that a believed header names, as a load balancer
 * that passes bytes on speaks no HTTP; else the connection's peer. So a CDN that comes through such a balancer must be
 * in `trust`, and the balancer need not be.
 *
 * Fields that are malformed, go through more than 50 proxies or contradict each other make the client unknown
 * (`address` is undefined) and `trusted` false.
 *
 * @example
 * ```ts
 * stack<HttpRequest, HttpResponse>()
 *   .layer(trustForwarded({ trust: ['10.0.0.0/8', 'loopback'] }))
 *   .service(({ client }) => text(`hello ${client.address ?? 'stranger'}\n`))
 * ```
 * @throws {SluiceError} `CIDR_INVALID`, `OPTION_INVALID`
 */
export function trustForwarded(options: TrustForwardedOptions): Layer<HttpRequest, WithClient> {
  const trust = networks(options.trust)
  const fields =
    options.fields === undefined
      ? undefined
      : oneOf('fields', options.fields, ['forwarded', 'x-forwarded'] as const)
  return next =>
    function trustForwarded(input) {
      const request: HttpRequest & { client?: unknown } = input
      const sender = senderOf(request.connection)
      request.client = trust.has(sender)
        ? forwardedClient(request, follow(sender, trust, request.headers, fields), fields)
        : { address: sender, scheme: request.scheme, host: request.authority, trusted: false, fields }
      return next(input as typeof input & WithClient)
    }
}

function forwardedClient(
  { headers, scheme, authority }: HttpRequest,
  followed: Followed,
  fields: ForwardingFields | undefined,
): ForwardedClient {
  const { address, element, sound } = followed
  const claimed = sound ? claimOf(headers, followed, fields) : undefined
  const proto = schemeOf(element?.proto, claimed?.proto)
  const host = hostOf(element?.host, claimed?.host, proto ?? scheme)
  if (!sound || claimed === undefined || proto === null || host === null) {
    return { address, scheme, host: authority, trusted: false, fields }
  }
  return { address, scheme: proto ?? scheme, host: host ?? authority, trusted: true, fields }
}

interface Claim {
  readonly proto: string | undefined
  readonly host: string | undefined
}

/** What X-Forwarded-Proto and -Host say of the client; undefined if it can't be told which of their values is meant. */
function claimOf(
  headers: HeaderList,
  followed: Followed,
  fields: ForwardingFields | undefined,
): Claim | undefined {
  if (fields === 'forwarded') return { proto: undefined, host: undefined }
  const proto = valueFor(headers.get('x-forwarded-proto'), followed)
  const host = valueFor(headers.get('x-forwarded-host'), followed)
  return proto === null || host === null ? undefined : { proto, host }
}

/**
 * The value that goes with the hop that X-Forwarded-For ended at: the only one, or where the lists are of the same length,
 * the one at the same place. Null if neither is so.
 */
function valueFor(text: string | undefined, { taken, listed }: Followed): string | undefined | null {
  if (text === undefined) return undefined
  if (!text.includes(',')) return text
  const values = text.split(',')
  return values.length === listed && taken > 0 ? (values[listed - taken] as string).trim() : null
}

/** Undefined if none is told, null if it can't be believed. */
function schemeOf(one: string | undefined, other: string | undefined): 'http' | 'https' | undefined | null {
  const [first, second] = [one, other].map(text => (text === undefined ? undefined : httpScheme(text)))
  if (first === null || second === null) return null
  if (first !== undefined && second !== undefined && first !== second) return null
  return first ?? second
}

function httpScheme(text: string): 'http' | 'https' | null {
  switch (text.toLowerCase()) {
    case 'http':
    // Traefik tells the scheme of WebSockets so.
    case 'ws':
      return 'http'
    case 'https':
    case 'wss':
      return 'https'
    default:
      return null
  }
}

/** Undefined if none is told, null if it can't be believed. */
function hostOf(
  one: string | undefined,
  other: string | undefined,
  scheme: string,
): string | undefined | null {
  for (const host of [one, other]) if (host !== undefined && !isAuthority(host)) return null
  if (one !== undefined && other !== undefined && !sameAuthority(one, other, scheme)) return null
  return one ?? other
}
