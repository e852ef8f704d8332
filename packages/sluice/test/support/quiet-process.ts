// A reverse proxy in a process of its own, started with --expose-gc and --trace-deopt: it has requests until its code is
// compiled, and then a quiet moment in which garbage is collected. What V8 says of that stands between two lines.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { serveHttp } from '../../src/http/index.ts'
import { listen } from '../../src/net/index.ts'
import { reverseProxy } from '../../src/proxy/index.ts'
import { answering, OK, startOrigin } from './raw-origin.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

const origin = await startOrigin(answering(OK))
const { address } = await listen('127.0.0.1:0', {}, serveHttp(reverseProxy(origin.url)))
const port = Number(String(address).split(':').at(-1))

const { gc: collect } = globalThis
if (collect === undefined) throw new Error('it must be run with --expose-gc')

/** Asks so often, on a connection that ends afterwards. */
function ask(times: number): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    let left = times
    socket.on('data', () => {
      left--
      if (left > 0) socket.write(GET)
      else socket.end()
    })
    socket.on('close', () => resolve())
    socket.write(GET)
  })
}

/** The same over HTTP/2. */
async function askHttp2(times: number): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  for (let count = 0; count < times; count++) {
    const stream = session.request({ ':path': '/' })
    stream.resume()
    await once(stream, 'close')
  }
  session.destroy()
}

await Promise.all(Array.from({ length: 8 }, () => ask(2000)))
await Promise.all(Array.from({ length: 4 }, () => askHttp2(2000)))
await pause(200)
process.stdout.write('=== quiet\n')
for (let count = 0; count < 8; count++) {
  collect()
  await pause(20)
}
process.stdout.write('=== over\n')
process.exit(0)
