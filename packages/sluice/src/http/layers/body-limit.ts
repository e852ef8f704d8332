// The layer that limits the body of requests.
import { bytes, type Layer, type Size, SluiceError } from '../../core/index.ts'
import type { Body } from '../body.ts'
import { guardBody } from '../body-guard.ts'
import type { HttpRequest } from '../request.ts'

/**
 * Refuses requests with a larger body: at once by what the request announces, and else when more has come than may.
 * Whoever reads the body is told so by `HTTP_BODY_TOO_LARGE`, which is answered 413. For some paths, where the limit of
 * `serveHttp` is for all of them. With 0, every body is too large.
 *
 * @example
 * ```ts
 * stack<HttpRequest, HttpResponse>()
 *   .layer(bodyLimit('1mb'))
 *   .service(async ({ body }) => json({ received: (await body.bytes()).length }))
 * ```
 * @throws {SluiceError} `SIZE_INVALID`
 */
export function bodyLimit(size: Size): Layer<HttpRequest> {
  const limit = bytes(size)
  const tooLarge = (): SluiceError =>
    new SluiceError('HTTP_BODY_TOO_LARGE', `the body is longer than the limit of ${limit} bytes`)

  return next =>
    function bodyLimit(input) {
      const request: { body: Body } = input
      const { body } = request
      // A body that has a length does not get longer: its framing holds it to that.
      if (body.length !== undefined) {
        if (body.length > limit) throw tooLarge()
        return next(input)
      }
      let received = 0
      const guarded = guardBody(body, {
        pass(count) {
          received += count
          return received > limit ? tooLarge() : undefined
        },
      })
      request.body = guarded.body
      return next(input)
    }
}
