// What must hold of the whole proxy, for any bytes from a client and any answer of an origin: it forwards and answers what
// its codec understands and nothing else, however the bytes are split, and goes on. On real sockets.
import { deepStrictEqual as same } from 'node:assert'
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { configureLogging } from '../../src/core/index.ts'
import { serveHttp } from '../../src/http/index.ts'
import { IpAddress, type Listener, listen } from '../../src/net/index.ts'
import { reverseProxy } from '../../src/proxy/index.ts'
import { RawClient } from '../support/http.ts'
import { headLimits, ownRequests, ownResponse } from '../support/own-codec.ts'
import type { Random } from '../support/random.ts'
import { OriginConnection } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'

/** Nothing here takes so long: what does is a finding. In milliseconds. */
const LIMIT = 5000
const GOOD = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'
const GET_GOOD = 'GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
/** The path whose answer is the input. */
const FUZZED = '/fuzzed-answer'

export class FuzzedProxy {
  readonly #origin: Server
  readonly #listener: Listener
  readonly #port: number
  /** Codes of what was logged. */
  readonly #logged: string[]
  readonly #connections = new Set<OriginConnection>()
  /** Requests that the origin has seen whole, in their order. */
  #seen: string[] = []
  #answer: readonly Buffer[] = []
  #ends = false

  private constructor(origin: Server, listener: Listener, logged: string[]) {
    this.#origin = origin
    this.#listener = listener
    this.#logged = logged
    this.#port = listener.address instanceof IpAddress ? listener.address.port : 0
    origin.on('connection', (socket: Socket) => void this.#serve(socket))
  }

  static async start(): Promise<FuzzedProxy> {
    const logged: string[] = []
    configureLogging({
      directives: 'info',
      format: 'json',
      destination: { write: line => void logged.push(JSON.parse(line).code ?? line) },
    })
    const origin = createServer({ noDelay: true, allowHalfOpen: true })
    await new Promise<void>(done => origin.listen(0, '127.0.0.1', done))
    const address = origin.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const limits = { headLimit: headLimits.head, fieldLimit: headLimits.fields }
    const service = reverseProxy(`http://127.0.0.1:${address.port}`, limits)
    const serve = serveHttp(service, { ...limits, targetLimit: headLimits.target, bodyLimit: 1_000_000 })
    return new FuzzedProxy(origin, await listen('127.0.0.1:0', {}, serve), logged)
  }

  async close(): Promise<void> {
    await this.#listener.close(0)
    for (const { socket } of this.#connections) socket.destroy()
    await new Promise(done => this.#origin.close(done))
  }

  /**
   * Bytes of a client.
   *
   * @returns how many requests were accepted
   */
  async checkRequests(bytes: Buffer, random: Random): Promise<number> {
    // What begins so is HTTP/2.
    if (bytes.subarray(0, PREFACE.length).toString('latin1') === PREFACE) return 0
    await this.#reset()
    const own = ownRequests([bytes])
    const broken = own.code === undefined ? 0 : 1
    const client = await RawClient.connect(this.#port)
    await sendAll(client, random.split(bytes, 4))
    const answered = (): number[] => finalStatuses(client)
    const wanted = own.requests.length + broken
    await within(client, () => answered().length >= wanted, `${wanted} answers`)
    // A client that has ended its side is taken for one that has gone.
    client.socket.end()
    await within(client, () => isOver(client), 'the end')

    const refused = answered().slice(own.requests.length)
    same(
      answered().slice(0, own.requests.length),
      own.requests.map(() => 200),
      'a good request was refused',
    )
    same(
      refused.every(status => status >= 400),
      true,
      `a bad one was answered ${refused}`,
    )
    same(refused.length <= 1 && refused.length >= broken, true, `${refused.length} answers to a bad request`)
    same(
      this.#seen.flatMap(request => outlines([Buffer.from(request, 'latin1')])),
      outlines([bytes]),
      'the origin has seen other requests',
    )
    await this.#goesOn()
    return own.requests.length
  }

  /**
   * Bytes of an origin, as the answer to a request with this method.
   *
   * @returns 1 if they are an answer
   */
  async checkResponse(bytes: Buffer, random: Random, method: string): Promise<number> {
    await this.#reset()
    const unended = ownResponse([bytes], method, false)
    this.#ends = unended.response === undefined || random.below(2) === 0
    this.#answer = random.split(bytes, 4)
    const own = this.#ends ? ownResponse([bytes], method, true) : unended
    const client = await RawClient.connect(this.#port)
    client.send(`${method} ${FUZZED} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const read = (ends: boolean): ReturnType<typeof ownResponse> =>
      ownResponse([Buffer.from(client.received, 'latin1')], method, ends)
    await within(client, () => read(false).response !== undefined || isOver(client), 'an answer')
    const got = read(isOver(client))
    const isAnswer = own.response !== undefined && own.status !== 101 && own.informed.length <= 20
    if (isAnswer) {
      same(got.response?.status, own.response?.status, 'a good answer was not handed on')
      same(got.response?.body, own.response?.body, 'the body is another')
      same(got.response?.trailers, own.response?.trailers, 'the trailers are others')
      same(
        got.informed,
        own.informed.filter(status => status !== 100),
        'other informational responses',
      )
    } else {
      same(got.response?.status ?? 502, 502, 'what is no answer was handed on as one')
      same(got.code, undefined, 'the client got what is no HTTP')
    }
    same(got.rest, 0, 'the client got more than an answer')
    client.socket.destroy()
    await this.#goesOn()
    return isAnswer ? 1 : 0
  }

  async #serve(socket: Socket): Promise<void> {
    const connection = new OriginConnection(socket)
    this.#connections.add(connection)
    socket.on('close', () => this.#connections.delete(connection))
    try {
      for (;;) {
        const request = await connection.request()
        const [method, target] = request.split(' ', 2)
        if (target === FUZZED) {
          await connection.send(...this.#answer)
          if (this.#ends) connection.end()
        } else {
          if (target !== '/good') this.#seen.push(request)
          await connection.send(method === 'HEAD' ? GOOD.slice(0, -4) : GOOD)
        }
      }
    } catch {
      connection.end()
    }
  }

  /** No connection is left from before. */
  async #reset(): Promise<void> {
    await closeSockets()
    for (const connection of this.#connections) connection.end()
    for (let turns = 0; this.#connections.size > 0; turns++) {
      if (turns > 10_000) throw new Error('the proxy keeps a connection that the origin has ended')
      await turn()
    }
    this.#seen = []
    this.#logged.length = 0
  }

  /** A good request gets its answer, and nothing was wrong inside. */
  async #goesOn(): Promise<void> {
    const client = (await RawClient.connect(this.#port)).send(GET_GOOD)
    await within(client, () => isOver(client), 'the answer to a good request')
    same(
      client.received.slice(client.received.indexOf('\r\n\r\n') + 4),
      'good',
      'a good request got another answer',
    )
    client.socket.destroy()
    same(
      this.#logged.filter(code => code === 'INTERNAL' || code.startsWith('{')),
      [],
      'something failed inside',
    )
    same(this.#logged.length <= 1, true, `${this.#logged.length} lines in the log: ${this.#logged}`)
  }
}

async function sendAll(client: RawClient, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    client.send(piece)
    await turn()
    await turn()
  }
}

function isOver(client: RawClient): boolean {
  return client.ended || client.failed !== undefined || client.socket.destroyed
}

function finalStatuses(client: RawClient): number[] {
  return client.statuses.filter(status => status >= 200)
}

/** Settled when a condition holds, or the connection is over; an error if neither comes about. */
async function within(client: RawClient, holds: () => boolean, what: string): Promise<void> {
  const limit = Promise.withResolvers<never>()
  const timer = setTimeout(() => limit.reject(new Error(`${what} did not come in ${LIMIT} ms`)), LIMIT)
  try {
    await Promise.race([client.until(() => holds() || isOver(client)), limit.promise])
  } finally {
    clearTimeout(timer)
    limit.promise.catch(() => undefined)
  }
}

/** What of requests must be the same before and behind the proxy. */
function outlines(pieces: readonly Buffer[]): unknown[] {
  return ownRequests(pieces).requests.map(({ method, target, body, trailers }) => ({
    method,
    target: originForm(method, target),
    body,
    trailers: trailers.map(([name, value]) => [name, value]),
  }))
}

function originForm(method: string, target: string): string {
  if (target.startsWith('/') || target === '*') return target
  const rest = target.replace(/^https?:\/\/[^/?]*/i, '')
  if (rest === '' && method === 'OPTIONS') return '*'
  return rest.startsWith('/') ? rest : `/${rest}`
}
