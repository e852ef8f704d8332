// What a request's conditions and range ask of a representation (RFC 9110, sections 13 and 14).
import { parseHttpDate } from '../date.ts'
import type { HeaderList } from '../headers.ts'

/** By what a representation is known. */
export interface Validators {
  /** A weak entity tag, `W/"…"`: two versions of a file can have the same size and time. */
  readonly etag: string
  /** As Last-Modified has it. */
  readonly lastModified: string
  /** The same in milliseconds, whole seconds. */
  readonly modified: number
  /** Whether the second in which it was modified is over, so that its time can't be that of another version. */
  readonly settled: boolean
}

/**
 * Whether the request wants the representation (RFC 9110, 13.2.2): 304 if the client has it, 412 if it is not the one that the
 * client wants to act on, undefined if it is to be sent.
 */
export function judgeConditions(headers: HeaderList, validators: Validators): 304 | 412 | undefined {
  const { etag, modified } = validators
  const ifMatch = headers.get('if-match')
  if (ifMatch !== undefined) {
    // Strong comparison: no weak tag is equal to anything.
    if (ifMatch.trim() !== '*') return 412
  } else {
    const since = dateOf(headers.get('if-unmodified-since'))
    if (since !== undefined && modified > since) return 412
  }
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== undefined) return matchesWeakly(ifNoneMatch, etag) ? 304 : undefined
  const since = dateOf(headers.get('if-modified-since'))
  return since !== undefined && modified <= since ? 304 : undefined
}

/** Bytes of a representation, both ends inclusive. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/**
 * The one range that the request asks for; `unsatisfiable` if there is nothing of it; undefined if the whole is to be sent: no
 * range or several, or none that can be understood (RFC 9110, 14.2), or the client has a range of another version.
 */
export function rangeOf(
  headers: HeaderList,
  size: number,
  validators: Validators,
): ByteRange | 'unsatisfiable' | undefined {
  const text = headers.get('range')
  if (text === undefined || !continues(headers.get('if-range'), validators)) return undefined
  const [, from = '', to = ''] = /^bytes=[ \t]*(\d{0,16})-(\d{0,16})[ \t]*$/i.exec(text) ?? []
  if (from === '') {
    if (to === '') return undefined
    const length = Math.min(Number(to), size)
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return undefined
  if (first >= size) return 'unsatisfiable'
  return { first, last: to === '' ? size - 1 : Math.min(Number(to), size - 1) }
}

/** If-Range (RFC 9110, 13.1.5): an entity tag must be strong, which ours are not; a date must be exactly the same. */
function continues(ifRange: string | undefined, { lastModified, settled }: Validators): boolean {
  return ifRange === undefined || (settled && ifRange === lastModified)
}

const TAG = /^(?:W\/)?("[!#-~\x80-\xff]*")/

/** Weak comparison (RFC 9110, 8.8.3.2) with each of a list. What is no list matches nothing. */
function matchesWeakly(list: string, etag: string): boolean {
  if (list.trim() === '*') return true
  const opaque = etag.slice(etag.indexOf('"'))
  let rest = list
  for (;;) {
    rest = rest.replace(/^[ \t,]+/, '')
    const [whole, tag] = TAG.exec(rest) ?? []
    if (whole === undefined) return false
    if (tag === opaque) return true
    rest = rest.slice(whole.length)
  }
}

/** What is no date is to be ignored. */
function dateOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text)
}
