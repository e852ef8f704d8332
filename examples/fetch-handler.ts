// A web-standard handler (Request in, Response out, as Hono and h3 have it) that knows the connection too.
//
//   $ npm run -s example examples/fetch-handler.ts
//   $ curl http://127.0.0.1:8080/hello
//   $ curl -d 'some text' http://127.0.0.1:8080/upper
import { Shutdown } from 'sluice'
import { fetchHandler, serveHttp } from 'sluice/http'
import { listen } from 'sluice/net'

const edge = process.env.EDGE ?? '127.0.0.1:8080'
const shutdown = Shutdown.onSignals()

const service = fetchHandler(async (request, { connection }) => {
  const { pathname } = new URL(request.url)
  if (pathname === '/hello') return Response.json({ hello: connection.peer })
  if (pathname === '/upper') return new Response((await request.text()).toUpperCase())
  return new Response('not found\n', { status: 404 })
})

await listen(edge, { shutdown }, serveHttp(service, { bodyLimit: '1mb' }))

await shutdown.done
