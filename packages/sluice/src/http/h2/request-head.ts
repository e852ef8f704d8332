// The head of an HTTP/2 request (RFC 9113, section 8.3), checked again after the platform's library: what becomes of it
// may be HTTP/1.1, where a line end in a value would be another field.
import { SluiceError } from '../../core/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import type { ReceivedHead } from '../request.ts'
import { checkTarget } from '../target.ts'

export interface Http2RequestHead extends ReceivedHead {
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
  /** Bytes of its fields. */
  readonly size: number
}

/** Fields that speak of an HTTP/1.1 connection (RFC 9113, 8.2.2). `te` may only say `trailers`. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

const METHOD = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
/** A field name (RFC 9113, 8.2.1): a token without upper case. */
const NAME = /^[!#$%&'*+\-.^_`|~\da-z]+$/
/**
 * What would end a field in HTTP/1.1, or would when only its low byte is written. V8 looks for so few characters at many
 * times the speed of a whole grammar.
 */
const ENDS = /[\0\r\n\u0100-\uffff]/
/** The name of a protocol, with its version perhaps (RFC 9110, 7.8). */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~\dA-Za-z/]+$/

/**
 * @param raw name, value, name, value … as they came
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`, `HTTP_TARGET_MALFORMED`, `HTTP_TARGET_TOO_LONG`,
 *   `HTTP_HOST_INVALID`, `HTTP_LENGTH_INVALID`, `HTTP_METHOD_UNSUPPORTED`, `HTTP_EXPECTATION_FAILED`
 */
export function readHttp2Head(raw: readonly string[], limits: HttpLimits): Http2RequestHead {
  let method = ''
  let target = ''
  let scheme = ''
  let authority: string | undefined
  let protocol: string | undefined
  let host: string | undefined
  let length: string | undefined
  let cookie: string | undefined
  let expectsContinue = false
  let pseudo = 0
  const fields = new Fields()

  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string
    const value = raw[at + 1] as string
    switch (name) {
      case ':method':
        method = value
        pseudo++
        continue
      case ':path':
        target = value
        pseudo++
        continue
      case ':scheme':
        scheme = value
        pseudo++
        continue
      case ':authority':
        authority = value
        pseudo++
        continue
      case ':protocol':
        protocol = value
        pseudo++
        continue
      case 'host':
        if (host !== undefined) throw badHost('there is more than one Host')
        host = value
        break
      case 'content-length':
        if (length !== undefined) throw badLength('there is more than one Content-Length')
        length = value
        break
      case 'cookie':
        // Crumbs become one again (RFC 9113, 8.2.3).
        cookie = cookie === undefined ? value : `${cookie}; ${value}`
        continue
      case 'expect':
        if (value.toLowerCase() !== '100-continue') {
          throw new SluiceError(
            'HTTP_EXPECTATION_FAILED',
            'Expect asks for something other than 100-continue',
          )
        }
        expectsContinue = true
        break
      case 'te':
        if (value.toLowerCase() !== 'trailers') throw malformed('te is something other than trailers')
        break
      case 'sec-websocket-key':
        // Has no meaning here (RFC 8441, 5), and would have one for whoever opens a WebSocket over HTTP/1.1.
        if (method === 'CONNECT') continue
        break
      default:
        if (CONNECTION_SPECIFIC.has(name)) throw malformed(`${name} does not exist in HTTP/2`)
    }
    fields.add(name, value)
  }
  if (cookie !== undefined) fields.add('cookie', cookie)

  const size = fields.size + target.length
  checkSize(size, raw.length / 2 - pseudo, limits)
  if (method === '' || !METHOD.test(method)) throw malformed(':method is no token')
  const upgrade = upgradeOf(method, protocol)
  const bodyLength = lengthOf(length)
  if (upgrade !== undefined && bodyLength !== undefined && bodyLength > 0) {
    throw badLength('a request for a tunnel has a Content-Length')
  }
  if (scheme !== 'http' && scheme !== 'https') throw malformed(':scheme is neither http nor https')
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
 * @param raw name, value, name, value …
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`
 */
export function readHttp2Trailers(raw: readonly string[], limits: HttpLimits): HeaderList {
  const fields = new Fields()
  for (let at = 0; at + 1 < raw.length; at += 2) fields.add(raw[at] as string, raw[at + 1] as string)
  checkSize(fields.size, raw.length / 2, limits)
  return fields.list()
}

/** Fields that become field lines of HTTP/1.1, with the places of names and values in them. */
class Fields {
  readonly #offsets: number[] = []
  #lines = ''

  get size(): number {
    return this.#lines.length
  }

  /** @throws {SluiceError} `HTTP_FIELD_MALFORMED` */
  add(name: string, value: string): void {
    if (!NAME.test(name)) throw malformed('a field name is no token in lower case')
    if (ENDS.test(value)) throw malformed('a field value has a line end or NUL')
    const start = this.#lines.length
    const valueStart = start + name.length + 2
    this.#lines += `${name}: ${value}\r\n`
    this.#offsets.push(start, start + name.length, valueStart, valueStart + value.length)
  }

  list(): HeaderList {
    return HeaderList.parsed(this.#lines, this.#offsets)
  }
}

function checkSize(bytes: number, fields: number, limits: HttpLimits): void {
  if (bytes > limits.head || fields > limits.fields) {
    throw new SluiceError(
      'HTTP_HEAD_TOO_LARGE',
      `the fields are more than ${limits.fields}, or longer than ${limits.head} bytes`,
    )
  }
}

/** What an extended CONNECT (RFC 8441, 4) asks to change to; undefined for any other request. */
function upgradeOf(method: string, protocol: string | undefined): string | undefined {
  if (protocol === undefined) {
    if (method !== 'CONNECT') return undefined
    throw new SluiceError('HTTP_METHOD_UNSUPPORTED', 'CONNECT asks for a tunnel; there are none here')
  }
  if (method !== 'CONNECT') throw malformed(':protocol is there for CONNECT only')
  if (!PROTOCOL.test(protocol)) throw malformed(':protocol is no name of a protocol')
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
  const length = Number(text)
  if (!/^\d{1,16}$/.test(text) || length > Number.MAX_SAFE_INTEGER) {
    throw badLength('Content-Length is not one number below 2^53')
  }
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
