// The fields of an answer as node:http2 takes them: name, value, name, value …, names in lower case.
import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import { errorCode } from '../../core/index.ts'
import type { Body } from '../body.ts'
import { httpDate } from '../date.ts'
import type { HeaderList } from '../headers.ts'
import { invalidResponse, lengthOf } from '../outgoing.ts'
import type { HttpResponse } from '../response.ts'
import { isBodiless } from '../status.ts'

/** The fields of an answer's head. */
export interface OutgoingHead {
  readonly fields: (string | number)[]
  /** The Content-Length that the service declared, which is not among the fields. */
  readonly declared: string | undefined
  /** Whether it says that trailers follow. */
  readonly announcesTrailers: boolean
}

/** Fields of an answer that HTTP/2 must not carry (RFC 9113, 8.2.2). */
const UNSENT = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * The head of an answer, with a Date.
 *
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function outgoingHead({ status, headers }: HttpResponse): OutgoingHead {
  // An upgrade that was granted is a success here, and has no key to prove it (RFC 8441, 5).
  const fields: (string | number)[] = [':status', status === 101 ? 200 : status]
  let declared: string | undefined
  let dated = false
  let announcesTrailers = false
  for (let index = 0, size = headers.size; index < size; index++) {
    const name = headers.nameAt(index).toLowerCase()
    switch (name) {
      case 'date':
        dated = true
        break
      case 'content-length':
        if (declared !== undefined) throw invalidResponse('it has more than one Content-Length')
        declared = headers.valueAt(index)
        continue
      case 'trailer':
        announcesTrailers = true
        break
      case 'sec-websocket-accept':
        if (status === 101) continue
        break
      default:
        if (UNSENT.has(name)) continue
    }
    fields.push(name, headers.valueAt(index))
  }
  if (!dated) fields.push('date', httpDate())
  return { fields, declared, announcesTrailers }
}

/**
 * Adds Content-Length where it is known and may be told.
 *
 * @returns how long the body is, and whether nothing follows the head
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function frame(
  fields: (string | number)[],
  declared: string | undefined,
  { status, body }: HttpResponse,
  method: string | undefined,
): { readonly ends: boolean; readonly length: number | undefined } {
  // The platform itself ends a stream with 205, which has no body either (RFC 9110, 15.3.6).
  const bodiless = isBodiless(status) || status === 205 || method === 'HEAD'
  const length = lengthOf(declared, body.length, bodiless)
  // The answer to a HEAD is empty either way; that GET's would be empty is said only if it was declared.
  const known = declared !== undefined || (status !== 304 && !(method === 'HEAD' && body.length === 0))
  const told = known && status !== 204 && status !== 205
  if (length !== undefined && told) fields.push('content-length', `${length}`)
  return { ends: bodiless || body.length === 0, length }
}

/** What follows a head. */
type FollowedBy = 'nothing' | 'body' | 'body and trailers'

/** How the platform is told. */
const OPTIONS: Readonly<Record<FollowedBy, ServerStreamResponseOptions>> = {
  nothing: { endStream: true },
  body: {},
  'body and trailers': { waitForTrailers: true },
}

/** Ends an answer with a body that is in memory. */
export function endWith(stream: ServerHttp2Stream, body: Body): void {
  const { latin1 } = body
  if (latin1 === undefined) stream.end(body.whole)
  else stream.end(latin1, 'latin1')
  body.markUsed()
}

/** Sends the head of an answer. */
export function sendHead(
  stream: ServerHttp2Stream,
  fields: (string | number)[],
  followedBy: FollowedBy,
): void {
  const options = OPTIONS[followedBy]
  if (!TAKES_LISTS) {
    stream.respond(asObject(fields), options)
    return
  }
  try {
    stream.respond(fields as unknown as OutgoingHttpHeaders, options)
  } catch (error) {
    // The platform knows fields that have one value, and does not send a second, though servers do (RFC 9110, 5.3).
    if (errorCode(error) !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
    stream.respond(asObject(fields), options)
  }
}

/** The fields after a body, or of an informational response. */
export function otherFields(headers: HeaderList | undefined): OutgoingHttpHeaders {
  const fields: string[] = []
  if (headers !== undefined) {
    for (let index = 0, size = headers.size; index < size; index++) {
      const name = headers.nameAt(index).toLowerCase()
      if (!UNSENT.has(name)) fields.push(name, headers.valueAt(index))
    }
  }
  return asObject(fields)
}

/** Lists came with Node 22.20 and 24.7; an object is dearer, and the versions before take nothing else. */
const TAKES_LISTS = takesLists(process.versions)

export function takesLists({ node, bun }: { readonly node: string; readonly bun?: string }): boolean {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  return bun !== undefined || major > 24 || (major === 24 && minor >= 7) || (major === 22 && minor >= 20)
}

/** Several fields of one name become one (RFC 9110, 5.3), but those of Set-Cookie, which are no list. */
function asObject(fields: readonly (string | number)[]): OutgoingHttpHeaders {
  const object: OutgoingHttpHeaders = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string
    const value = fields[at + 1] as string | number
    const before = object[name]
    if (before === undefined) object[name] = value
    else if (name !== 'set-cookie') object[name] = `${before}, ${value}`
    else if (Array.isArray(before)) before.push(`${value}`)
    else object[name] = [`${before}`, `${value}`]
  }
  return object
}
