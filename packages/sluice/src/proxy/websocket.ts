// WebSocket over HTTP/2 (RFC 8441) in front of an upstream that speaks it over HTTP/1.1 (RFC 6455): the key of the
// opening handshake, which HTTP/2 does without, is made and checked here.
import { createHash, randomBytes } from 'node:crypto'
import { SluiceError } from '../core/index.ts'
import type { HeaderList, HttpRequest } from '../http/index.ts'

/** RFC 6455, section 1.3. */
const SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Adds a key to a request that came without one; what the upstream must answer to it. */
export function addWebSocketKey(request: HttpRequest, fields: HeaderList): string | undefined {
  if (request.version !== '2' || request.upgrade !== 'websocket') return undefined
  const key = randomBytes(16).toString('base64')
  fields.set('sec-websocket-key', key)
  return createHash('sha1')
    .update(key + SUFFIX)
    .digest('base64')
}

/** @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED` */
export function checkWebSocketAccept(fields: HeaderList, expected: string): void {
  if (fields.get('sec-websocket-accept') === expected) return
  throw new SluiceError(
    'HTTP_UPSTREAM_MALFORMED',
    'it accepted a WebSocket without proving that it knows them',
  )
}
