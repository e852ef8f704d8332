// A layer of one's own: it refuses clients that have too many connections open.
//
//   $ npm run -s example examples/own-layer.ts
//   $ curl http://127.0.0.1:8080/
import { type Layer, Shutdown, SluiceError, stack } from 'sluice'
import { serveHttp, text } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { acceptProxyHeader, type MaybeProxied } from 'sluice/proxy-protocol'

interface Identified {
  /** The client's address without its port: the one that a trusted header claims, or the peer's. */
  readonly client: string
}

function limitClients(most: number): Layer<Connection & MaybeProxied, Identified> {
  const open = new Map<string, number>()

  return next =>
    async function limitClients(connection) {
      const address = connection.proxied?.source ?? connection.peer
      const client = address.family === 'unix' ? 'unix' : address.host
      const before = open.get(client) ?? 0
      if (before >= most) {
        throw new SluiceError('CONNECTION_LIMIT', `${client} has ${before} connections open already`)
      }
      open.set(client, before + 1)
      try {
        return await next(Object.assign(connection, { client }))
      } finally {
        const left = (open.get(client) ?? 1) - 1
        if (left > 0) open.set(client, left)
        else open.delete(client)
      }
    }
}

const edge = process.env.EDGE ?? '127.0.0.1:8080'
const shutdown = Shutdown.onSignals()

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptProxyHeader({ trust: ['loopback'], policy: 'use' }))
    .layer(limitClients(2))
    .service(serveHttp(({ connection }) => text(`hello ${connection.client}\n`))),
)

await shutdown.done
