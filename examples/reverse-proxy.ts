// A reverse proxy in front of two copies of an application, with an access log and an id for each request. The two here
// say who they are; name others with TO, separated by commas.
//
//   $ npm run -s example examples/reverse-proxy.ts
//   $ curl -k https://127.0.0.1:8443/ https://127.0.0.1:8443/
import { Shutdown, stack } from 'sluice'
import { accessLog, type HttpRequest, type HttpResponse, requestId, serveHttp, text } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { reverseProxy } from 'sluice/proxy'
import { acceptTls, selfSigned } from 'sluice/tls'

const edge = process.env.EDGE ?? '127.0.0.1:8443'
const shutdown = Shutdown.onSignals()

const requests = stack<HttpRequest, HttpResponse>()
  .layer(accessLog())
  .layer(requestId())
  .service(reverseProxy(process.env.TO?.split(',') ?? [await application('one'), await application('two')]))

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptTls({ certificate: selfSigned(), alpn: ['h2', 'http/1.1'] }))
    .service(serveHttp(requests)),
)

await shutdown.done

/** Starts a small application on a free port, and gives its URL. */
async function application(name: string): Promise<string> {
  const { address } = await listen(
    '127.0.0.1:0',
    { shutdown },
    serveHttp(({ headers, version }) =>
      text(`this is ${name}, asked for ${headers.get('x-forwarded-for')} with HTTP/${version}\n`),
    ),
  )
  return `http://${address}`
}
