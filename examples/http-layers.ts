// A small service on the internet's side of things: an access log, an id for each request, the client behind a proxy on
// this machine, limits of size and time, a redirect and a file.
//
//   $ npm run -s example examples/http-layers.ts
//   $ curl http://127.0.0.1:8080/
//   $ curl -H 'X-Forwarded-For: 192.0.2.7' http://127.0.0.1:8080/
//   $ curl -r 0-99 http://127.0.0.1:8080/source
import { fileURLToPath } from 'node:url'
import { Shutdown, stack } from 'sluice'
import {
  accessLog,
  bodyLimit,
  file,
  type HttpRequest,
  type HttpResponse,
  redirect,
  requestId,
  serveHttp,
  text,
  timeout,
  trustForwarded,
} from 'sluice/http'
import { listen } from 'sluice/net'

const edge = process.env.EDGE ?? '127.0.0.1:8080'
const shutdown = Shutdown.onSignals()
const source = fileURLToPath(import.meta.url)

const service = stack<HttpRequest, HttpResponse>()
  .layer(accessLog())
  .layer(trustForwarded({ trust: ['loopback'] }))
  .layer(requestId())
  .layer(timeout('10s'))
  .layer(bodyLimit('64kb'))
  .service(async request => {
    const { client, path, requestId } = request
    if (path === '/source') return file(request, source, { headers: { 'cache-control': 'no-cache' } })
    if (path === '/old') return redirect('/source', 301)
    if (path === '/upper') return text((await request.body.text()).toUpperCase())
    // Where a proxy hides the client, nobody knows it.
    const name =
      client.address === undefined || client.address.family === 'unix' ? 'you' : client.address.host
    return text(`hello ${name}, this is request ${requestId}\n`)
  })

await listen(edge, { shutdown }, serveHttp(service))

await shutdown.done
