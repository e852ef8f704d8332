// One upstream of a reverse proxy: where it is, how it is spoken to, and the connections to it.
import type { TLSSocket } from 'node:tls'
import {
  type Duration,
  oneOf,
  type Size,
  SluiceError,
  sizeLimit,
  timeLimit,
  wholeNumber,
} from '../core/index.ts'
import { UpstreamPool } from '../http/index.ts'
import {
  type Connection,
  type ConnectLayer,
  type Connector,
  connectTcp,
  type Endpoint,
  parseEndpoint,
} from '../net/index.ts'
import { type ConnectTlsOptions, connectTls } from '../tls/index.ts'

export interface UpstreamOptions<in Needs = unknown> {
  /**
   * A layer over the connector, such as `sendProxyHeader()`, or several in the order in which they write to a new
   * connection. TLS, for an `https:` upstream, comes after them. Where one of them speaks for a client, as PROXY headers
   * do, each connection carries the requests of one client alone.
   * @default none
   */
  readonly connect?: ConnectLayer<Needs> | readonly ConnectLayer<Needs>[]
  /**
   * How TLS is spoken with an `https:` upstream.
   * @default the upstream's certificate is verified with the platform's CAs
   */
  readonly tls?: Omit<ConnectTlsOptions, 'alpn'>
  /**
   * Versions of HTTP for an `https:` upstream, of which ALPN chooses one. `h2c:` upstreams are spoken to in HTTP/2 without
   * asking, `http:` ones in HTTP/1.1.
   * @default both
   */
  readonly versions?: readonly ('1.1' | '2')[]
  /**
   * How long connecting may take.
   * @default '5s'
   */
  readonly connectTimeout?: Duration
  /**
   * How long the head of an answer may take from when the request has been sent; then 504 is answered.
   * @default '60s', as nginx
   */
  readonly responseTimeout?: Duration
  /**
   * How long the body of an answer may stand still while the client takes it: an EventSource has to send a comment within
   * this time. It counts from when the request has been sent. And how long the body may wait for somebody to read it.
   * @default '60s'
   */
  readonly bodyTimeout?: Duration
  /**
   * How long the upstream may take nothing of a request's body.
   * @default '60s'
   */
  readonly writeTimeout?: Duration
  /**
   * Bytes of the head of an answer; more is a bad answer.
   * @default '32kb'
   */
  readonly headLimit?: Size
  /**
   * Fields of an answer; more is a bad answer.
   * @default 100
   */
  readonly fieldLimit?: number
  /**
   * Connections to each upstream.
   * @default 1024
   */
  readonly maxConnections?: number
  /**
   * Requests that wait for a connection to an upstream when all are in use; more are answered 503.
   * @default 1024
   */
  readonly maxWaiting?: number
  /**
   * How long a request waits for a connection; then 503 is answered.
   * @default '10s'
   */
  readonly queueTimeout?: Duration
  /**
   * How long an idle connection is kept. An upstream that says that it keeps it for a shorter time (`Keep-Alive`) is
   * believed.
   * @default '4s', less than the 5 seconds after which Node, uvicorn and others close theirs
   */
  readonly idleTimeout?: Duration
}

/** An upstream, ready to be sent requests. */
export interface Upstream {
  /** As in a URL: `http://127.0.0.1:3000`. */
  readonly name: string
  readonly scheme: 'http' | 'https'
  /** Host and port for a Host field, if it is asked to be the upstream's. */
  readonly authority: string
  readonly pool: UpstreamPool
}

interface Place {
  readonly name: string
  readonly scheme: 'http' | 'https'
  readonly http2: boolean
  readonly authority: string
  readonly to: Endpoint
}

/**
 * @throws {SluiceError} `ADDRESS_INVALID`, `OPTION_INVALID`, `DURATION_INVALID`, `SIZE_INVALID`, `TLS_OPTION_INVALID`,
 *   `TLS_CA_INVALID`
 */
export function upstreamOf<C extends Connection>(url: string, options: UpstreamOptions<C>): Upstream {
  const { name, scheme, http2, authority, to } = placeOf(url)
  const versions = (options.versions ?? ['2', '1.1']).map(version => oneOf('versions', version, ['1.1', '2']))
  if (versions.length === 0) throw new SluiceError('OPTION_INVALID', 'versions is empty; name 1.1, 2 or both')
  const layers = [options.connect ?? []].flat()
  const connector = (alpn: readonly string[]): Connector<C> => {
    let connect: Connector<C> = connectTcp({ timeout: options.connectTimeout ?? '5s' })
    for (const layer of layers) connect = layer(connect)
    if (scheme === 'http') return connect
    const secure = connectTls({ ...options.tls, alpn: [...alpn] })(connect)
    return alpn.includes('http/1.1') ? secure : requiringHttp2(secure)
  }
  const offered = versions.map(version => (version === '2' ? 'h2' : 'http/1.1'))
  const both = scheme === 'https' && offered.length > 1
  const pool = new UpstreamPool({
    to,
    // What the layers need of a client is proved where the proxy is put below the layers that give it.
    connect: connector(offered) as Connector,
    connectUpgradable: both ? (connector(['http/1.1']) as Connector) : undefined,
    http2,
    perClient: layers.some(layer => layer.perClient === true),
    limits: {
      head: sizeLimit('headLimit', options.headLimit ?? '32kb'),
      fields: wholeNumber('fieldLimit', options.fieldLimit ?? 100),
      responseTimeout: timeLimit('responseTimeout', options.responseTimeout ?? '60s'),
      bodyTimeout: timeLimit('bodyTimeout', options.bodyTimeout ?? '60s'),
      writeTimeout: timeLimit('writeTimeout', options.writeTimeout ?? '60s'),
    },
    maxConnections: wholeNumber('maxConnections', options.maxConnections ?? 1024),
    maxWaiting: wholeNumber('maxWaiting', options.maxWaiting ?? 1024, 0),
    queueTimeout: timeLimit('queueTimeout', options.queueTimeout ?? '10s'),
    idleTimeout: timeLimit('idleTimeout', options.idleTimeout ?? '4s'),
  })
  return { name, scheme, authority, pool }
}

/** An upstream that was to speak HTTP/2, and agreed on nothing. */
function requiringHttp2<C>(connect: Connector<C>): Connector<C> {
  return async function requireHttp2(request) {
    const connected = await connect(request)
    if ((connected.socket as Partial<TLSSocket>).alpnProtocol === 'h2') return connected
    connected.reset()
    throw new SluiceError(
      'HTTP_UPSTREAM_PROTOCOL',
      'it does not speak HTTP/2 over TLS; allow version 1.1 too',
    )
  }
}

const SCHEMES: Readonly<Record<string, { scheme: 'http' | 'https'; port: number; http2: boolean }>> = {
  'http:': { scheme: 'http', port: 80, http2: false },
  'https:': { scheme: 'https', port: 443, http2: false },
  'h2c:': { scheme: 'http', port: 80, http2: true },
}

function placeOf(text: string): Place {
  if (text.startsWith('unix:')) {
    const to = parseEndpoint(text, 'connect')
    return { name: text, scheme: 'http', http2: false, authority: 'localhost', to }
  }
  const [, protocol = '', authority = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:)\/\/([^/?#]*)(.*)$/i.exec(text) ?? []
  const known = Object.hasOwn(SCHEMES, protocol.toLowerCase()) ? SCHEMES[protocol.toLowerCase()] : undefined
  if (known === undefined || authority === '') {
    throw new SluiceError(
      'ADDRESS_INVALID',
      `upstream ${JSON.stringify(text)} is no URL; write http://HOST:PORT, https://HOST, h2c://HOST:PORT or unix:/PATH`,
    )
  }
  if (rest !== '' && rest !== '/') {
    throw new SluiceError(
      'ADDRESS_INVALID',
      `upstream ${JSON.stringify(text)} has a path; a reverse proxy hands paths on as they are, so write only scheme, host and port`,
    )
  }
  const withPort = /:\d+$/.test(authority) ? authority : `${authority}:${known.port}`
  const to = parseEndpoint(withPort, 'connect')
  return {
    name: `${protocol.toLowerCase()}//${authority}`,
    scheme: known.scheme,
    http2: known.http2,
    authority,
    to,
  }
}
