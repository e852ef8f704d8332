// A client that downloads slowly over TLS connections. Commands on stdin, one line of answer each:
//   slow N SECONDS   begins N downloads and takes at most 64 KB a second of each; answers with the bytes taken
//   finish BYTES     takes the rest as it comes; each must have a body of BYTES; answers with the bytes taken
import { createInterface } from 'node:readline'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'

const [port] = process.argv.slice(2)
const options = {
  host: '127.0.0.1',
  port: Number(port),
  secureContext: createSecureContext({ minVersion: 'TLSv1.3', ecdhCurve: 'X25519' }),
  // The benchmark's own certificate, made a moment ago; what a client checks is not what is measured.
  rejectUnauthorized: false,
}
const REQUEST = 'GET /huge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
/** Of the clock that all connections are served by, in milliseconds: each has its turn once a second. */
const TICK = 20

/** Sockets are never 'flowing': what is not asked for stays with the system, and at the proxy. */
interface Download {
  readonly socket: TLSSocket
  taken: number
}

const downloads: Download[] = []
let failed = ''

function begin(): void {
  const socket = connect(options)
  socket.on('error', error => {
    failed ||= error.message
  })
  socket.write(REQUEST)
  downloads.push({ socket, taken: 0 })
}

async function slow(count: number, seconds: number): Promise<string> {
  const turns = 1000 / TICK
  for (let made = 0; made < count; made++) begin()
  // Reading nothing makes a socket look whether there is something: without it, it would wait to be asked.
  for (const { socket } of downloads) socket.read(0)
  const end = performance.now() + seconds * 1000
  let turn = 0
  await new Promise<void>(resolve => {
    const clock = setInterval(() => {
      for (let index = turn % turns; index < downloads.length; index += turns) {
        const download = downloads[index]
        // As much as a stream holds, 64 KB at most.
        if (download !== undefined) download.taken += download.socket.read()?.length ?? 0
      }
      turn++
      if (performance.now() < end) return
      clearInterval(clock)
      resolve()
    }, TICK)
  })
  const idle = downloads.filter(download => download.taken === 0).length
  if (idle > 0) failed ||= `${idle} of ${count} downloads have not begun`
  return String(total())
}

async function finish(bytes: number): Promise<string> {
  await Promise.all(
    downloads.map(
      download =>
        new Promise<void>(resolve => {
          const { socket } = download
          socket.on('data', part => {
            download.taken += part.length
          })
          socket.on('end', () => socket.end())
          socket.on('close', () => resolve())
        }),
    ),
  )
  const cut = downloads.filter(download => download.taken < bytes).length
  if (cut > 0) failed ||= `${cut} of ${downloads.length} downloads were cut off`
  return String(total())
}

function total(): number {
  return downloads.reduce((sum, { taken }) => sum + taken, 0)
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...numbers] = line.split(' ')
  const [first = 0, second = 0] = numbers.map(Number)
  let answer = 'ok'
  try {
    if (command === 'slow') answer = await slow(first, second)
    else if (command === 'finish') answer = await finish(first)
    if (failed !== '') answer = `error: ${failed}`
  } catch (error) {
    answer = `error: ${String(error)}`
  }
  process.stdout.write(`${answer}\n`)
}
process.exit(0)
