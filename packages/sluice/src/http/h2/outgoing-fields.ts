// The fields of an answer over HTTP/2 (RFC 9113, section 8.3.2): name, value, name, value …, names in lower case.
import { httpDate } from '../date.ts'
import type { HeaderList } from '../headers.ts'
import { invalidResponse, lengthOf } from '../outgoing.ts'
import type { HttpResponse } from '../response.ts'
import { isBodiless } from '../status.ts'
import type { HpackEncoder } from './hpack/encoder.ts'

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

/** The fields of an answer's head, without its status. */
export class OutgoingFields {
  readonly fields: string[] = []
  /** The Content-Length that the service declared, which is not among the fields. */
  declared: string | undefined
  /** Whether it says that trailers follow. */
  announcesTrailers = false
  dated = false

  /** @throws {SluiceError} `HTTP_RESPONSE_INVALID` */
  add(name: string, value: string, isTunnel: boolean): void {
    const lower = name.toLowerCase()
    switch (lower) {
      case 'date':
        this.dated = true
        break
      case 'content-length':
        if (this.declared !== undefined) throw invalidResponse('it has more than one Content-Length')
        this.declared = value
        return
      case 'trailer':
        this.announcesTrailers = true
        break
      case 'sec-websocket-accept':
        // An upgrade that was granted has no key to prove it (RFC 8441, 5).
        if (isTunnel) return
        break
      default:
        if (UNSENT.has(lower)) return
    }
    this.fields.push(lower, value)
  }
}

/**
 * The fields of an answer.
 *
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function outgoingFields({ status, headers }: HttpResponse): OutgoingFields {
  const { section, added } = headers
  const isTunnel = status === 101
  const canRepeat = section.mayRepeat && added.length === 0 && !isTunnel
  if (canRepeat && section.memo instanceof OutgoingFields) return section.memo
  const outgoing = new OutgoingFields()
  for (let at = 0; at < section.size; at++) outgoing.add(section.name(at), section.value(at), isTunnel)
  for (let at = 0; at < added.length; at += 2)
    outgoing.add(added[at] as string, added[at + 1] as string, isTunnel)
  if (canRepeat) section.memo = outgoing
  return outgoing
}

/**
 * How the end of a body is told.
 *
 * @returns how long the body is, what Content-Length says of it, and whether nothing follows the head
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function frame(
  declared: string | undefined,
  { status, body }: HttpResponse,
  method: string | undefined,
): { readonly ends: boolean; readonly length: number | undefined; readonly told: number | undefined } {
  // 205 has no body either (RFC 9110, 15.3.6).
  const bodiless = isBodiless(status) || status === 205 || method === 'HEAD'
  const length = lengthOf(declared, body.length, bodiless)
  // The answer to a HEAD is empty either way; that GET's would be empty is said only if it was declared.
  const known = declared !== undefined || (status !== 304 && !(method === 'HEAD' && body.length === 0))
  const told = known && status !== 204 && status !== 205 ? length : undefined
  return { ends: bodiless || body.length === 0, length, told }
}

/**
 * The head of an answer, with a Date, as a field block. It must be sent, before any other is made: the client's table
 * follows from it.
 *
 * @param told Content-Length
 */
export function headBlock(
  encoder: HpackEncoder,
  status: number,
  { dated, fields }: OutgoingFields,
  told: number | undefined,
): string {
  // An upgrade that was granted is a success here (RFC 8441, 5).
  let block = encoder.begin() + encoder.status(status === 101 ? 200 : status) + fieldBlock(encoder, fields)
  if (!dated) block += encoder.field('date', httpDate())
  return told === undefined ? block : block + encoder.field('content-length', `${told}`)
}

/** The head of an informational response as a field block; what is said of `headBlock` holds. */
export function informationBlock(encoder: HpackEncoder, status: number, fields: readonly string[]): string {
  return encoder.begin() + encoder.status(status) + fieldBlock(encoder, fields)
}

function fieldBlock(encoder: HpackEncoder, fields: readonly string[]): string {
  let block = ''
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
  return fields.length === 0 ? '' : encoder.begin() + fieldBlock(encoder, fields)
}
