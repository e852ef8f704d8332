// Sluice in front of an origin for interop tests: a reverse proxy on two ports, one plain and one below TLS.
import { stack } from '../../src/core/index.ts'
import { serveHttp } from '../../src/http/index.ts'
import { type Connection, IpAddress, type Listener, listen } from '../../src/net/index.ts'
import { type ReverseProxyOptions, reverseProxy } from '../../src/proxy/index.ts'
import { acceptTls, fromPem } from '../../src/tls/index.ts'
import { type TestCertificate, testCertificate } from './certificates.ts'

export interface Edge {
  /** `http://127.0.0.1:PORT`: HTTP/1.1, and HTTP/2 by prior knowledge. */
  readonly plain: string
  /** `https://localhost:PORT`: HTTP/1.1 or HTTP/2, as ALPN has it. */
  readonly secure: string
  readonly listeners: readonly Listener[]
}

const listeners: Listener[] = []
let certificate: Promise<TestCertificate> | undefined

/** The certificate of all edges, for localhost and 127.0.0.1, signed by itself. */
export function edgeCertificate(): Promise<TestCertificate> {
  certificate ??= testCertificate({ usage: 'server' })
  return certificate
}

export async function startEdge(
  to: string | readonly string[],
  options: ReverseProxyOptions<Connection> = {},
): Promise<Edge> {
  const { cert, key } = await edgeCertificate()
  const service = serveHttp(reverseProxy(to, options))
  const terminating = stack<Connection>()
    .layer(acceptTls({ certificate: fromPem({ cert, key }), alpn: ['h2', 'http/1.1', 'http/1.0'] }))
    .service(service)
  const plain = await listen('127.0.0.1:0', {}, service)
  const secure = await listen('127.0.0.1:0', {}, terminating)
  listeners.push(plain, secure)
  return {
    plain: `http://127.0.0.1:${portOf(plain)}`,
    secure: `https://localhost:${portOf(secure)}`,
    listeners: [plain, secure],
  }
}

/** Closes all edges, and what is still open on them; for `afterAll`. */
export async function stopEdges(): Promise<void> {
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
}

function portOf({ address }: Listener): number {
  if (!(address instanceof IpAddress)) throw new Error('no port')
  return address.port
}
