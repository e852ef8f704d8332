// The head of an HTTP/2 request (RFC 9113, section 8.3). What becomes of it may be HTTP/1.1, where a line end in a value
// would be another field.
import { SluiceError } from '../../core/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import type { ReceivedHead } from '../request.ts'
import { checkTarget } from '../target.ts'
import { AUTHORITY, isPseudo, kindOf, METHOD, malformed, PATH, PROTOCOL, SCHEME } from './field-kinds.ts'
import { HpackField } from './hpack/field.ts'
import { checkSize, RegularFieldsReader, tooLarge } from './regular-fields.ts'

export interface Http2RequestHead extends ReceivedHead {
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
  /** Bytes of its fields. */
  readonly size: number
}

const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
/** The name of a protocol, with its version perhaps (RFC 9110, 7.8). */
const PROTOCOL_NAME = /^[!#$%&'*+\-.^_`|~\dA-Za-z/]+$/

/**
 * @param received the fields as they came
 * @param overflowed whether there were more, which were not kept
 * @param reader that of the session
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`, `HTTP_TARGET_MALFORMED`, `HTTP_TARGET_TOO_LONG`,
 *   `HTTP_HOST_INVALID`, `HTTP_LENGTH_INVALID`, `HTTP_METHOD_UNSUPPORTED`, `HTTP_EXPECTATION_FAILED`
 */
export function readHttp2Head(
  received: readonly HpackField[],
  limits: HttpLimits,
  overflowed: boolean = false,
  reader: RegularFieldsReader = new RegularFieldsReader(),
): Http2RequestHead {
  if (overflowed) throw tooLarge(limits)
  let method: string | undefined
  let target: string | undefined
  let scheme: string | undefined
  let authority: string | undefined
  let protocol: string | undefined
  let pseudo = 0
  for (; pseudo < received.length; pseudo++) {
    const field = received[pseudo] as HpackField
    const kind = kindOf(field)
    if (!isPseudo(kind)) break
    const { name, value } = field
    if (kind === METHOD && method === undefined) method = value
    else if (kind === PATH && target === undefined) target = value
    else if (kind === SCHEME && scheme === undefined) scheme = value
    else if (kind === AUTHORITY && authority === undefined) authority = value
    else if (kind === PROTOCOL && protocol === undefined) protocol = value
    else throw malformed(`there is more than one ${name}`)
  }
  const regular = reader.read(received, pseudo, method === 'CONNECT')
  const size = regular.section.text.length + (target?.length ?? 0)
  checkSize(size, received.length - pseudo, limits)
  if (method === undefined || !TOKEN.test(method)) throw malformed(':method is missing, or no token')
  if (method === 'CONNECT' && protocol === undefined && (scheme !== undefined || target !== undefined)) {
    throw malformed('CONNECT has :scheme or :path (RFC 9113, 8.5), and no :protocol')
  }
  const upgrade = upgradeOf(method, protocol)
  if (upgrade !== undefined && regular.length !== undefined && regular.length > 0) {
    throw new SluiceError('HTTP_LENGTH_INVALID', 'a request for a tunnel has a Content-Length')
  }
  if (scheme !== 'http' && scheme !== 'https') throw malformed(':scheme is neither http nor https')
  if (target === undefined) throw malformed(':path is missing')
  if (target.length > limits.target) {
    throw new SluiceError(
      'HTTP_TARGET_TOO_LONG',
      `the target is longer than the limit of ${limits.target} bytes`,
    )
  }
  // Only the forms of a path exist here: the rest of the URL has fields of its own.
  if (!target.startsWith('/') && target !== '*') {
    throw new SluiceError('HTTP_TARGET_MALFORMED', ':path does not begin with a slash')
  }
  checkTarget(method, target)
  return {
    method: upgrade === undefined ? method : 'GET',
    target,
    version: '2',
    upgrade,
    authority: authorityOf(authority, regular.host, scheme),
    headers: new HeaderList(regular.section),
    length: upgrade === undefined ? regular.length : undefined,
    size,
    expectsContinue: regular.expectsContinue && upgrade === undefined,
  }
}

/** Fields from name, value, name, value …, for those who got them from elsewhere. */
export function fieldsOf(raw: readonly string[]): HpackField[] {
  const fields: HpackField[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    fields.push(new HpackField(raw[at] as string, raw[at + 1] as string))
  }
  return fields
}

/** What an extended CONNECT (RFC 8441, 4) asks to change to; undefined for any other request. */
function upgradeOf(method: string, protocol: string | undefined): string | undefined {
  if (protocol === undefined) {
    if (method !== 'CONNECT') return undefined
    throw new SluiceError('HTTP_METHOD_UNSUPPORTED', 'CONNECT asks for a tunnel; there are none here')
  }
  if (method !== 'CONNECT') throw malformed(':protocol is there for CONNECT only')
  if (!PROTOCOL_NAME.test(protocol)) throw malformed(':protocol is no name of a protocol')
  return protocol.toLowerCase()
}

/** RFC 9113, 8.3.1: one of both must be there, and both must mean the same. */
function authorityOf(authority: string | undefined, host: string | undefined, scheme: string): string {
  const asked = authority ?? host
  if (asked === undefined) throw badHost('there is neither :authority nor Host')
  if (!isAuthority(asked)) throw badHost(':authority is not a name or address with an optional port')
  if (authority !== undefined && host !== undefined && !sameAuthority(authority, host, scheme)) {
    throw badHost('Host contradicts :authority')
  }
  return asked
}

function badHost(what: string): SluiceError {
  return new SluiceError('HTTP_HOST_INVALID', what)
}
