// WebSocket for tests: the package ws, from its file, as Bun puts something of its own in the place of its name.
import { createRequire } from 'node:module'
import type * as ws from 'ws'
import { keep } from './sockets.ts'

const require = createRequire(import.meta.url)

export const { WebSocket, WebSocketServer } = require('../../../../node_modules/ws/index.js') as typeof ws

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
