// Sluice under test: what a user would write, with its defaults.
import { stack } from 'sluice'
import { type Connection, forward, listen } from 'sluice/net'
import { sendProxyHeader } from 'sluice/proxy-protocol'
import { acceptTls, fromFiles } from 'sluice/tls'

const [port, originPort, cert = '', key = ''] = process.argv.slice(2)

await listen(
  `127.0.0.1:${port}`,
  { backlog: 4096 },
  stack<Connection>()
    .layer(acceptTls({ certificate: fromFiles({ cert, key }), minVersion: 'TLSv1.3' }))
    .service(forward(`127.0.0.1:${originPort}`, { connect: sendProxyHeader() })),
)
