// WebSocket for tests: the package ws, from its file, as Bun puts something of its own in the place of its name.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import { createRequire } from 'node:module'
import { Duplex } from 'node:stream'
import type * as ws from 'ws'
import { keep } from './sockets.ts'

const require = createRequire(import.meta.url)

const { WebSocket, WebSocketServer } = require('../../../../node_modules/ws/index.js') as typeof ws

export { WebSocketServer }

const queues = new WeakMap<ws.WebSocket, { come: Buffer[]; waiting: ((message: Buffer) => void)[] }>()

/** Connects a client; rejects if that is refused. */
export function connectWebSocket(
  url: string,
  options: ws.ClientOptions = {},
  protocols: string[] = [],
): Promise<ws.WebSocket> {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(url, protocols, { rejectUnauthorized: false, ...options })
    const queue: { come: Buffer[]; waiting: ((message: Buffer) => void)[] } = { come: [], waiting: [] }
    queues.set(client, queue)
    client.on('message', data => {
      const waiting = queue.waiting.shift()
      if (waiting === undefined) queue.come.push(data as Buffer)
      else waiting(data as Buffer)
    })
    client.on('upgrade', ({ socket }) => keep(socket))
    client.on('error', reject)
    client.on('open', () => resolve(client))
  })
}

/** The next message that came to a client of `connectWebSocket`. */
export function nextMessage(client: ws.WebSocket): Promise<Buffer> {
  const queue = queues.get(client)
  const come = queue?.come.shift()
  return come === undefined ? new Promise(resolve => queue?.waiting.push(resolve)) : Promise.resolve(come)
}

/**
 * Connects a client of ws over HTTP/2: it gets a connection on which its HTTP/1.1 handshake becomes an extended CONNECT
 * (RFC 8441, section 5), and back.
 */
export async function connectWebSocketHttp2(
  session: ClientHttp2Session,
  path: string,
  options: ws.ClientOptions = {},
): Promise<ws.WebSocket> {
  if (session.remoteSettings?.enableConnectProtocol !== true) await once(session, 'remoteSettings')
  return connectWebSocket(`ws://localhost${path}`, {
    ...options,
    createConnection: () => new HandshakeOverHttp2(session, path) as never,
  })
}

class HandshakeOverHttp2 extends Duplex {
  readonly #session: ClientHttp2Session
  readonly #path: string
  #head = ''
  #stream: ClientHttp2Stream | undefined

  constructor(session: ClientHttp2Session, path: string) {
    super()
    this.#session = session
    this.#path = path
    // As a socket that is connected says it.
    process.nextTick(() => this.emit('connect'))
  }

  override _read(): void {
    this.#stream?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#stream !== undefined) {
      this.#stream.write(chunk, () => done())
      return
    }
    this.#head += chunk.toString('latin1')
    if (this.#head.endsWith('\r\n\r\n')) this.#ask()
    done()
  }

  override _final(done: () => void): void {
    this.#stream?.end()
    done()
  }

  override _destroy(_error: Error | null, done: () => void): void {
    if (this.#stream?.writableFinished === false) this.#stream.close(constants.NGHTTP2_CANCEL)
    done()
  }

  #ask(): void {
    const fields = Object.fromEntries(
      [...this.#head.matchAll(/^(sec-websocket-[\w-]+|origin): (.*)\r$/gim)].map(([, name = '', value]) => [
        name.toLowerCase(),
        value,
      ]),
    )
    const { 'sec-websocket-key': key, ...others } = fields
    const head = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': this.#path, ...others }
    const stream = this.#session.request(head, { endStream: false })
    this.#stream = stream
    stream.on('error', () => this.destroy())
    stream.on('close', () => {
      if (!stream.readableEnded) this.destroy()
    })
    stream.on('response', ({ ':status': status, ...answer }) => {
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      const lines = Object.entries(answer).map(([name, value]) => `${name}: ${value}\r\n`)
      const upgraded = `connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n`
      const line =
        status === 200 ? `HTTP/1.1 101 Switching Protocols\r\n${upgraded}` : `HTTP/1.1 ${status} No\r\n`
      this.push(`${line}${lines.join('')}\r\n`)
    })
    stream.on('data', (data: Buffer) => this.push(data) || stream.pause())
    stream.on('end', () => this.push(null))
  }
}
