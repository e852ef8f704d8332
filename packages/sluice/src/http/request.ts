// A request as a service gets it, whatever the version of HTTP that it came over.
import type { Connection } from '../net/index.ts'
import type { Body } from './body.ts'
import type { HeaderList } from './headers.ts'

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
  /** Aborted when the client goes before the answer is complete. Made when it is first asked for. */
  readonly signal: AbortSignal
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
  #pathStart = -1
  #pathEnd = 0
  #gone = false
  #controller: AbortController | undefined

  constructor(
    method: string,
    target: string,
    version: HttpVersion,
    scheme: 'http' | 'https',
    authority: string | undefined,
    headers: HeaderList,
    body: Body,
    connection: C,
  ) {
    this.method = method
    this.target = target
    this.version = version
    this.scheme = scheme
    this.authority = authority
    this.headers = headers
    this.body = body
    this.connection = connection
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

  /** The client has gone. */
  abort(reason?: unknown): void {
    if (this.#gone) return
    this.#gone = true
    this.#controller?.abort(reason)
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
