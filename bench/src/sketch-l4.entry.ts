// The least that a Node program can do for the same work: a measure of what the runtime itself costs. Not a proxy to
// use: no time limits, no errors told apart.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createServer } from 'node:tls'

const [port, originPort, cert, key] = process.argv.slice(2)

const server = createServer(
  {
    cert: readFileSync(cert ?? ''),
    key: readFileSync(key ?? ''),
    minVersion: 'TLSv1.3',
    allowHalfOpen: true,
    noDelay: true,
  },
  client => {
    const origin = connect({
      host: '127.0.0.1',
      port: Number(originPort),
      allowHalfOpen: true,
      noDelay: true,
    })
    const header = Buffer.alloc(28)
    header.write('\r\n\r\n\0\r\nQUIT\n', 'latin1')
    header.set([0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1], 12)
    header.writeUInt16BE(client.remotePort ?? 0, 24)
    header.writeUInt16BE(client.localPort ?? 0, 26)
    origin.write(header)
    client.pipe(origin)
    origin.pipe(client)
    client.on('error', () => origin.destroy())
    origin.on('error', () => client.destroy())
  },
)
server.on('tlsClientError', () => {})
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 })
