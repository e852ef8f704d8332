// A TLS client for the rows in which each connection matters. Commands on stdin, one line of answer each:
//   probe          what is negotiated: version, cipher, key exchange
//   churn N        from now on keep N loops running: connect, full handshake, one request, close
//   stop           end the loops; answers with how many connections were made
//   hold N         have N connections open, each with one request answered, and leave them idle
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'

const [port, groups] = process.argv.slice(2)
const secureContext = createSecureContext({ minVersion: 'TLSv1.3', ecdhCurve: groups ?? 'X25519' })
const options = {
  host: '127.0.0.1',
  port: Number(port),
  secureContext,
  // The benchmark's own certificate, made a moment ago; what a client checks is not what is measured.
  rejectUnauthorized: false,
}
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const CLOSING_REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

let churning = false
let made = 0
let failed = ''
const held: TLSSocket[] = []

function churn(): void {
  if (!churning) return
  let answered = false
  // No session is offered, so every handshake is a full one.
  const socket = connect(options)
  askAndClose(socket, () => {
    answered = true
  })
  socket.on('error', error => {
    if (churning) failed ||= error.message
  })
  socket.on('close', () => {
    if (!answered && churning) failed ||= 'closed without an answer'
    made++
    churn()
  })
}

/**
 * One request, after which the proxy is to close. It is not ended with the request: Node proxies take a client that has
 * ended for one that has left. And as @fastify/http-proxy keeps the connection all the same, the client ends it when it
 * has had its answer for a while.
 */
function askAndClose(socket: TLSSocket, answered: () => void): void {
  let patience: NodeJS.Timeout | undefined
  socket.write(CLOSING_REQUEST)
  socket.on('data', chunk => {
    if (!chunk.includes('hello world')) return
    answered()
    patience = setTimeout(() => socket.end(), 50)
  })
  socket.on('end', () => {
    clearTimeout(patience)
    socket.end()
  })
}

async function hold(count: number): Promise<void> {
  const open = async (): Promise<void> => {
    while (held.length < count) {
      const socket = connect(options)
      held.push(socket)
      socket.write(REQUEST)
      await once(socket, 'data')
      socket.on('error', error => {
        failed ||= error.message
      })
    }
  }
  await Promise.all(Array.from({ length: 16 }, open))
}

async function probe(): Promise<string> {
  const socket = connect(options)
  await once(socket, 'secureConnect')
  const exchange = socket.getEphemeralKeyInfo()
  const group = exchange !== null && 'name' in exchange ? exchange.name : 'unknown'
  const answer = `${socket.getProtocol()} ${socket.getCipher().name} ${group}`
  askAndClose(socket, () => {})
  await once(socket, 'close')
  return answer
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, count] = line.split(' ')
  let answer = 'ok'
  try {
    if (command === 'probe') {
      answer = await probe()
    } else if (command === 'churn') {
      churning = true
      for (let loop = 0; loop < Number(count); loop++) churn()
    } else if (command === 'stop') {
      churning = false
      answer = String(made)
    } else if (command === 'hold') {
      await hold(Number(count))
    }
    if (failed !== '') answer = `error: ${failed}`
  } catch (error) {
    answer = `error: ${String(error)}`
  }
  process.stdout.write(`${answer}\n`)
}
process.exit(0)
