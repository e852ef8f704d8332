// What each field means to a request of HTTP/2, and whether it can be one (RFC 9113, sections 8.2 and 8.3).
import { SluiceError } from '../../core/index.ts'
import { allIn, VALUE } from '../grammar.ts'
import type { HpackField } from './hpack/field.ts'

/** What a field means to the head of a request. Kept on the field, as the same one comes again and again in a session. */
export const PLAIN = 1
const BAD_NAME = 2
const BAD_VALUE = 3
const CONNECTION_SPECIFIC = 4
export const METHOD = 5
export const PATH = 6
export const SCHEME = 7
export const AUTHORITY = 8
export const PROTOCOL = 9
export const HOST = 10
export const LENGTH = 11
export const COOKIE = 12
export const EXPECT = 13
export const TE = 14
export const WEBSOCKET_KEY = 15

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

/** A field name (RFC 9113, 8.2.1): a token without upper case. */
const NAME = /^[!#$%&'*+\-.^_`|~\da-z]+$/

/** Whether it is one of the pseudo-header fields. */
export function isPseudo(kind: number): boolean {
  return kind >= FIRST_PSEUDO && kind <= LAST_PSEUDO
}

/** Whether it may be a field of a request, or behind it. */
export function isRegular(kind: number): boolean {
  return kind === PLAIN || kind > LAST_PSEUDO
}

/** What a field means; found out once, and kept on it. */
export function kindOf(field: HpackField): number {
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

/** Why a field can't be where it is. */
export function unfit({ kind, name }: HpackField): SluiceError {
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

export function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_FIELD_MALFORMED', what)
}
