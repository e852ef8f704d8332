// The head of a request to an upstream as text, with framing that is made here (RFC 9112, sections 3 and 6).
import type { UpstreamRequest } from '../client/upstream.ts'

/** Methods whose requests have a body as a rule: without one they say so (RFC 9110, 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

export function requestHead(request: UpstreamRequest): string {
  const { method, target, authority, headers, body, upgrade, expectsContinue } = request
  let text = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n${headers.toLines()}`
  if (upgrade !== undefined) return `${text}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`
  if (headers.has('te')) text += 'connection: te\r\n'
  const { length } = body
  if (length === undefined) text += 'transfer-encoding: chunked\r\n'
  else if (length > 0 || WITH_BODY.has(method)) text += `content-length: ${length}\r\n`
  if (expectsContinue && length !== 0) text += 'expect: 100-continue\r\n'
  return `${text}\r\n`
}
