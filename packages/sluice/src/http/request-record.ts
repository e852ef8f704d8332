// What an exchange writes down about a request that somebody observes.
import { logger } from '../core/index.ts'
import type { RequestNotes, RequestOutcome } from './request.ts'

export class RequestRecord implements RequestNotes {
  readonly #began = performance.now()
  upstream?: string
  attempts?: number
  connected?: number
  responded?: number
  error?: string
  readonly observers: ((outcome: RequestOutcome) => void)[] = []
  received = 0
  sent = 0
  #status: number | undefined
  #answered: number | undefined
  #over = false

  /** Milliseconds since the request's head was complete, or since it was first observed, which layers do at once. */
  get elapsed(): number {
    return performance.now() - this.#began
  }

  /** The head of the answer is being written. */
  answer(status: number): void {
    this.#status = status
    this.#answered = this.elapsed
  }

  /** The exchange is over: complete, or cut short, for the reason with this code. Only the first call counts. */
  end(code?: string): void {
    if (this.#over) return
    this.#over = true
    const outcome: RequestOutcome = {
      status: this.#status,
      received: this.received,
      sent: this.sent,
      answered: this.#answered,
      duration: this.elapsed,
      error: code,
    }
    for (const observer of this.observers) {
      try {
        observer(outcome)
      } catch (fault) {
        logger('http').error({ error: fault }, 'an observer of a request failed')
      }
    }
  }
}
