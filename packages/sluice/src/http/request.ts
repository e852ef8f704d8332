// A request as a service gets it, whatever the version of HTTP that it came over.
import { logger } from '../core/index.ts'
import type { Connection } from '../net/index.ts'
import type { Body } from './body.ts'
import type { HeaderList } from './headers.ts'
import { RequestRecord } from './request-record.ts'

export type HttpVersion = '1.0' | '1.1' | '2'

/** A request, and the connection that it came on with everything that the connection's layers proved. */
export interface HttpRequest<out C = Connection> {
  readonly method: string
  /** The target as it was sent: `/path?query`, `*` for OPTIONS, or a whole URL (absolute-form). */
  readonly target: string
  /** The target's path, as it was sent (nothing is decoded): `/path`; `*` for OPTIONS `*`. */
  readonly path: string
  /** The target's query with its `?`, as it was sent; empty if there is none. */
  readonly query: string
  readonly version: HttpVersion
  readonly scheme: 'http' | 'https'
  /** Host and port that the client asked for, from the target, `:authority` or Host; undefined if an HTTP/1.0 client sent none. */
  readonly authority: string | undefined
  /** `authority` without its port, in lower case, an IPv6 address without brackets; undefined if there is none. */
  readonly host: string | undefined
  readonly headers: HeaderList
  readonly body: Body
  readonly connection: C
  /**
   * The protocol that the client asks to change to, in lower case, `websocket` for example; undefined if it asks for none.
   * Over HTTP/1.1 that is the Upgrade field (RFC 9110, 7.8), over HTTP/2 an extended CONNECT (RFC 8441), which is shown
   * as the GET that it stands for. Whoever agrees answers with status 101 and a `tunnel`.
   */
  readonly upgrade: string | undefined
  /** Whether the client waits for `100 Continue` before it sends the body. It is sent when the body is first read. */
  readonly expectsContinue: boolean
  /**
   * Aborted when nobody waits for the answer any more before it is complete: the client has gone, or a layer's time limit
   * has passed. Made when it is first asked for.
   */
  readonly signal: AbortSignal
  /** Calls back when nobody waits for the answer any more, as `signal` says it; at once if that is so. Cheaper than `signal`. */
  whenGone(callback: () => void): void
  /**
   * Says to all that work on the answer that nobody waits for it any more. For layers that answer in their place, as
   * `timeout` does: the exchange itself goes on.
   *
   * @param reason of `signal`
   */
  abort(reason?: unknown): void
  /**
   * Sends an informational response ahead of the answer: 102 to 199, 103 Early Hints for example. Does nothing where that
   * can't be: over HTTP/1.0, or once the answer has begun.
   */
  inform(status: number, headers: HeaderList): void
  /** Calls back once, when the exchange is over: the answer has been written, or it broke off. */
  observe(done: (outcome: RequestOutcome) => void): void
  /** Where services note what they did, for whoever observes the request; undefined if nobody does. */
  readonly notes: RequestNotes | undefined
}

/** What services note about a request. Times are milliseconds since the request's head was complete. */
export interface RequestNotes {
  /** Now. */
  readonly elapsed: number
  /** The upstream that answered, or was asked last. */
  upstream?: string
  /** How many times an upstream was asked. */
  attempts?: number
  /** When a connection to the upstream was at hand. */
  connected?: number
  /** When the head of the upstream's response had come. */
  responded?: number
  /** The code of what went wrong, where the answer was made by Sluice. */
  error?: string
}

/** How an exchange ended. */
export interface RequestOutcome {
  /** The status of the answer; undefined if none was written. */
  readonly status: number | undefined
  /** Bytes of the request's body that came. */
  readonly received: number
  /** Bytes of the answer's body that were written. */
  readonly sent: number
  /** Milliseconds from the request's head to the head of the answer; undefined if there was none. */
  readonly answered: number | undefined
  /** Milliseconds from the request's head to the end. */
  readonly duration: number
  /** The code of what cut the exchange short; undefined if it is complete. */
  readonly error: string | undefined
}

/** What a request's head said, by whichever version of HTTP. */
export interface ReceivedHead {
  readonly method: string
  readonly target: string
  readonly version: HttpVersion
  readonly authority: string | undefined
  readonly headers: HeaderList
  readonly upgrade: string | undefined
  readonly expectsContinue: boolean
}

/** What a request needs of the exchange that it is part of. */
export interface RequestOwner {
  inform(status: number, headers: HeaderList): void
}

/** The one class behind `HttpRequest`: parts that few services ask for are made when they are asked for. */
export class ReceivedRequest<C extends Connection> implements HttpRequest<C> {
  readonly method: string
  readonly target: string
  readonly version: HttpVersion
  readonly scheme: 'http' | 'https'
  readonly authority: string | undefined
  readonly headers: HeaderList
  readonly body: Body
  readonly connection: C
  readonly upgrade: string | undefined
  readonly expectsContinue: boolean
  /** What layers add; the types hide it until one has. */
  requestId: unknown = undefined
  client: unknown = undefined
  /** The field of answers that has the request's id, which answers that are made here have, too. */
  requestIdField: string | undefined = undefined
  readonly #owner: RequestOwner
  #pathStart = -1
  #pathEnd = 0
  #gone = false
  #controller: AbortController | undefined
  /** One callback, as a rule: a list is made for more. */
  #onGone: (() => void) | (() => void)[] | undefined
  #record: RequestRecord | undefined

  constructor(head: ReceivedHead, scheme: 'http' | 'https', body: Body, connection: C, owner: RequestOwner) {
    this.method = head.method
    this.target = head.target
    this.version = head.version
    this.scheme = scheme
    this.authority = head.authority
    this.headers = head.headers
    this.body = body
    this.connection = connection
    this.upgrade = head.upgrade
    this.expectsContinue = head.expectsContinue
    this.#owner = owner
  }

  get path(): string {
    this.#findPath()
    return this.target.slice(this.#pathStart, this.#pathEnd) || '/'
  }

  get query(): string {
    this.#findPath()
    return this.target.slice(this.#pathEnd)
  }

  get host(): string | undefined {
    const authority = this.authority
    if (authority === undefined) return undefined
    if (authority.startsWith('[')) return authority.slice(1, authority.indexOf(']')).toLowerCase()
    const colon = authority.indexOf(':')
    return (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase()
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#gone) this.#controller.abort()
    }
    return this.#controller.signal
  }

  whenGone(callback: () => void): void {
    if (this.#gone) {
      callback()
      return
    }
    if (this.#onGone === undefined) this.#onGone = callback
    else if (Array.isArray(this.#onGone)) this.#onGone.push(callback)
    else this.#onGone = [this.#onGone, callback]
  }

  inform(status: number, headers: HeaderList): void {
    this.#owner.inform(status, headers)
  }

  observe(done: (outcome: RequestOutcome) => void): void {
    this.#record ??= new RequestRecord()
    this.#record.observers.push(done)
  }

  get notes(): RequestNotes | undefined {
    return this.#record
  }

  /** Where the exchange writes down how it goes, if somebody observes it. */
  get record(): RequestRecord | undefined {
    return this.#record
  }

  abort(reason?: unknown): void {
    if (this.#gone) return
    this.#gone = true
    this.#controller?.abort(reason)
    const callbacks = this.#onGone
    this.#onGone = undefined
    for (const callback of [callbacks ?? []].flat()) {
      try {
        callback()
      } catch (error) {
        logger('http').error({ error }, 'a callback of whenGone failed')
      }
    }
  }

  #findPath(): void {
    if (this.#pathStart >= 0) return
    const target = this.target
    const question = target.indexOf('?')
    this.#pathEnd = question < 0 ? target.length : question
    if (target.startsWith('/') || target === '*') {
      this.#pathStart = 0
    } else {
      // absolute-form: the path begins at the first slash after `://`.
      const slash = target.indexOf('/', target.indexOf('://') + 3)
      this.#pathStart = slash < 0 || slash > this.#pathEnd ? this.#pathEnd : slash
    }
  }
}
