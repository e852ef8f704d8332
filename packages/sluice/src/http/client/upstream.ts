// What clients of HTTP/1.1 and HTTP/2 have in common: a request to an upstream, and what is heard of it.
import type { SluiceError } from '../../core/index.ts'
import type { Connection, Stream } from '../../net/index.ts'
import type { Body } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpResponse } from '../response.ts'

/** A request to an upstream. What frames it and what is about the connection is made by who sends it. */
export interface UpstreamRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Host and port for Host or `:authority`. */
  readonly authority: string
  /** `/path?query`, or `*`. */
  readonly target: string
  /** End-to-end fields: no Host, no framing, no Expect, nothing hop-by-hop but `te: trailers`. */
  readonly headers: HeaderList
  readonly body: Body
  /** The protocol to change to; such requests have no body. */
  readonly upgrade: string | undefined
  /** The body is sent only when the upstream asks for it with 100, or has not answered for a second. */
  readonly expectsContinue: boolean
  /** The client's connection on whose behalf it is sent; undefined for requests of Sluice's own. */
  readonly client: Connection | undefined
}

export interface UpstreamResponse extends HttpResponse {
  /** After a 101: the upstream's byte stream. Whoever gets it relays or resets it. */
  readonly stream?: Stream | undefined
}

/** Hears how a request goes. After `failed`, or once the body of the response has ended, nothing more is called. */
export interface UpstreamObserver {
  /** A connection is at hand, and the request is being sent on it; called again for each further attempt. */
  sending?(): void
  /** An informational response, 102 to 199. */
  informed(status: number, headers: HeaderList): void
  /** The final response, or 101. Its body is still to come; it must be read or discarded. */
  responded(response: UpstreamResponse): void
  /** There will be no response. What breaks after it is told to the reader of the body. */
  failed(error: SluiceError): void
}

/** A request that is under way. */
export interface UpstreamExchange {
  /** Nobody waits for it any more: nothing is called after this. The upstream is told, at once. */
  cancel(): void
}
