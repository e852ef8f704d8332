// The fields of a request to an HTTP/2 upstream as node:http2 takes them (RFC 9113, sections 8.2 and 8.3): name, value,
// name, value …, names in lower case, in the order in which they came.
import type { OutgoingHttpHeaders } from 'node:http2'
import type { UpstreamRequest } from '../client/upstream.ts'
import type { HeaderList } from '../headers.ts'

/** Methods whose requests have a body as a rule: without one they say so (RFC 9110, 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

/** The head of a request; an upgrade becomes an extended CONNECT (RFC 8441, section 4). */
export function requestFields(request: UpstreamRequest): string[] {
  const { method, scheme, authority, target, headers, body, upgrade } = request
  const asked = upgrade === undefined ? [':method', method] : [':method', 'CONNECT', ':protocol', upgrade]
  const fields = [...asked, ':scheme', scheme, ':authority', authority, ':path', target]
  for (let index = 0, { size } = headers; index < size; index++) {
    const name = headers.nameAt(index).toLowerCase()
    if (isSent(name, upgrade !== undefined)) fields.push(name, headers.valueAt(index))
    else if (name === 'te' && isTrailers(headers.valueAt(index))) fields.push('te', 'trailers')
  }
  if (upgrade !== undefined) return fields
  const { length } = body
  if (length !== undefined && (length > 0 || WITH_BODY.has(method)))
    fields.push('content-length', String(length))
  if (request.expectsContinue && length !== 0) fields.push('expect', '100-continue')
  return fields
}

/**
 * The same fields with several of one name as one. Node 22 and Bun 1.4 refuse to send some names twice, If-None-Match
 * among them, which is a list (RFC 9110, 5.3).
 */
export function joinedFields(fields: readonly string[]): string[] {
  const joined = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string
    const value = fields[at + 1] as string
    const before = joined.get(name)
    joined.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`)
  }
  return [...joined].flat()
}

/** The fields after a body. */
export function trailerFields(trailers: HeaderList | undefined): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = Object.create(null)
  for (let index = 0, size = trailers?.size ?? 0; index < size; index++) {
    const name = (trailers?.nameAt(index) ?? '').toLowerCase()
    const value = trailers?.valueAt(index) ?? ''
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else fields[name] = Array.isArray(before) ? [...before, value] : [String(before), value]
  }
  return fields
}

/** Whether a field goes to the upstream: not what is told by pseudo-header fields, framing, or about a connection. */
function isSent(name: string, isUpgrade: boolean): boolean {
  switch (name) {
    case 'te':
    case 'host':
    case 'expect':
    case 'upgrade':
    case 'connection':
    case 'keep-alive':
    case 'content-length':
    case 'http2-settings':
    case 'proxy-connection':
    case 'transfer-encoding':
      return false
    case 'sec-websocket-key':
      // Proves that a server of HTTP/1.1 knows WebSocket; HTTP/2 has SETTINGS for that (RFC 8441, 5.1).
      return !isUpgrade
    default:
      return true
  }
}

function isTrailers(te: string): boolean {
  return te.toLowerCase() === 'trailers'
}
