// A request on its way to an upstream: waits for a connection, is sent, and sent again where that is safe.
import { isSluiceError, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import type { HeaderList } from '../headers.ts'
import { firstKept } from '../kept-shape.ts'
import { type Swept, sweep } from '../sweep.ts'
import type { ConnectionGroup } from './group.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest, UpstreamResponse } from './upstream.ts'

/** What a request can be sent on: a connection that is free, or a session of HTTP/2. */
export interface Carrier {
  /** Whether requests were sent on it before. */
  readonly reused: boolean
  send(request: UpstreamRequest, observer: UpstreamObserver): UpstreamExchange & { readonly begun?: boolean }
}

/** Where a request gets its connection. */
export interface TicketOwner {
  readonly queueTimeout: number
  /** Gives the ticket a connection, now or later. @param fresh not one that has been used */
  assign(ticket: Ticket, fresh: boolean): void
  /** The ticket does not wait any more. */
  leave(ticket: Ticket): void
}

/** Methods that do no harm when they are done twice (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** How often a request is sent at the most. */
const ATTEMPTS = 3

const keepShape = firstKept()

export class Ticket implements UpstreamExchange, UpstreamObserver, Swept {
  readonly request: UpstreamRequest
  readonly #owner: TicketOwner
  readonly #observer: UpstreamObserver
  /** Where it waits for a connection. */
  group: ConnectionGroup | undefined
  /** Whether it needs a connection that has not been used. */
  fresh = false
  #sent: (UpstreamExchange & { readonly begun?: boolean }) | undefined
  #reused = false
  #attempts = 0
  #over = false
  deadline: number = Number.POSITIVE_INFINITY

  constructor(owner: TicketOwner, request: UpstreamRequest, observer: UpstreamObserver) {
    this.#owner = owner
    this.request = request
    this.#observer = observer
  }

  /** Whether nobody waits for it any more. */
  get over(): boolean {
    return this.#over
  }

  get client(): Connection | undefined {
    return this.request.client
  }

  /** It has to wait for a connection. */
  wait(group: ConnectionGroup, fresh: boolean): void {
    this.group = group
    this.fresh = fresh
    this.deadline = sweep.now + this.#owner.queueTimeout
    sweep.add(this)
  }

  /** It does not wait any more. */
  stopWaiting(): void {
    this.group = undefined
    this.deadline = Number.POSITIVE_INFINITY
    sweep.delete(this)
  }

  expire(): void {
    const group = this.group
    if (group === undefined) return
    // A connection that is being made has a time limit of its own.
    if (group.connecting > 0) {
      this.deadline = sweep.now + this.#owner.queueTimeout
      return
    }
    const what = `no connection to it became free within ${this.#owner.queueTimeout} ms`
    this.#owner.leave(this)
    this.fail(new SluiceError('HTTP_QUEUE_TIMEOUT', what))
  }

  sendOn(carrier: Carrier): void {
    this.#reused = carrier.reused
    const attempt = ++this.#attempts
    this.#observer.sending?.()
    try {
      const sent = carrier.send(this.request, this)
      // It may have failed while it was being written, and wait to be sent again, or have been.
      if (this.#attempts === attempt && this.group === undefined) this.#sent = sent
    } catch (cause) {
      this.fail(
        isSluiceError(cause)
          ? cause
          : new SluiceError('INTERNAL', 'a request could not be written', { cause }),
      )
    }
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#owner.leave(this)
    this.#sent?.cancel()
  }

  informed(status: number, headers: HeaderList): void {
    this.#observer.informed(status, headers)
  }

  responded(response: UpstreamResponse): void {
    keepShape(this, this.request, response)
    this.#observer.responded(response)
  }

  failed(error: SluiceError): void {
    if (this.#over) return
    if (this.#mayTryAgain(error)) {
      this.#sent = undefined
      this.#owner.assign(this, true)
    } else {
      this.fail(error)
    }
  }

  fail(error: SluiceError): void {
    if (this.#over) return
    this.#over = true
    this.#observer.failed(error)
  }

  #mayTryAgain(error: SluiceError): boolean {
    const { method, body } = this.request
    if (this.#attempts >= ATTEMPTS || (body.used && !body.inMemory)) return false
    if (error.retry === 'always') return true
    // The upstream closed it while the request was on its way: it was idle for too long.
    return (
      error.retry === 'reused-connection' &&
      this.#reused &&
      this.#sent?.begun !== true &&
      IDEMPOTENT.has(method)
    )
  }
}
