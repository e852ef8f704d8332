// A certificate for each name under localhost, issued by a CA of one's own when the first client asks for it.
//
//   $ npm run -s example examples/certificates-by-name.ts
//   $ curl --cacert /tmp/sluice-example-ca.pem https://shop.localhost:8443/
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Shutdown, stack } from 'sluice'
import { serveHttp, text } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { acceptTls, certificateAuthority, issueBy } from 'sluice/tls'

const edge = process.env.EDGE ?? '127.0.0.1:8443'
const caFile = process.env.CA_FILE ?? join(tmpdir(), 'sluice-example-ca.pem')
const shutdown = Shutdown.onSignals()

const authority = certificateAuthority({ name: 'Sluice example CA' })
await writeFile(caFile, await authority.certificate())

// Clients choose the names that they ask for: without `allow`, they could have us sign any.
const certificate = issueBy(authority, {
  allow: name => name === 'localhost' || name.endsWith('.localhost'),
})

await listen(
  edge,
  { shutdown },
  stack<Connection>()
    .layer(acceptTls({ certificate, alpn: ['h2', 'http/1.1'] }))
    .service(serveHttp(({ connection }) => text(`this is ${connection.tls.serverName ?? 'localhost'}\n`))),
)

await shutdown.done
