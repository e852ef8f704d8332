// WebSocket, and whatever else a client upgrades to, over a stream of HTTP/2 to an upstream (RFC 8441).
import { createHash } from 'node:crypto'
import type { ClientHttp2Stream } from 'node:http2'
import { Body } from '../body.ts'
import type { UpstreamRequest, UpstreamResponse } from '../client/upstream.ts'
import { HeaderList } from '../headers.ts'
import { resetStream } from './client-stream.ts'

/** RFC 6455, section 1.3. */
const SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/**
 * The 101 that the answer to an extended CONNECT stands for. A client of HTTP/1.1 waits for the proof that WebSocket is
 * known, which HTTP/2 has no need of.
 */
export function switched(
  answered: HeaderList,
  { upgrade, headers: asked }: UpstreamRequest,
  socket: ClientHttp2Stream,
): UpstreamResponse {
  const headers = new HeaderList(answered)
  // A tunnel has no content, whatever is said about it (RFC 9110, 9.3.6).
  headers.delete('content-length')
  const key = asked.get('sec-websocket-key')
  if (upgrade === 'websocket' && key !== undefined) {
    const proof = createHash('sha1').update(key + SUFFIX)
    headers.set('sec-websocket-accept', proof.digest('base64'))
  }
  return { status: 101, headers, body: Body.empty, stream: { socket, reset: () => resetStream(socket) } }
}
