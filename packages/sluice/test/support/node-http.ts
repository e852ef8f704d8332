// Node's own HTTP/1 (llhttp) as a judge: what it reads from the same bytes as a server, and as a client. Nothing goes
// over a network, so that it can judge thousands of inputs in a second.
import { createServer, METHODS, request as nodeRequest } from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

export type Pairs = readonly (readonly [string, string])[]

export interface ReadRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly fields: Pairs
  readonly body: string
  readonly trailers: Pairs
}

export interface ReadResponse {
  readonly status: number
  readonly version: string
  readonly fields: Pairs
  readonly body: string
  readonly trailers: Pairs
}

/** What node:http reads as the answer to one request. */
export interface Answered {
  readonly informed: readonly number[]
  /** The answer, if one came to its end. */
  readonly response: ReadResponse | undefined
  /** Whether it would send another request on the connection. */
  readonly reusable: boolean
  /** The code of what it refused; `waits` if it waits for more than there is. */
  readonly refused: string | undefined
}

/** Turns of the event loop after which what was given to node:http has come out of it. */
const TURNS = 30

/** Methods that node:http knows and that are no tunnel. */
export const NODE_METHODS: readonly string[] = METHODS.filter(method => method !== 'CONNECT')

/** A connection on which all bytes come at once, and then, or later, the end. */
class Canned extends Duplex {
  readonly #bytes: Buffer
  readonly #ends: boolean
  #given = false

  constructor(bytes: Buffer, ends: boolean) {
    super({ allowHalfOpen: true })
    this.#bytes = bytes
    this.#ends = ends
    this.on('error', () => undefined)
  }

  override _read(): void {
    if (this.#given) return
    this.#given = true
    this.push(this.#bytes)
    // Not at once: what was read before an error or the end is told of a little later.
    if (this.#ends) setImmediate(() => this.push(null))
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }

  // What node:http asks of a socket.
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

/** The complete requests that node:http reads from a connection. */
export async function requestsByNode(bytes: Buffer): Promise<ReadRequest[]> {
  const requests: ReadRequest[] = []
  const connection = new Canned(bytes, true)
  const server = createServer({ insecureHTTPParser: false }, (request, response) => {
    let body = ''
    request.setEncoding('latin1').on('data', (data: string) => {
      body += data
    })
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        target: request.url ?? '',
        version: request.httpVersion,
        fields: pairs(request.rawHeaders),
        body,
        trailers: pairs(request.rawTrailers),
      })
      response.end()
    })
    request.on('error', () => undefined)
  })
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('clientError', (_error, socket) => setImmediate(() => socket.destroy()))
  const closed = new Promise<void>(resolve => connection.once('close', () => resolve()))
  server.emit('connection', connection)
  await closed
  return requests
}

/** What node:http reads from a connection as the answer to a request with this method. */
export async function answerByNode(bytes: Buffer, method: string, ends: boolean): Promise<Answered> {
  const informed: number[] = []
  let response: ReadResponse | undefined
  let reusable = false
  let refused: string | undefined
  const connection = new Canned(bytes, ends)
  const settled = new Promise<void>(resolve => {
    const request = nodeRequest({
      method,
      createConnection: () => connection,
      headers: { host: 'a', connection: 'keep-alive' },
    })
    request.on('information', ({ statusCode }) => informed.push(statusCode))
    request.on('error', (error: NodeJS.ErrnoException) => {
      refused = error.code
      resolve()
    })
    request.on('upgrade', message => {
      refused = `upgrade with ${message.statusCode}`
      resolve()
    })
    request.on('response', message => {
      let body = ''
      message.setEncoding('latin1').on('data', (data: string) => {
        body += data
      })
      message.on('error', (error: NodeJS.ErrnoException) => {
        refused = error.code
        resolve()
      })
      message.on('end', () => {
        response = {
          status: message.statusCode ?? 0,
          version: message.httpVersion,
          fields: pairs(message.rawHeaders),
          body,
          trailers: pairs(message.rawTrailers),
        }
        reusable = request.shouldKeepAlive
        // Bytes after the end are an error of the connection, which comes after this.
        setImmediate(resolve)
      })
    })
    request.end()
  })
  let over = false
  void settled.then(() => {
    over = true
  })
  for (let turns = 0; turns < TURNS && !over; turns++) await turn()
  if (!over) refused = 'waits'
  connection.destroy()
  return { informed, response, reusable, refused }
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_each, index) => [
    raw[index * 2] ?? '',
    raw[index * 2 + 1] ?? '',
  ])
}
