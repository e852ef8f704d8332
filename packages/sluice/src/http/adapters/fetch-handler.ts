// Runs a web-standard handler (Request in, Response out: Hono, h3 and others) as a service.
import { type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body } from '../body.ts'
import { HeaderList } from '../headers.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'

/** A handler of the web's Fetch API. What else it may want to know is in the second argument. */
export type FetchHandler<C extends Connection = Connection> = (
  request: Request,
  context: { readonly connection: C; readonly request: HttpRequest<C> },
) => Response | Promise<Response>

/**
 * A service from a web-standard handler. Bodies are streamed both ways, and `request.signal` is aborted when the client
 * goes; who hands the request itself to `fetch` or `new Request` passes the signal beside it. A request without a host
 * (HTTP/1.0) gets `localhost`. A `Request` has a URL, in which `/a/../b` is `/b`; the path as it was sent is in the
 * second argument. A method or a host that the Fetch API does not take is answered with `HTTP_METHOD_UNSUPPORTED` or
 * `HTTP_HOST_INVALID`.
 *
 * What the Fetch API has no place for is not there: trailers, informational responses, and tunnels. A `Response` can't
 * have status 101, so that WebSockets need another service beside this one (`nodeHandler` with ws, for example).
 *
 * @example
 * ```ts
 * const app = new Hono().get('/', c => c.text('hello'))
 * await listen(8080, {}, serveHttp(fetchHandler(app.fetch)))
 * ```
 */
export function fetchHandler<C extends Connection>(
  handler: FetchHandler<C>,
): Service<HttpRequest<C>, HttpResponse> {
  return async function fetchHandler(request) {
    const response = await handler(webRequest(request), { connection: request.connection, request })
    return fromWebResponse(response)
  }
}

/** Methods to which the Fetch API gives no body, methods that it refuses, and methods that it surely takes as they are. */
const BODILESS = new Set(['GET', 'HEAD'])
const REFUSED = new Set(['TRACE', 'TRACK', 'CONNECT'])
const USUAL = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])

/** It makes GET of `get`. Bun 1.4 makes GET of every method that it does not know, and takes TRACE. */
function isExpressible(method: string): boolean {
  return !REFUSED.has(method.toUpperCase()) && new Request('http://localhost/', { method }).method === method
}

function webRequest(request: HttpRequest): Request {
  const { method, headers, body } = request
  if (!USUAL.has(method) && !isExpressible(method)) {
    throw new SluiceError('HTTP_METHOD_UNSUPPORTED', `${method} can't be expressed with the Fetch API`)
  }
  const fields = new Headers()
  for (let at = 0, size = headers.size; at < size; at++)
    fields.append(headers.nameAt(at), headers.valueAt(at))
  const withBody = body.length !== 0 && !BODILESS.has(method)
  const url = urlOf(request)
  const init: RequestInit = { method, headers: fields }
  if (withBody) Object.assign(init, { body: body.stream(), duplex: 'half' })
  try {
    return new ReceivedWebRequest(url, init, request)
  } catch (cause) {
    // The path was checked when the request was read; a host is more to a URL than to HTTP.
    if (URL.canParse(url)) throw cause
    throw new SluiceError('HTTP_HOST_INVALID', 'the request has a host that the Fetch API does not take', {
      cause,
    })
  }
}

/**
 * A request whose signal is made when it is asked for: few handlers do, and a signal that is given to `Request` has
 * another one made that follows it, which costs more than all the rest of the request.
 */
class ReceivedWebRequest extends Request {
  readonly #request: HttpRequest

  constructor(input: string | Request, init: RequestInit | undefined, request: HttpRequest) {
    super(input, init)
    this.#request = request
  }

  // The types have it as a property, which an accessor can't override in their eyes.
  static {
    Object.defineProperty(ReceivedWebRequest.prototype, 'signal', {
      get(this: ReceivedWebRequest) {
        return this.#request.signal
      },
    })
  }

  override clone(): Request {
    return new ReceivedWebRequest(super.clone(), undefined, this.#request)
  }
}

function urlOf({ scheme, authority, target, path, query }: HttpRequest): string {
  if (target === '*') return `${scheme}://${authority ?? 'localhost'}/`
  return `${scheme}://${authority ?? 'localhost'}${path}${query}`
}

/** Fields that are about the connection: adapters of other servers let handlers set them, ours makes them. */
const CONNECTION_FIELDS = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade']

function fromWebResponse(response: Response): HttpResponse {
  // Not `instanceof`: frameworks bring classes of their own.
  if (typeof response?.status !== 'number' || typeof response.headers?.[Symbol.iterator] !== 'function') {
    throw new SluiceError('HTTP_RESPONSE_INVALID', 'the handler returned something other than a Response')
  }
  const headers = new HeaderList()
  for (const [name, value] of response.headers) headers.append(name, value)
  // Its body is always a stream: that a handler made it of a text which is all there, the Fetch API tells nobody.
  for (const name of CONNECTION_FIELDS) headers.delete(name)
  return { status: response.status, headers, body: Body.from(response.body) }
}
