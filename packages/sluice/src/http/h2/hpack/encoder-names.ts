// How the fields of each name are encoded (RFC 7541, 6): what is indexed, and how a literal begins.

import { copyOf, integerLiteral, stringLiteral } from './literals.ts'
import { STATIC_TABLE } from './static-table.ts'

export interface EncoderName {
  /** A literal, up to its value. */
  readonly literal: string
  /** A literal that is also put in the dynamic table, up to its value. */
  readonly added: string
  /** The values in the static table, and the fields with them; most names there have one, the empty one. */
  readonly values: readonly string[]
  readonly indexed: readonly string[]
  /** Its number among the names whose values repeat; -1 if it is none of them. */
  readonly repeated: number
}

/** What may not stay in any table on the way (RFC 7541, 7.1.3). */
const SECRET = ['authorization', 'cookie', 'proxy-authorization', 'set-cookie']

/**
 * Names whose values are the same in most answers of a site, or a few for each kind of file. Not those that say what one
 * answer is (date, etag, content-length, location …): each would push out another, and never be met again.
 */
const REPEATED = [
  ...['server', 'via', 'x-powered-by', 'alt-svc', 'x-cache', 'x-served-by'],
  ...['content-type', 'content-encoding', 'content-language', 'accept-ranges'],
  ...['cache-control', 'pragma', 'vary', 'x-robots-tag'],
  ...['strict-transport-security', 'content-security-policy', 'content-security-policy-report-only'],
  ...['x-content-type-options', 'x-frame-options', 'x-xss-protection', 'x-permitted-cross-domain-policies'],
  ...['x-download-options', 'x-dns-prefetch-control', 'referrer-policy', 'permissions-policy'],
  ...['cross-origin-opener-policy', 'cross-origin-embedder-policy', 'cross-origin-resource-policy'],
  ...['origin-agent-cluster', 'accept-ch', 'nel', 'report-to', 'reporting-endpoints', 'timing-allow-origin'],
  ...['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-allow-methods'],
  ...['access-control-allow-headers', 'access-control-expose-headers', 'access-control-max-age'],
  ...['grpc-status', 'grpc-encoding', 'grpc-accept-encoding'],
]
export const REPEATED_NAMES: number = REPEATED.length

const WITHOUT_INDEXING = 0x00
const NEVER_INDEXED = 0x10
const ADDED = 0x40

/** Names that are not listed here but met: how many are remembered, and how long they may be. */
const MOST_LEARNT = 512
const LONGEST_LEARNT = 64

/** For all connections, since names are those of the applications behind. */
const names = new Map<string, EncoderName>()
for (const field of STATIC_TABLE)
  if (field !== undefined && !names.has(field.name)) names.set(field.name, make(field.name))
for (const name of REPEATED) if (!names.has(name)) names.set(name, make(name))
const MOST_NAMES = names.size + MOST_LEARNT

/** @param name in lower case */
export function encoderName(name: string): EncoderName {
  return names.get(name) ?? learn(name)
}

/** @returns the field if it is in the static table; undefined if not */
export function staticField({ values, indexed }: EncoderName, value: string): string | undefined {
  for (let at = 0; at < values.length; at++) if (values[at] === value) return indexed[at]
  return undefined
}

function learn(name: string): EncoderName {
  const made = make(name)
  if (name.length <= LONGEST_LEARNT && names.size < MOST_NAMES) names.set(copyOf(name), made)
  return made
}

function make(name: string): EncoderName {
  const secret = SECRET.includes(name)
  const places = STATIC_TABLE.flatMap((field, index) => (field?.name === name ? [index] : []))
  const [first] = places
  const begin = (pattern: number, most: number) =>
    first === undefined
      ? integerLiteral(0, pattern, most) + stringLiteral(copyOf(name))
      : integerLiteral(first, pattern, most)
  return {
    literal: begin(secret ? NEVER_INDEXED : WITHOUT_INDEXING, 0x0f),
    added: begin(ADDED, 0x3f),
    values: secret ? [] : places.map(index => STATIC_TABLE[index]?.value ?? ''),
    indexed: secret ? [] : places.map(index => integerLiteral(index, 0x80, 0x7f)),
    repeated: REPEATED.indexOf(name),
  }
}
