// The head of a request to an upstream as text, with framing that is made here (RFC 9112, sections 3 and 6).
import type { UpstreamRequest } from '../client/upstream.ts'
import { inOnePiece } from '../one-piece.ts'
import type { Section } from '../section.ts'

/** Methods whose requests have a body as a rule: without one they say so (RFC 9110, 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

export function requestHead(request: UpstreamRequest): string {
  const { method, target, authority, headers, body, upgrade, expectsContinue } = request
  const { added } = headers
  const { length } = body
  const fields = writtenFields(headers.section)
  const isBare = length === 0 && added.length === 0 && upgrade === undefined && !WITH_BODY.has(method)
  if (isBare && headers.section.mayRepeat) return `${method} ${target}${fields.rest(authority)}`
  let text = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n${fields.lines}`
  let connection = fields.te
  for (let at = 0; at < added.length; at += 2) {
    if (added[at] === 'te') connection = true
    text += `${added[at]}: ${added[at + 1]}\r\n`
  }
  if (upgrade !== undefined) return `${text}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`
  if (connection) text += TE
  if (length === undefined) text += 'transfer-encoding: chunked\r\n'
  else if (length > 0 || WITH_BODY.has(method)) text += `content-length: ${length}\r\n`
  if (expectsContinue && length !== 0) text += 'expect: 100-continue\r\n'
  return `${text}\r\n`
}

const TE = 'connection: te\r\n'

/** A section as it is written, and whether it has the one field of a connection that is. */
class WrittenFields {
  readonly lines: string
  readonly te: boolean
  #authority = ''
  #rest = ''

  constructor(section: Section) {
    this.lines = section.lines()
    this.te = section.find('te', 0) >= 0
  }

  /** What follows the target of a request that has these fields only, and no body. */
  rest(authority: string): string {
    if (this.#rest === '' || authority !== this.#authority) {
      this.#authority = authority
      this.#rest = inOnePiece(` HTTP/1.1\r\nhost: ${authority}\r\n${this.lines}${this.te ? TE : ''}\r\n`)
    }
    return this.#rest
  }
}

function writtenFields(section: Section): WrittenFields {
  if (section.memo instanceof WrittenFields) return section.memo
  const written = new WrittenFields(section)
  if (section.mayRepeat) section.memo = written
  return written
}
