// An answer that comes later. To every layer it is a promise; a server hears of it without one, which saves each request
// some seven objects and two turns of the queue of microtasks.
import { errorFields, logger, type Service } from '../core/index.ts'
import { isPromise } from './outgoing.ts'
import type { HttpRequest } from './request.ts'
import type { HttpResponse } from './response.ts'

/** Hears what a service answers: one of the two is called, once. */
export interface AnswerListener {
  onAnswer(response: HttpResponse): void
  onFailure(error: unknown): void
}

/** Asks a service. The listener is called before this returns if the answer is there, or else when it comes. */
export function ask<In extends HttpRequest<unknown>>(
  service: Service<In, HttpResponse>,
  request: In,
  listener: AnswerListener,
): void {
  try {
    const answer = service(request)
    if (answer instanceof LateAnswer) {
      answer.tell(listener)
    } else if (isPromise(answer)) {
      answer.then(
        response => listener.onAnswer(response),
        error => listener.onFailure(error),
      )
    } else {
      listener.onAnswer(answer)
    }
  } catch (error) {
    listener.onFailure(error)
  }
}

/**
 * What a service can return in place of a promise, where it learns of its answer in a callback. It becomes a promise when
 * it is first used as one; until then it is only handed through, as by layers that return what the next service returned.
 *
 * @example
 * ```ts
 * const service = () => {
 *   const answer = new LateAnswer()
 *   setTimeout(() => answer.resolve(text('late')), 100)
 *   return answer
 * }
 * ```
 */
export class LateAnswer implements Promise<HttpResponse> {
  #listener: AnswerListener | undefined
  #settled: 'answered' | 'failed' | undefined
  #response: HttpResponse | undefined
  #error: unknown
  #promise: Promise<HttpResponse> | undefined

  /** Answers. Only the first call of this or `reject` counts. */
  resolve(response: HttpResponse): void {
    if (this.#settled !== undefined) return
    this.#settled = 'answered'
    this.#response = response
    if (this.#listener !== undefined) this.#inform(this.#listener)
  }

  /** Fails. Only the first call of this or `resolve` counts. A failure that nobody listens for is lost. */
  reject(error: unknown): void {
    if (this.#settled !== undefined) return
    this.#settled = 'failed'
    this.#error = error
    if (this.#listener !== undefined) this.#inform(this.#listener)
  }

  /** Calls one more listener, at once if the answer is there. Unlike what waits for a promise, it is called without a delay. */
  tell(listener: AnswerListener): void {
    const first = this.#listener
    if (this.#settled !== undefined) {
      this.#inform(listener)
    } else if (first === undefined) {
      this.#listener = listener
    } else {
      const informBoth = (): void => {
        this.#inform(first)
        this.#inform(listener)
      }
      this.#listener = { onAnswer: informBoth, onFailure: informBoth }
    }
  }

  get [Symbol.toStringTag](): string {
    return 'LateAnswer'
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<A = HttpResponse, B = never>(
    onAnswer?: ((response: HttpResponse) => A | PromiseLike<A>) | null,
    onFailure?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#asPromise().then(onAnswer, onFailure)
  }

  catch<B = never>(onFailure?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<HttpResponse | B> {
    return this.#asPromise().catch(onFailure)
  }

  finally(callback?: (() => void) | null): Promise<HttpResponse> {
    return this.#asPromise().finally(callback)
  }

  #asPromise(): Promise<HttpResponse> {
    this.#promise ??= new Promise((onAnswer, onFailure) => this.tell({ onAnswer, onFailure }))
    return this.#promise
  }

  /** Whoever has the answer, as the reader of an upstream's bytes, has nothing to do with what goes wrong in a listener. */
  #inform(listener: AnswerListener): void {
    try {
      if (this.#settled === 'failed') listener.onFailure(this.#error)
      else listener.onAnswer(this.#response as HttpResponse)
    } catch (error) {
      logger('http').error(errorFields(error), 'an answer could not be handed on')
    }
  }
}
