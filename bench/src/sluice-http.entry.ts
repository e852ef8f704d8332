// Sluice under test: what a user would write, with its defaults. With a file for it, it logs each request in JSON.
import { createWriteStream } from 'node:fs'
import { stack } from 'sluice'
import { accessLog, type HttpRequest, type HttpResponse, serveHttp } from 'sluice/http'
import { type Connection, listen } from 'sluice/net'
import { reverseProxy } from 'sluice/proxy'
import { acceptTls, fromFiles } from 'sluice/tls'

const [port, originPort, cert = '', key = '', logFile] = process.argv.slice(2)

const proxy = reverseProxy(`http://127.0.0.1:${originPort}`)
const service =
  logFile === undefined
    ? proxy
    : stack<HttpRequest, HttpResponse>()
        .layer(accessLog({ format: 'json', destination: createWriteStream(logFile) }))
        .service(proxy)

await listen(
  `127.0.0.1:${port}`,
  { backlog: 4096 },
  stack<Connection>()
    .layer(
      acceptTls({
        certificate: fromFiles({ cert, key }),
        minVersion: 'TLSv1.3',
        alpn: ['h2', 'http/1.1'],
      }),
    )
    .service(serveHttp(service)),
)
