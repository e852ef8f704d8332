// The WebSockets of the origin on Node: one that echoes, and others that end in every way.
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { OriginEvent } from './node-origin-process.ts'

type Report = (event: OriginEvent) => void

export function handleWebSockets(server: Server, report: Report): void {
  const options = {
    noServer: true,
    maxPayload: 64 * 1024 * 1024,
    handleProtocols: (protocols: Set<string>) => (protocols.has('chat') ? 'chat' : false),
  } as const
  const compressing = new WebSocketServer({ ...options, perMessageDeflate: { threshold: 0 } })
  const plain = new WebSocketServer(options)
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {})
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://origin')
    if (!pathname.startsWith('/ws/')) {
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n')
      return
    }
    const accepting = searchParams.has('deflate') ? compressing : plain
    accepting.handleUpgrade(request, socket, head, socket => {
      begin(socket, request, pathname.slice(4), searchParams, report)
    })
  })
}

function begin(
  socket: WebSocket,
  { url = '', headers }: IncomingMessage,
  path: string,
  query: URLSearchParams,
  report: Report,
): void {
  socket.on('error', () => {})
  socket.on('close', (code, reason) => {
    report({ event: 'socket-closed', url, code, reason: reason.toString() })
  })
  socket.on('pong', bytes => report({ event: 'pong', url, received: bytes.length }))
  if (path === 'ping') socket.ping('are you there')
  socket.on('message', (data, isBinary) => {
    if (path === 'close') socket.close(Number(query.get('code')), query.get('reason') ?? '')
    else if (path === 'terminate') socket.terminate()
    else if (path === 'via') socket.send(headers.via ?? '')
    else socket.send(data, { binary: isBinary })
  })
}
