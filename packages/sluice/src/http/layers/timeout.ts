// The layer that gives an exchange a time limit, from the request to the last byte of the answer.
import { type Duration, type Layer, logger, SluiceError, timeLimit } from '../../core/index.ts'
import { Body } from '../body.ts'
import { type GuardedBody, guardBody } from '../body-guard.ts'
import { PIECE } from '../body-streams.ts'
import { discardBody, isPromise } from '../outgoing.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { type Swept, sweep } from '../sweep.ts'

/**
 * Limits the time of the whole exchange, to within half a second more. If there is no answer when it has passed, the
 * request is answered 504 with `HTTP_REQUEST_TIMEOUT`; if the answer's body is still going, it is cut, so that the client
 * can't take it for complete. The services below are told by `signal` and `whenGone`, as if the client had gone, and
 * the request's body ends with the same error: `reverseProxy` cancels its request to the upstream. What they answer or
 * throw afterwards is dropped.
 *
 * Tunnels (WebSocket) have limits of their own: the time stops with the 101. Endless answers, such as server-sent events,
 * need a stack without this layer.
 *
 * @example
 * ```ts
 * stack<HttpRequest, HttpResponse>()
 *   .layer(timeout('10s'))
 *   .service(reverseProxy('http://127.0.0.1:3000'))
 * ```
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID` for less than a millisecond
 */
export function timeout(limit: Duration): Layer<HttpRequest, unknown, HttpResponse> {
  const milliseconds = timeLimit('limit', limit)
  return <In extends HttpRequest, O extends HttpResponse>(next: (input: In) => O | Promise<O>) =>
    function timeout(request: In): O | Promise<O> {
      const timed = new TimedExchange<O>(request, milliseconds)
      let answer: O | Promise<O>
      try {
        answer = next(request)
      } catch (error) {
        timed.finish()
        throw error
      }
      return isPromise(answer) ? timed.wait(answer as Promise<O>) : timed.pass(answer)
    }
}

class TimedExchange<O extends HttpResponse> implements Swept {
  readonly deadline: number
  readonly #limit: number
  readonly #request: HttpRequest
  #incoming: GuardedBody | undefined
  #outgoing: GuardedBody | undefined
  /** Answers in place of the service, while that has not. */
  #reject: ((error: SluiceError) => void) | undefined
  #expired = false

  constructor(request: HttpRequest, limit: number) {
    // By the clock, not by `sweep.now`, which can be half a second behind: nothing is cut before its time.
    this.deadline = performance.now() + limit
    this.#limit = limit
    this.#request = request
    const { body } = request
    // What has come already does not keep anybody waiting, and can be sent again if it is left as it is.
    if (body.inMemory) return
    this.#incoming = guardBody(body, { over: () => this.#settle() })
    const target: { body: Body } = request
    target.body = this.#incoming.body
    sweep.add(this)
  }

  /** The service answers later. */
  wait(answer: Promise<O>): Promise<O> {
    sweep.add(this)
    return new Promise((resolve, reject) => {
      this.#reject = reject
      answer.then(
        response => {
          this.#reject = undefined
          if (this.#expired) discardBody(response)
          else resolve(this.pass(response))
        },
        error => {
          this.#reject = undefined
          if (this.#expired) logger('http').debug({ error }, 'a service failed after its time was over')
          else reject(error)
          this.finish()
        },
      )
    })
  }

  /** The answer as it goes on: its body is watched until its end, unless it goes out at once. */
  pass(response: O): O {
    const body: unknown = response?.body
    // What is no answer is refused when it is to be sent.
    if (!(body instanceof Body)) {
      this.finish()
      return response
    }
    // The request's own body is watched already.
    if (body === this.#incoming?.body) return response
    const isShort = body.inMemory && (body.length ?? 0) <= PIECE
    if (isShort || body.used) {
      this.#settle()
      return response
    }
    this.#outgoing = guardBody(body, {
      over: () => {
        this.#outgoing = undefined
        this.#settle()
      },
    })
    sweep.add(this)
    return { ...response, body: this.#outgoing.body }
  }

  expire(): void {
    this.finish()
    this.#expired = true
    const error = new SluiceError(
      'HTTP_REQUEST_TIMEOUT',
      `the exchange was not complete within ${this.#limit} ms`,
    )
    // First what the client is told, then the reason for it: what the service does then comes too late.
    this.#reject?.(error)
    this.#incoming?.cut(error)
    this.#outgoing?.cut(error)
    this.#request.abort(error)
  }

  /** Nothing is waited for any more, as soon as that is so. */
  #settle(): void {
    if (this.#reject === undefined && this.#outgoing === undefined && this.#incoming?.reading !== true) {
      this.finish()
    }
  }

  finish(): void {
    sweep.delete(this)
  }
}
