// An application of Express behind TLS: over HTTP/1.1 and HTTP/2, and without a server of Node's.
//
//   $ npm run -s example examples/express.ts
//   $ curl --insecure https://127.0.0.1:8443/hello/you
//   $ curl --insecure --json '{"a":1}' https://127.0.0.1:8443/echo
import express from 'express'
import { Shutdown, stack } from 'sluice'
import { nodeHandler, serveHttp } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { acceptTls, selfSigned } from 'sluice/tls'

const edge = process.env.EDGE ?? '127.0.0.1:8443'
const shutdown = Shutdown.onSignals()

const app = express()
app.use(express.json())
app.get('/hello/:name', ({ params, ip, protocol, httpVersion }, response) => {
  response.send(`hello ${params.name} at ${ip}, you came by ${protocol} and HTTP/${httpVersion}\n`)
})
app.post('/echo', (request, response) => {
  response.json(request.body)
})

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptTls({ certificate: selfSigned(), alpn: ['h2', 'http/1.1'] }))
    .service(serveHttp(nodeHandler(app))),
)

await shutdown.done
