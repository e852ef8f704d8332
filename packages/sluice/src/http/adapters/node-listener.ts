// Runs a service inside a server of Node: one of node:http, node:https or node:http2, or an application of Express.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Service } from '../../core/index.ts'
import { type AdoptOptions, adopt, type Connection } from '../../net/index.ts'
import { logFailure } from '../failure.ts'
import { Http1Connection } from '../h1/connection.ts'
import { httpLimits, type ServeHttpOptions } from '../limits.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { ListenerExchange } from './listener-exchange.ts'
import { headBytes, schemeOf } from './listener-head.ts'

/** What a service inside another server is limited by. Time for heads, and between requests, is the server's affair. */
export interface NodeListenerOptions
  extends Omit<ServeHttpOptions, 'headTimeout' | 'keepAliveTimeout' | 'streamLimit'> {
  /**
   * The connection's `draining`: aborted when the server begins to close.
   * @default never aborted
   */
  readonly draining?: AbortSignal
  /**
   * The connection's `aborted`.
   * @default never aborted
   */
  readonly aborted?: AbortSignal
}

/** One connection has one `Connection`, however many requests come on it. */
const adopted = new WeakMap<object, Connection>()

/**
 * A service as the listener of a server's requests, or as a middleware of Express.
 *
 * @example
 * ```ts
 * http.createServer(nodeListener(service)).on('upgrade', nodeUpgradeListener(service)).listen(8080)
 * ```
 * @throws {SluiceError} `SIZE_INVALID`, `DURATION_INVALID`, `OPTION_INVALID` for a limit that is none
 */
export function nodeListener(
  service: Service<HttpRequest, HttpResponse>,
  options: NodeListenerOptions = {},
): (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => void {
  const limits = httpLimits(options)
  return function nodeListener(request, response) {
    let connection: Connection
    try {
      connection = connectionOf(request, options)
    } catch {
      // It is gone, and nobody knows any more who it was.
      response.destroy()
      return
    }
    new ListenerExchange(request, response, connection, limits).begin(service)
  }
}

/**
 * A service as the listener of a server's `upgrade` event: it can answer with 101 and a tunnel, or refuse. The connection
 * is closed after that.
 *
 * @throws {SluiceError} `SIZE_INVALID`, `DURATION_INVALID`, `OPTION_INVALID` for a limit that is none
 */
export function nodeUpgradeListener(
  service: Service<HttpRequest, HttpResponse>,
  options: NodeListenerOptions = {},
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const limits = httpLimits(options)
  return function nodeUpgradeListener(request, stream, ahead) {
    const socket = stream as Socket
    let connection: Connection
    try {
      connection = connectionOf(request, options)
    } catch {
      socket.destroy()
      return
    }
    try {
      // As if nobody had read it: the server of HTTP/1.1 does all the rest.
      socket.unshift(Buffer.concat([headBytes(request), ahead]))
    } catch (error) {
      logFailure(connection, error, 'a request was refused')
      socket.destroy()
      return
    }
    const server = new Http1Connection(
      connection,
      schemeOf(request),
      asked => {
        // What comes after it would be for the server that this request came from.
        server.drain()
        return service(asked)
      },
      limits,
    )
    server.serve()
  }
}

function connectionOf(request: IncomingMessage | Http2ServerRequest, options: AdoptOptions): Connection {
  const { draining, aborted } = options
  const session = 'stream' in request ? request.stream.session : undefined
  const key = session ?? request.socket
  let connection = adopted.get(key)
  if (connection === undefined) {
    // The socket of a session can't be touched.
    const reset = session === undefined ? undefined : () => session.destroy()
    connection = adopt(request.socket as Socket, { draining, aborted, reset })
    adopted.set(key, connection)
  }
  return connection
}
