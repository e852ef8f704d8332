// The reverse proxy: a service that answers requests with what upstreams answer.
import { type Duration, oneOf, type Service, SluiceError, timeLimit } from '../core/index.ts'
import { type HttpRequest, type HttpResponse, LateAnswer } from '../http/index.ts'
import type { Connection } from '../net/index.ts'
import { type ExchangeSettings, ProxyExchange } from './exchange.ts'
import { type UpstreamOptions, upstreamOf } from './upstream.ts'

export interface ReverseProxyOptions<in Needs = unknown> extends UpstreamOptions<Needs> {
  /**
   * The Host that the upstream is told: the one that the client asked for, or the upstream's own.
   * @default 'keep'
   */
  readonly host?: 'keep' | 'upstream'
  /**
   * How long nothing may move in a tunnel (WebSocket and other upgrades) before both sides are reset.
   * @default '1h'
   */
  readonly tunnelIdleTimeout?: Duration
  /**
   * Hands on fields with an underscore in their name (names with other signs than letters, digits and dashes never are). To many applications `X_Forwarded_For` is `X-Forwarded-For`: a client
   * can tell them what only a proxy should.
   * @default false
   */
  readonly unsafeUnderscores?: boolean
}

/**
 * Hands requests on to upstreams, in turn where there are several, and their answers back, over HTTP/1.1 or HTTP/2 on
 * either side. Bodies stream both ways, and memory stays constant.
 *
 * The upstream gets the request as it came: its target to the letter, its end-to-end fields in their order. What frames
 * it is made anew, what belongs to the client's connection is taken off, and X-Forwarded-For, -Proto and -Host, Forwarded
 * and Via tell who the client is; `trustForwarded` above says whose own such fields are believed. `103 Early Hints`,
 * `Expect: 100-continue`, trailers and upgrades such as WebSocket pass from end to end.
 *
 * A kept connection that turns out to be dead before any byte of an answer has come is replaced by a new one, if the
 * request is idempotent and its body can be sent again. An upstream that can't be connected to is passed over.
 *
 * The service throws `CONNECT_REFUSED` and other errors of connecting, `TLS_UPSTREAM_UNVERIFIED` and its kin,
 * `HTTP_QUEUE_FULL`, `HTTP_QUEUE_TIMEOUT`, `HTTP_UPSTREAM_CLOSED`, `HTTP_UPSTREAM_MALFORMED`, `HTTP_UPSTREAM_TIMEOUT` and
 * the other codes of upstreams in docs/errors.md.
 *
 * @param to `http://HOST:PORT`, `https://HOST`, `h2c://HOST:PORT` (HTTP/2 without TLS) or `unix:/PATH`; several in a list
 * @example
 * ```ts
 * await listen(':8443', {}, stack<Connection>()
 *   .layer(acceptTls({ certificate: selfSigned(), alpn: ['h2', 'http/1.1'] }))
 *   .service(serveHttp(reverseProxy('http://127.0.0.1:3000'))))
 * ```
 * @throws {SluiceError} `ADDRESS_INVALID`, `OPTION_INVALID`, `DURATION_INVALID`, `SIZE_INVALID`, `TLS_OPTION_INVALID`,
 *   `TLS_CA_INVALID`
 */
export function reverseProxy<C extends Connection = Connection>(
  to: string | readonly string[],
  options: ReverseProxyOptions<C> = {},
): Service<HttpRequest<C>, HttpResponse> {
  const upstreams = [to].flat().map(url => upstreamOf(url, options))
  if (upstreams.length === 0)
    throw new SluiceError('OPTION_INVALID', 'there is no upstream; name at least one')
  const settings: ExchangeSettings = {
    host: oneOf('host', options.host ?? 'keep', ['keep', 'upstream']),
    keepUnderscores: options.unsafeUnderscores === true,
    tunnelIdleTimeout: timeLimit('tunnelIdleTimeout', options.tunnelIdleTimeout ?? '1h'),
    upstreams,
  }
  let next = 0
  return function reverseProxy(request) {
    const first = next
    next = (next + 1) % upstreams.length
    const answer = new LateAnswer()
    try {
      new ProxyExchange(settings, first, request, answer).begin()
    } catch (error) {
      answer.reject(error)
    }
    return answer
  }
}
