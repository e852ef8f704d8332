// The head of an HTTP/2 request (RFC 9113, section 8.3), checked again after nghttp2: what becomes of it may be
// HTTP/1.1, where a line end in a value would be another field.
import { SluiceError } from '../../core/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { allIn, TOKEN } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { ReceivedHead } from '../request.ts'
import { checkTarget } from '../target.ts'

export interface Http2RequestHead extends ReceivedHead {
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
}

/** Fields that speak of an HTTP/1.1 connection (RFC 9113, 8.2.2). `te` may only say `trailers`. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/**
 * @param raw name, value, name, value … as they came
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_TARGET_MALFORMED`, `HTTP_TARGET_TOO_LONG`, `HTTP_HOST_INVALID`,
 *   `HTTP_LENGTH_INVALID`, `HTTP_METHOD_UNSUPPORTED`, `HTTP_EXPECTATION_FAILED`
 */
export function readHttp2Head(raw: readonly string[], targetLimit: number): Http2RequestHead {
  let method = ''
  let target = ''
  let scheme = ''
  let authority: string | undefined
  let host: string | undefined
  let length: string | undefined
  let expect: string | undefined
  const fields: string[] = []

  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string
    const value = raw[at + 1] as string
    switch (name) {
      case ':method':
        method = value
        continue
      case ':path':
        target = value
        continue
      case ':scheme':
        scheme = value
        continue
      case ':authority':
        authority = value
        continue
      case 'host':
        if (host !== undefined) throw new SluiceError('HTTP_HOST_INVALID', 'there is more than one Host')
        host = value
        break
      case 'content-length':
        if (length !== undefined)
          throw new SluiceError('HTTP_LENGTH_INVALID', 'there is more than one Content-Length')
        length = value
        break
      case 'expect':
        expect = value.toLowerCase()
        break
      case 'te':
        if (value.toLowerCase() !== 'trailers') throw malformed('te is something other than trailers')
        break
      default:
        if (CONNECTION_SPECIFIC.has(name)) throw malformed(`${name} does not exist in HTTP/2`)
    }
    fields.push(name, value)
  }

  if (method === 'CONNECT') {
    throw new SluiceError('HTTP_METHOD_UNSUPPORTED', 'CONNECT asks for a tunnel; there are none here')
  }
  if (method === '' || !allIn(method, TOKEN)) throw malformed(':method is no token')
  if (scheme !== 'http' && scheme !== 'https') throw malformed(':scheme is neither http nor https')
  if (target.length > targetLimit) {
    throw new SluiceError(
      'HTTP_TARGET_TOO_LONG',
      `the target is longer than the limit of ${targetLimit} bytes`,
    )
  }
  // Only the forms of a path exist here: the rest of the URL has fields of its own.
  if (!target.startsWith('/') && target !== '*') {
    throw new SluiceError('HTTP_TARGET_MALFORMED', ':path does not begin with a slash')
  }
  checkTarget(method, target)
  if (expect !== undefined && expect !== '100-continue') {
    throw new SluiceError('HTTP_EXPECTATION_FAILED', 'Expect asks for something other than 100-continue')
  }
  return {
    method,
    target,
    version: '2',
    upgrade: undefined,
    authority: authorityOf(authority, host, scheme),
    headers: receivedFields(fields),
    length: lengthOf(length),
    expectsContinue: expect !== undefined,
  }
}

/**
 * Fields as they came.
 *
 * @param fields name, value, name, value …
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`
 */
export function receivedFields(fields: readonly string[]): HeaderList {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string
    if (name !== name.toLowerCase()) throw malformed('a field name is not in lower case')
  }
  try {
    return HeaderList.received(fields)
  } catch (cause) {
    throw new SluiceError('HTTP_FIELD_MALFORMED', 'a field has a name or value that HTTP does not allow', {
      cause,
    })
  }
}

/** RFC 9113, 8.3.1: one of both must be there, and both must mean the same. */
function authorityOf(authority: string | undefined, host: string | undefined, scheme: string): string {
  const asked = authority ?? host
  if (asked === undefined) throw new SluiceError('HTTP_HOST_INVALID', 'there is neither :authority nor Host')
  if (!isAuthority(asked)) {
    throw new SluiceError('HTTP_HOST_INVALID', ':authority is not a name or address with an optional port')
  }
  if (authority !== undefined && host !== undefined && !sameAuthority(authority, host, scheme)) {
    throw new SluiceError('HTTP_HOST_INVALID', 'Host contradicts :authority')
  }
  return asked
}

function lengthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const length = Number(text)
  if (!/^\d{1,16}$/.test(text) || length > Number.MAX_SAFE_INTEGER) {
    throw new SluiceError('HTTP_LENGTH_INVALID', 'Content-Length is not one number below 2^53')
  }
  return length
}

function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_FIELD_MALFORMED', what)
}
