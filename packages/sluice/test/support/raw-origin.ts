// A test double of an origin on raw sockets: it records the bytes of each connection as they came, and does with each
// what a script says: which bytes it answers and when, by what has happened and never by time.
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { keep, startServer } from './sockets.ts'
import { testCertificate, testKey } from './test-certificate.ts'

/** What an origin does with a connection. It is over when the function is; the connection stays open. */
export type OriginScript = (connection: OriginConnection) => Promise<unknown> | unknown

/** An answer that is right, with which a script can go on. */
export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** The connection was closed while a script waited for more. Scripts end with it; it is no fault of theirs. */
class Gone extends Error {}

export class OriginConnection {
  readonly socket: Socket
  /** Everything that came, as Latin-1. */
  received = ''
  /** The other side has ended its own. */
  ended = false
  /** The connection was reset, or broke. */
  failed: string | undefined
  /** What was taken of `received` by `head` and `request`. */
  #taken = 0
  readonly #waiting = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      this.#wake()
    })
    socket.on('end', () => {
      this.ended = true
      this.#wake()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failed = error.code
      this.#wake()
    })
    socket.on('close', () => this.#wake())
    socket.resume()
  }

  /** Whether the other side has ended or reset it. */
  get over(): boolean {
    return this.ended || this.failed !== undefined || this.socket.destroyed
  }

  /** What came and was not taken yet. */
  get rest(): string {
    return this.received.slice(this.#taken)
  }

  /** Settled when a condition holds; the script ends if the connection does before. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.over) throw new Gone()
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
  }

  /** Settled when the other side has ended or reset the connection. */
  gone(): Promise<void> {
    return this.until(() => this.over)
  }

  /** Takes the next request's head. */
  async head(): Promise<string> {
    await this.until(() => this.rest.includes('\r\n\r\n'))
    return this.#take(this.rest.indexOf('\r\n\r\n') + 4)
  }

  /** Takes the next request with its body, which is as long as its framing says; this reader is no lenient one. */
  async request(): Promise<string> {
    const head = await this.head()
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0)
    if (!/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
      await this.until(() => this.rest.length >= length)
      return head + this.#take(length)
    }
    let body = ''
    for (let size = -1; size !== 0; ) {
      await this.until(() => this.rest.includes('\r\n'))
      const line = this.#take(this.rest.indexOf('\r\n') + 2)
      size = Number.parseInt(line, 16)
      if (size > 0) await this.until(() => this.rest.length >= size + 2)
      body += line + (size > 0 ? this.#take(size + 2) : '')
    }
    let line: string
    do {
      await this.until(() => this.rest.includes('\r\n'))
      line = this.#take(this.rest.indexOf('\r\n') + 2)
      body += line
    } while (line !== '\r\n')
    return head + body
  }

  /** Writes bytes, each piece so that it is read by itself. */
  async send(...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece
      await new Promise<void>(done => this.socket.write(bytes, () => done()))
      if (pieces.length === 1) continue
      // One turn to arrive, and one to be read.
      await turn()
      await turn()
    }
  }

  /** Ends in order. */
  end(): void {
    this.socket.end()
  }

  /** Closes with a reset. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  #take(length: number): string {
    const taken = this.received.slice(this.#taken, this.#taken + length)
    this.#taken += length
    return taken
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

export interface RawOriginOptions {
  /** TLS with the test certificate, whose name is localhost. */
  readonly tls?: boolean
}

export interface RawOrigin {
  readonly port: number
  /** Where to proxy to. */
  readonly url: string
  /** All connections so far. */
  readonly connections: readonly OriginConnection[]
  /** What came on each. */
  readonly received: readonly string[]
  /** What went wrong in scripts but that their connection was gone. */
  readonly faults: readonly unknown[]
  /** Settled when there have been so many connections. */
  connected(count: number): Promise<void>
}

/** Starts an origin; the first connection gets the first script, later ones the last. `closeSockets` ends it. */
export async function startOrigin(
  scripts: OriginScript | readonly OriginScript[],
  options: RawOriginOptions = {},
): Promise<RawOrigin> {
  const list = typeof scripts === 'function' ? [scripts] : scripts
  const connections: OriginConnection[] = []
  const faults: unknown[] = []
  const waiting = new Set<() => void>()
  const accept = async (socket: Socket): Promise<void> => {
    const connection = new OriginConnection(keep(socket))
    const script = list[Math.min(connections.push(connection), list.length) - 1]
    for (const wake of waiting) wake()
    waiting.clear()
    try {
      await script?.(connection)
    } catch (error) {
      if (!(error instanceof Gone)) faults.push(error)
    }
  }
  const tls = options.tls === true ? createTlsServer({ cert: testCertificate, key: testKey }) : undefined
  tls?.on('secureConnection', accept)
  tls?.on('tlsClientError', () => undefined)
  const { address } = await startServer('tcp', raw => {
    if (tls === undefined) void accept(raw)
    else tls.emit('connection', raw)
  })
  const port = 'port' in address ? address.port : 0
  return {
    port,
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    connections,
    faults,
    get received() {
      return connections.map(connection => connection.received)
    },
    async connected(count) {
      while (connections.length < count) await new Promise<void>(resolve => waiting.add(resolve))
    },
  }
}

/** Answers the requests of a connection with these bytes, in turn; the last ones again and again. */
export function answering(...answers: readonly string[]): OriginScript {
  return async connection => {
    for (let count = 0; ; count++) {
      await connection.request()
      await connection.send(answers[Math.min(count, answers.length - 1)] ?? OK)
    }
  }
}
