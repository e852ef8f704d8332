// Answers: the type, and short ways to make the common ones.
import { Body, type BodyInit } from './body.ts'
import { type HeaderInit, HeaderList } from './headers.ts'

/** What a service answers. Framing (Content-Length, Transfer-Encoding, Connection) is made when it is sent. */
export interface HttpResponse {
  /** A final status, 200 to 599. */
  readonly status: number
  readonly headers: HeaderList
  readonly body: Body
}

export interface ResponseInit {
  /** @default 200 */
  readonly status?: number
  readonly headers?: HeaderInit
}

/**
 * An answer of plain text.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function text(content: string, init?: ResponseInit): HttpResponse {
  return answer(content, 'text/plain; charset=utf-8', init)
}

/**
 * An answer of JSON.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function json(value: unknown, init?: ResponseInit): HttpResponse {
  return answer(JSON.stringify(value) ?? 'null', 'application/json', init)
}

/**
 * An answer without a body.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function empty(status: number = 204, headers?: HeaderInit): HttpResponse {
  return { status, headers: new HeaderList(headers), body: Body.empty }
}

/**
 * An answer with any body: text, bytes, or chunks that are still to come.
 *
 * @throws {SluiceError} `HTTP_HEADER_INVALID`
 */
export function respond(body: BodyInit | Body, init?: ResponseInit): HttpResponse {
  return {
    status: init?.status ?? 200,
    headers: new HeaderList(init?.headers),
    body: body instanceof Body ? body : Body.from(body),
  }
}

function answer(content: string, type: string, init: ResponseInit | undefined): HttpResponse {
  const headers = new HeaderList(init?.headers)
  if (!headers.has('content-type')) headers.append('content-type', type)
  return { status: init?.status ?? 200, headers, body: Body.from(content) }
}
