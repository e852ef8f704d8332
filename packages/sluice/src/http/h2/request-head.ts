// The head of an HTTP/2 request (RFC 9113, section 8.3). What becomes of it may be HTTP/1.1, where a line end in a value
// would be another field.
import { SluiceError } from '../../core/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { allIn, decimal, VALUE } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import type { ReceivedHead } from '../request.ts'
import { checkTarget } from '../target.ts'
import { HpackField } from './hpack/field.ts'

export interface Http2RequestHead extends ReceivedHead {
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
  /** Bytes of its fields. */
  readonly size: number
}

/** What a field means to the head of a request. Kept on the field, as the same one comes again and again in a session. */
const PLAIN = 1
const BAD_NAME = 2
const BAD_VALUE = 3
const CONNECTION_SPECIFIC = 4
const METHOD = 5
const PATH = 6
const SCHEME = 7
const AUTHORITY = 8
const PROTOCOL = 9
const HOST = 10
const LENGTH = 11
const COOKIE = 12
const EXPECT = 13
const TE = 14
const WEBSOCKET_KEY = 15

/** Those of the pseudo-header fields follow each other. */
const FIRST_PSEUDO = METHOD
const LAST_PSEUDO = PROTOCOL

const KINDS = new Map([
  [':method', METHOD],
  [':path', PATH],
  [':scheme', SCHEME],
  [':authority', AUTHORITY],
  [':protocol', PROTOCOL],
  ['host', HOST],
  ['content-length', LENGTH],
  ['cookie', COOKIE],
  ['expect', EXPECT],
  ['te', TE],
  ['sec-websocket-key', WEBSOCKET_KEY],
  // Fields that speak of an HTTP/1.1 connection (RFC 9113, 8.2.2). `te` may only say `trailers`.
  ['connection', CONNECTION_SPECIFIC],
  ['keep-alive', CONNECTION_SPECIFIC],
  ['proxy-connection', CONNECTION_SPECIFIC],
  ['transfer-encoding', CONNECTION_SPECIFIC],
  ['upgrade', CONNECTION_SPECIFIC],
])

const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
/** A field name (RFC 9113, 8.2.1): a token without upper case. */
const NAME = /^[!#$%&'*+\-.^_`|~\da-z]+$/
/** The name of a protocol, with its version perhaps (RFC 9110, 7.8). */
const PROTOCOL_NAME = /^[!#$%&'*+\-.^_`|~\dA-Za-z/]+$/

/** What a field means; found out once, and kept on it. */
function kindOf(field: HpackField): number {
  if (field.kind !== 0) return field.kind
  const { name, value } = field
  if (!isValue(value)) {
    field.kind = BAD_VALUE
  } else {
    field.kind = KINDS.get(name) ?? (NAME.test(name) ? PLAIN : BAD_NAME)
    field.line = `${name}: ${value}\r\n`
  }
  return field.kind
}

/** Whether a value has no control character, and no space at its ends (RFC 9113, 8.2.1; RFC 9110, 5.5). */
function isValue(value: string): boolean {
  if (value === '') return true
  return !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1)) && allIn(value, VALUE)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * @param received the fields as they came
 * @param overflowed whether there were more, which were not kept
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`, `HTTP_TARGET_MALFORMED`, `HTTP_TARGET_TOO_LONG`,
 *   `HTTP_HOST_INVALID`, `HTTP_LENGTH_INVALID`, `HTTP_METHOD_UNSUPPORTED`, `HTTP_EXPECTATION_FAILED`
 */
export function readHttp2Head(
  received: readonly HpackField[],
  limits: HttpLimits,
  overflowed: boolean = false,
): Http2RequestHead {
  if (overflowed) throw tooLarge(limits)
  let method: string | undefined
  let target: string | undefined
  let scheme: string | undefined
  let authority: string | undefined
  let protocol: string | undefined
  let host: string | undefined
  let length: string | undefined
  let cookie: string | undefined
  let expectsContinue = false
  let pseudo = 0
  let begun = false
  const fields = new Fields()

  for (const field of received) {
    const { value } = field
    const kind = kindOf(field)
    if (kind < FIRST_PSEUDO || kind > LAST_PSEUDO) begun = true
    else if (begun) throw malformed('a pseudo-header field follows a field')
    else pseudo++
    switch (kind) {
      case PLAIN:
        break
      case METHOD:
        if (method !== undefined) throw malformed('there is more than one :method')
        method = value
        continue
      case PATH:
        if (target !== undefined) throw malformed('there is more than one :path')
        target = value
        continue
      case SCHEME:
        if (scheme !== undefined) throw malformed('there is more than one :scheme')
        scheme = value
        continue
      case AUTHORITY:
        if (authority !== undefined) throw malformed('there is more than one :authority')
        authority = value
        continue
      case PROTOCOL:
        if (protocol !== undefined) throw malformed('there is more than one :protocol')
        protocol = value
        continue
      case HOST:
        if (host !== undefined) throw badHost('there is more than one Host')
        host = value
        break
      case LENGTH:
        if (length !== undefined) throw badLength('there is more than one Content-Length')
        length = value
        break
      case COOKIE:
        // Crumbs become one again (RFC 9113, 8.2.3).
        cookie = cookie === undefined ? value : `${cookie}; ${value}`
        continue
      case EXPECT:
        if (value.toLowerCase() !== '100-continue') {
          throw new SluiceError(
            'HTTP_EXPECTATION_FAILED',
            'Expect asks for something other than 100-continue',
          )
        }
        expectsContinue = true
        break
      case TE:
        if (value.toLowerCase() !== 'trailers') throw malformed('te is something other than trailers')
        break
      case WEBSOCKET_KEY:
        // Has no meaning here (RFC 8441, 5), and would have one for whoever opens a WebSocket over HTTP/1.1.
        if (method === 'CONNECT') continue
        break
      default:
        throw unfit(field)
    }
    fields.add(field)
  }
  if (cookie !== undefined) fields.add(new HpackField('cookie', cookie))

  const size = fields.size + (target?.length ?? 0)
  checkSize(size, received.length - pseudo, limits)
  if (method === undefined || !TOKEN.test(method)) throw malformed(':method is missing, or no token')
  if (method === 'CONNECT' && protocol === undefined && (scheme !== undefined || target !== undefined)) {
    throw malformed('CONNECT has :scheme or :path (RFC 9113, 8.5), and no :protocol')
  }
  const upgrade = upgradeOf(method, protocol)
  const bodyLength = lengthOf(length)
  if (upgrade !== undefined && bodyLength !== undefined && bodyLength > 0) {
    throw badLength('a request for a tunnel has a Content-Length')
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
    authority: authorityOf(authority, host, scheme),
    headers: fields.list(),
    length: upgrade === undefined ? bodyLength : undefined,
    size,
    expectsContinue: expectsContinue && upgrade === undefined,
  }
}

/**
 * The fields after a body, as they came.
 *
 * @param overflowed whether there were more, which were not kept
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`
 */
export function readHttp2Trailers(
  received: readonly HpackField[],
  limits: HttpLimits,
  overflowed: boolean = false,
): HeaderList {
  if (overflowed) throw tooLarge(limits)
  const fields = new Fields()
  for (const field of received) {
    const kind = kindOf(field)
    if (kind < FIRST_PSEUDO ? kind !== PLAIN : kind <= LAST_PSEUDO) throw unfit(field)
    fields.add(field)
  }
  checkSize(fields.size, received.length, limits)
  return fields.list()
}

/** Fields from name, value, name, value …, for those who got them from elsewhere. */
export function fieldsOf(raw: readonly string[]): HpackField[] {
  const fields: HpackField[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    fields.push(new HpackField(raw[at] as string, raw[at + 1] as string))
  }
  return fields
}

/** Fields that become field lines of HTTP/1.1, with the places of names and values in them. */
class Fields {
  readonly #offsets: number[] = []
  #lines = ''

  get size(): number {
    return this.#lines.length
  }

  add({ name, value, line }: HpackField): void {
    const start = this.#lines.length
    const valueStart = start + name.length + 2
    this.#lines += line === '' ? `${name}: ${value}\r\n` : line
    this.#offsets.push(start, start + name.length, valueStart, valueStart + value.length)
  }

  list(): HeaderList {
    return HeaderList.parsed(this.#lines, this.#offsets)
  }
}

/** Why a field can't be where it is. */
function unfit({ kind, name }: HpackField): SluiceError {
  switch (kind) {
    case BAD_VALUE:
      return malformed('a field value has a control character, or space at one of its ends')
    case CONNECTION_SPECIFIC:
      return malformed(`${name} does not exist in HTTP/2`)
    case BAD_NAME:
      return malformed(
        name.startsWith(':') ? 'a pseudo-header field is unknown' : 'a field name is no token in lower case',
      )
    default:
      return malformed(`${name} can't be among trailers`)
  }
}

function checkSize(bytes: number, fields: number, limits: HttpLimits): void {
  if (bytes > limits.head || fields > limits.fields) throw tooLarge(limits)
}

function tooLarge(limits: HttpLimits): SluiceError {
  return new SluiceError(
    'HTTP_HEAD_TOO_LARGE',
    `the fields are more than ${limits.fields}, or longer than ${limits.head} bytes`,
  )
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

function lengthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const length = decimal(text)
  if (length < 0) throw badLength('Content-Length is not one number below 2^53')
  return length
}

function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_FIELD_MALFORMED', what)
}

function badHost(what: string): SluiceError {
  return new SluiceError('HTTP_HOST_INVALID', what)
}

function badLength(what: string): SluiceError {
  return new SluiceError('HTTP_LENGTH_INVALID', what)
}
