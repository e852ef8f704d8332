// The layer that gives each request an id, for the logs of everybody who has to do with it.
import { randomFillSync } from 'node:crypto'
import type { Layer } from '../../core/index.ts'
import { networks } from '../../net/index.ts'
import { HeaderList } from '../headers.ts'
import { isPromise } from '../outgoing.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { senderOf } from './sender.ts'

export interface RequestIdOptions {
  /**
   * The field that has the id, of the request as services and upstreams see it, and of the answer.
   * @default 'x-request-id'
   */
  readonly header?: string
  /**
   * Whose own ids are kept, as `trustForwarded` has it: CIDRs, addresses, `loopback`, `private` or `unix`.
   * @default nobody's: an id of a stranger's choice may be that of somebody else's request
   */
  readonly trust?: readonly string[]
  /**
   * Whether the answer has the field, too.
   * @default true
   */
  readonly respond?: boolean
}

/** A request with an id. */
export interface WithRequestId {
  /** 1 to 128 letters, digits and `.`, `_`, `~`, `-`. */
  readonly requestId: string
}

const ACCEPTABLE = /^[A-Za-z0-9._~-]{1,128}$/

/**
 * Sets `requestId`: the client's own, if whoever sent the request is trusted and the id is 1 to 128 letters, digits and
 * `.`, `_`, `~`, `-`; else a new one of 96 random bits (16 characters). The field is set in the request, in place of what
 * was there, and in the answer, and answers to failed requests show the id.
 *
 * @example
 * ```ts
 * stack<HttpRequest, HttpResponse>()
 *   .layer(requestId({ trust: ['10.0.0.0/8'] }))
 *   .service(({ requestId }) => text(`this is request ${requestId}\n`))
 * ```
 * @throws {SluiceError} `HTTP_HEADER_INVALID` if `header` is no field name, `CIDR_INVALID`
 */
export function requestId(options: RequestIdOptions = {}): Layer<HttpRequest, WithRequestId, HttpResponse> {
  const header = (options.header ?? 'x-request-id').toLowerCase()
  new HeaderList().append(header, '')
  const trust = networks(options.trust ?? [])
  const respond = options.respond ?? true
  // What the types hide of a request until a layer has set it.
  type Target = HttpRequest & { requestId?: unknown; requestIdField?: unknown }

  return <In extends HttpRequest, O extends HttpResponse>(
    next: (input: In & WithRequestId) => O | Promise<O>,
  ) =>
    function requestId(input: In) {
      const request: Target = input
      const { headers } = request
      const own = headers.get(header)
      const id =
        own !== undefined && ACCEPTABLE.test(own) && trust.has(senderOf(request.connection)) ? own : newId()
      if (own === undefined) headers.appendProved(header, id)
      else if (own !== id) headers.set(header, id)
      request.requestId = id
      if (!respond) return next(input as In & WithRequestId)
      request.requestIdField = header
      const answer = next(input as In & WithRequestId)
      return isPromise(answer)
        ? answer.then(late => identified(late, header, id))
        : identified(answer, header, id)
    }
}

/** The same answer with the field. It is copied: a service may give the same object to several requests. */
function identified<O extends HttpResponse>(response: O, header: string, id: string): O {
  // What is no answer is refused when it is to be sent.
  if (!(response?.headers instanceof HeaderList)) return response
  const headers = new HeaderList(response.headers)
  if (headers.has(header)) headers.set(header, id)
  else headers.appendProved(header, id)
  return { ...response, headers }
}

const ID_BYTES = 12
const ID_LENGTH = 16
const pool = Buffer.alloc(ID_BYTES * 512)
let ids = ''
let nextAt = 0

/** A slice of random text that is made for 512 requests at once: 20 ns each, where crypto.randomUUID takes 200 to 390. */
function newId(): string {
  if (nextAt === ids.length) {
    ids = randomFillSync(pool).toString('base64url')
    nextAt = 0
  }
  nextAt += ID_LENGTH
  return ids.slice(nextAt - ID_LENGTH, nextAt)
}
