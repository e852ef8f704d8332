// TLS in, a PROXY header and the bytes out, to an HTTP service that greets the real client.
//
//   $ node --conditions=@sluice/source examples/tls-termination.ts
//   $ curl -k https://127.0.0.1:63801/
import { logger, Shutdown, stack } from 'sluice'
import { serveHttp, text } from 'sluice/http'
import { type Connection, forward, listen } from 'sluice/net'
import { acceptProxyHeader, sendProxyHeader } from 'sluice/proxy-protocol'
import { acceptTls, selfSigned } from 'sluice/tls'

const edge = process.env.EDGE ?? '127.0.0.1:63801'
const greeter = process.env.GREETER ?? '127.0.0.1:62801'
const log = logger('tls-termination')
const shutdown = Shutdown.onSignals({ limit: '30s' })

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptTls({ certificate: selfSigned(), clientHello: true, alpn: ['h2', 'http/1.1'] }))
    .tap(({ tls }) => log.debug({ clientHello: tls.clientHello }, 'secure connection established'))
    .service(forward(greeter, { connect: sendProxyHeader() })),
)

await listen(
  greeter,
  { shutdown },
  stack<Connection>()
    .layer(acceptProxyHeader({ trust: ['127.0.0.0/8'] }))
    .service(
      serveHttp(({ connection }) =>
        text(
          `hello client ${connection.proxied.source}, you were served by tls terminator proxy ${connection.peer}\r\n`,
        ),
      ),
    ),
)

await shutdown.done
