// Answers: the type, and short ways to make the common ones.
import type { Stream } from '../net/index.ts'
import { Body, type BodyContent } from './body.ts'
import { type HeaderFields, HeaderList } from './headers.ts'

/** What a service answers. Framing (Content-Length, Transfer-Encoding, Connection) is made when it is sent. */
export interface HttpResponse {
  /** A final status, 200 to 599; or 101 with a `tunnel`, in answer to a request with an `upgrade`. */
  readonly status: number
  readonly headers: HeaderList
  readonly body: Body
  /** What the connection is after a 101. */
  readonly tunnel?: Tunnel | undefined
}

/**
 * Takes over the client's byte stream once a 101 has been written: HTTP is over on it (over HTTP/2: on this one stream).
 * Bytes that the client sent ahead are there to be read. The exchange lasts until the stream is closed.
 */
export type Tunnel = (client: Stream) => void

export interface ResponseOptions {
  /** @default 200 */
  readonly status?: number
  readonly headers?: HeaderFields
}

/**
 * An answer of plain text.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function text(content: string, options?: ResponseOptions): HttpResponse {
  return answer(content, 'text/plain; charset=utf-8', options)
}

/**
 * An answer of JSON.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function json(value: unknown, options?: ResponseOptions): HttpResponse {
  return answer(JSON.stringify(value) ?? 'null', 'application/json', options)
}

/**
 * An answer without a body.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function empty(status: number = 204, headers?: HeaderFields): HttpResponse {
  return { status, headers: new HeaderList(headers), body: Body.empty }
}

/**
 * An answer with any body: text, bytes, or chunks that are still to come.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function respond(body: BodyContent | Body, options?: ResponseOptions): HttpResponse {
  return {
    status: options?.status ?? 200,
    headers: new HeaderList(options?.headers),
    body: body instanceof Body ? body : Body.from(body),
  }
}

function answer(content: string, type: string, options: ResponseOptions | undefined): HttpResponse {
  const headers = new HeaderList(options?.headers)
  if (!headers.has('content-type')) headers.append('content-type', type)
  return { status: options?.status ?? 200, headers, body: Body.from(content) }
}
