// The forms of a request target (RFC 9112, section 3.2), as strict for HTTP/2's :path.
import { SluiceError } from '../core/index.ts'
import { isAuthority } from './authority.ts'
import { allIn, PATH, QUERY } from './grammar.ts'

/** Where and what an absolute-form target points to. */
export interface AbsoluteTarget {
  readonly scheme: string
  readonly authority: string
}

/**
 * Checks a target for a method.
 *
 * @returns scheme and authority if it has the absolute-form
 * @throws {SluiceError} `HTTP_TARGET_MALFORMED`
 */
export function checkTarget(method: string, target: string): AbsoluteTarget | undefined {
  if (target.charCodeAt(0) === SLASH) {
    checkPath(target, 0)
    return undefined
  }
  if (target === '*' && method === 'OPTIONS') return undefined
  const colon = target.indexOf('://')
  const scheme = target.slice(0, Math.max(colon, 0)).toLowerCase()
  if (scheme === 'http' || scheme === 'https') {
    const start = colon + 3
    let end = start
    for (let code = target.charCodeAt(end); end < target.length && code !== SLASH && code !== QUESTION; ) {
      end++
      code = target.charCodeAt(end)
    }
    const authority = target.slice(start, end)
    if (isAuthority(authority)) {
      checkPath(target, end)
      return { scheme, authority }
    }
  }
  throw new SluiceError(
    'HTTP_TARGET_MALFORMED',
    'the target is neither a path, nor an http or https URL without a user, nor * for OPTIONS',
  )
}

const SLASH = 0x2f
const QUESTION = 0x3f

function checkPath(target: string, start: number): void {
  const question = target.indexOf('?', start)
  const end = question < 0 ? target.length : question
  if (!allIn(target, PATH, start, end) || !allIn(target, QUERY, end, target.length)) {
    throw new SluiceError('HTTP_TARGET_MALFORMED', 'the target has a character that must be percent-encoded')
  }
  // In the query browsers send a lone % as it is.
  for (let at = target.indexOf('%', start); at >= 0 && at < end; at = target.indexOf('%', at + 1)) {
    if (!isHex(target.charCodeAt(at + 1)) || !isHex(target.charCodeAt(at + 2)) || at + 2 >= end) {
      throw new SluiceError(
        'HTTP_TARGET_MALFORMED',
        'the path has a % without two hexadecimal digits after it',
      )
    }
  }
}

function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66)
}
