// The fields of an answer over HTTP/2 (RFC 9113, section 8.3.2): name, value, name, value …, names in lower case.
import { httpDate } from '../date.ts'
import type { HeaderList } from '../headers.ts'
import { invalidResponse, lengthOf } from '../outgoing.ts'
import type { HttpResponse } from '../response.ts'
import { isBodiless } from '../status.ts'
import type { HpackEncoder } from './hpack/encoder.ts'

/** The fields of an answer's head. */
export interface OutgoingHead {
  /** 101 is 200 here: an upgrade that was granted is a success, and has no key to prove it (RFC 8441, 5). */
  readonly status: number
  readonly fields: string[]
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
  const fields: string[] = []
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
  return { status: status === 101 ? 200 : status, fields, declared, announcesTrailers }
}

/**
 * Adds Content-Length where it is known and may be told.
 *
 * @returns how long the body is, and whether nothing follows the head
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function frame(
  fields: string[],
  declared: string | undefined,
  { status, body }: HttpResponse,
  method: string | undefined,
): { readonly ends: boolean; readonly length: number | undefined } {
  // 205 has no body either (RFC 9110, 15.3.6).
  const bodiless = isBodiless(status) || status === 205 || method === 'HEAD'
  const length = lengthOf(declared, body.length, bodiless)
  // The answer to a HEAD is empty either way; that GET's would be empty is said only if it was declared.
  const known = declared !== undefined || (status !== 304 && !(method === 'HEAD' && body.length === 0))
  const told = known && status !== 204 && status !== 205
  if (length !== undefined && told) fields.push('content-length', `${length}`)
  return { ends: bodiless || body.length === 0, length }
}

/** The head of an answer as a field block. It must be sent, before any other is made: the client's table follows from it. */
export function headBlock(encoder: HpackEncoder, status: number, fields: readonly string[]): string {
  let block = encoder.begin() + encoder.status(status)
  for (let at = 0; at < fields.length; at += 2) {
    block += encoder.field(fields[at] as string, fields[at + 1] as string)
  }
  return block
}

/** The fields of an informational response, or behind a body: those that HTTP/2 may carry. */
export function otherFields(headers: HeaderList): string[] {
  const fields: string[] = []
  for (let index = 0, size = headers.size; index < size; index++) {
    const name = headers.nameAt(index).toLowerCase()
    if (!UNSENT.has(name)) fields.push(name, headers.valueAt(index))
  }
  return fields
}

/** Trailers as a field block; '' if there are none. */
export function trailerBlock(encoder: HpackEncoder, trailers: HeaderList): string {
  const fields = otherFields(trailers)
  if (fields.length === 0) return ''
  let block = encoder.begin()
  for (let at = 0; at < fields.length; at += 2) {
    block += encoder.field(fields[at] as string, fields[at + 1] as string)
  }
  return block
}
