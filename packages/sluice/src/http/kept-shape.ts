// V8 forgets the shape of a class whose last object has been collected, and with it throws away the machine code that relies
// on that shape. In a quiet moment that is all code of requests: who asks next waits for it to be interpreted, and compiled
// anew (99th percentile of the first seconds after half a minute: 61 ms instead of 12).
import type { HeaderList } from './headers.ts'
import type { HttpRequest } from './request.ts'
import type { HttpResponse } from './response.ts'

type Asked = Pick<HttpRequest, 'target' | 'headers' | 'body'>

/** An answer that is kept, if it is in memory, has no more bytes than this. */
const SMALL = 4096

/** So many are looked at: where nobody asks without a secret, looking must end. */
const LOOKS = 10_000

/** Fields that say what is asked for and how, and from which address; in any other there may be a secret. */
const HARMLESS = new Set(
  `accept accept-charset accept-encoding accept-language cache-control connection content-length dnt forwarded host
  if-modified-since if-none-match keep-alive pragma priority range sec-fetch-dest sec-fetch-mode sec-fetch-site
  sec-fetch-user te upgrade-insecure-requests user-agent via x-forwarded-for x-forwarded-host x-forwarded-proto
  x-request-id`.split(/\s+/),
)

/**
 * Makes a function that keeps the first suitable object that it is given, and all that this leads to, for as long as the
 * process runs. Suitable is one whose request has no body, no query and none but well-known fields, and whose answer is
 * small and sets no cookie: it costs some kilobytes, and keeps nothing by which somebody could pass for another.
 */
export function firstKept(): (one: object, request: Asked, answer: HttpResponse) => void {
  let first: object | undefined
  let left = LOOKS
  return (one, request, answer) => {
    if (first !== undefined || left === 0) return
    left--
    if (isSuitable(request, answer)) first = one
  }
}

/** Whether a request and its answer may be kept. */
export function isSuitable({ target, headers, body }: Asked, answer: HttpResponse): boolean {
  if (body.length !== 0 || target.includes('?')) return false
  // What changes the protocol leads to all that comes after it.
  if (answer.status < 200 || answer.tunnel !== undefined || answer.headers.has('set-cookie')) return false
  if (answer.body.inMemory && (answer.body.length ?? 0) > SMALL) return false
  return areHarmless(headers)
}

function areHarmless(headers: HeaderList): boolean {
  for (const [name] of headers) if (!HARMLESS.has(name.toLowerCase())) return false
  return true
}
