// Max-Forwards (RFC 9110, section 7.6.2): how many proxies a TRACE or OPTIONS may still pass.

import { SluiceError } from '../core/index.ts'
import { empty, type HeaderList, type HttpRequest, type HttpResponse } from '../http/index.ts'

const COUNT = /^\d{1,9}$/

/**
 * Counts the field down among the fields that are handed on.
 *
 * @returns the answer where the request may go no further
 * @throws {SluiceError} `HTTP_METHOD_UNSUPPORTED` for a TRACE that may not: it would show what this side adds for upstreams
 */
export function countForwards(
  { method, headers }: HttpRequest,
  fields: HeaderList,
): HttpResponse | undefined {
  if (method !== 'OPTIONS' && method !== 'TRACE') return undefined
  const value = headers.get('max-forwards')
  if (value === undefined || !COUNT.test(value)) return undefined
  const left = Number(value)
  if (left > 0) {
    fields.set('max-forwards', String(left - 1))
    return undefined
  }
  if (method === 'TRACE') throw new SluiceError('HTTP_METHOD_UNSUPPORTED', 'TRACE is not answered here')
  return empty(204)
}
