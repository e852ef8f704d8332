// Several layers over one connector: what they write is in the order of the list.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { stack } from '../src/core/index.ts'
import { type Connection, forward, type Listener, listen } from '../src/net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../src/proxy-protocol/index.ts'
import { acceptTls, connectTls, fromPem } from '../src/tls/index.ts'
import { testCertificate } from './support/certificates.ts'
import { captureLogs } from './support/logs.ts'
import { closeSockets, keep, read } from './support/sockets.ts'

captureLogs('silent')
const listeners: Listener[] = []
afterEach(async () => {
  await closeSockets()
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
})

it('forward sends a PROXY header in the clear, and then comes TLS', async () => {
  const { cert, key } = await testCertificate()
  const backend = await listen(
    '127.0.0.1:0',
    {},
    stack<Connection>()
      .layer(acceptProxyHeader({ trust: ['loopback'] }))
      .layer(acceptTls({ certificate: fromPem({ cert, key }) }))
      .service(({ proxied, tls, socket }) => void socket.write(`${proxied.source} by ${tls.version}`)),
  )
  const proxy = await listen(
    '127.0.0.1:0',
    {},
    forward(`localhost:${String(backend.address).split(':')[1]}`, {
      connect: [sendProxyHeader(), connectTls({ ca: cert })],
    }),
  )
  listeners.push(backend, proxy)
  const client = keep(connect(Number(String(proxy.address).split(':')[1]), '127.0.0.1'))
  const seen = read(client)
  await once(client, 'connect')
  const { localPort } = client
  await seen.over
  expect(Buffer.concat(seen.chunks).toString()).toBe(`127.0.0.1:${localPort} by TLSv1.3`)
})
