// What is checked about a service's answer before it is sent, over HTTP/1.1 or HTTP/2.
import { SluiceError } from '../core/index.ts'
import { Body } from './body.ts'
import { decimal } from './grammar.ts'
import { HeaderList } from './headers.ts'
import type { HttpResponse } from './response.ts'
import { isFinalStatus } from './status.ts'

/**
 * What no version of HTTP can send.
 *
 * @param upgrade what the request asked to change to
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function checkResponse(response: HttpResponse, upgrade: string | undefined): void {
  if (typeof response !== 'object' || response === null) {
    throw invalidResponse('the service answered nothing; return text(), json() or another answer')
  }
  if (response.tunnel !== undefined) {
    if (response.status !== 101 || upgrade === undefined) {
      throw invalidResponse('it has a tunnel, without status 101 or to a request that asked for no upgrade')
    }
  } else if (!isFinalStatus(response.status))
    throw invalidResponse(`${response.status} is no final status, 200 to 599`)
  if (!(response.headers instanceof HeaderList)) throw invalidResponse('its headers are no HeaderList')
  if (!(response.body instanceof Body)) throw invalidResponse('its body is no Body; make one with Body.from')
}

/**
 * The length of a body from what the service declared and what the body knows.
 *
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID` if they contradict each other
 */
export function lengthOf(
  declared: string | undefined,
  actual: number | undefined,
  withoutBody: boolean,
): number | undefined {
  if (declared === undefined) return actual
  const length = decimal(declared)
  if (length < 0) {
    throw invalidResponse(`its Content-Length is ${JSON.stringify(declared)}`)
  }
  if (actual !== undefined && actual !== length && !withoutBody) {
    throw invalidResponse(`its Content-Length is ${length}, its body has ${actual} bytes`)
  }
  return length
}

/** The error of an answer that can't be sent. */
export function invalidResponse(what: string): SluiceError {
  return new SluiceError('HTTP_RESPONSE_INVALID', `the response can't be sent: ${what}`)
}

/** Whether a service answers later. */
export function isPromise(value: HttpResponse | Promise<HttpResponse>): value is Promise<HttpResponse> {
  return typeof (value as Partial<Promise<HttpResponse>> | undefined)?.then === 'function'
}

/** Lets go of an answer that will not be sent. It may be anything: it was not checked, or was found wrong. */
export function discardBody(response: Partial<HttpResponse> | undefined): void {
  if (response?.body instanceof Body) response.body.discard()
}
