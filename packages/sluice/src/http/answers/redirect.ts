// The answer that sends a client elsewhere (RFC 9110, section 15.4 and 10.2.2).
import { oneOf, SluiceError } from '../../core/index.ts'
import { empty, type HttpResponse } from '../response.ts'

const STATUSES = [301, 302, 303, 307, 308] as const

/**
 * `301` and `308` are for good, `302`, `303` and `307` for now. `303` asks with GET, `307` and `308` with the same method and
 * body; after `301` and `302` browsers make GET of POST.
 */
export type RedirectStatus = (typeof STATUSES)[number]

/**
 * Sends the client to another place: a path, or a whole URL.
 *
 * What a URL can't have as it is (spaces, quotes, other scripts, `\`, a `%` that begins no escape) is percent-encoded, and
 * escapes stay as they are. The `\` because browsers take it for a slash, so that `/\evil.example` would be another host. Who
 * lets clients choose the place has to check it all the same: `//evil.example` is another host as well.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID` for an empty place, control characters and broken Unicode, `OPTION_INVALID` for
 *   any other status
 */
export function redirect(location: string, status: RedirectStatus = 302): HttpResponse {
  oneOf('status', status, STATUSES)
  const response = empty(status)
  response.headers.appendProved('location', encoded(location))
  return response
}

const CONTROL = /\p{Cc}/u
/** All that is none of RFC 3986's characters; and `%` where no two hexadecimal digits follow. */
const UNSAFE = /[^A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+|%(?![0-9A-Fa-f]{2})/gu

function encoded(location: string): string {
  if (location === '' || CONTROL.test(location) || !location.isWellFormed()) {
    throw new SluiceError(
      'HTTP_HEADER_INVALID',
      `${JSON.stringify(location)} is no place to redirect to; give a path or a URL without control characters`,
    )
  }
  return location.replace(UNSAFE, encodeURIComponent)
}
