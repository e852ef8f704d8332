// An HTTPS service behind a load balancer that writes a PROXY header and passes TLS through: the header comes first,
// then the handshake.
//
//   $ npm run -s example examples/behind-load-balancer.ts
//   $ curl -k --haproxy-protocol https://127.0.0.1:8443/
import { Shutdown, stack } from 'sluice'
import { serveHttp, text } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { acceptProxyHeader } from 'sluice/proxy-protocol'
import { acceptTls, selfSigned } from 'sluice/tls'

const edge = process.env.EDGE ?? '127.0.0.1:8443'
const shutdown = Shutdown.onSignals()

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptProxyHeader({ trust: ['loopback'] }))
    .layer(acceptTls({ certificate: selfSigned(), alpn: ['h2', 'http/1.1'] }))
    .service(
      serveHttp(({ connection: { peer, proxied, tls } }) =>
        text(`hello ${proxied.source}, you came through ${peer} with ${tls.version}\n`),
      ),
    ),
)

await shutdown.done
