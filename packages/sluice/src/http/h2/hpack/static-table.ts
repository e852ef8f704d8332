// The static table (RFC 7541, appendix A).
import { HpackField } from './field.ts'

/** In the order of the RFC; of the entries from 15 on, all but the next have no value. */
const WITH_VALUES = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
] as const

const NAMES_ONLY = [
  ...['accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow'],
  ...['authorization', 'cache-control', 'content-disposition', 'content-encoding', 'content-language'],
  ...['content-length', 'content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag'],
  ...['expect', 'expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'link', 'location', 'max-forwards', 'proxy-authenticate'],
  ...['proxy-authorization', 'range', 'referer', 'refresh', 'retry-after', 'server', 'set-cookie'],
  ...['strict-transport-security', 'transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate'],
] as const

/** By index, from 1; there is nothing at 0. */
export const STATIC_TABLE: readonly (HpackField | undefined)[] = [
  undefined,
  ...WITH_VALUES.map(([name, value]) => new HpackField(name, value)),
  ...NAMES_ONLY.map(name => new HpackField(name, '')),
]

/** Entries of the dynamic table have the indices from here on. */
export const STATIC_ENTRIES = 61
