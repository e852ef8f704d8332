// HTTP/1.1 and HTTP/2 on one service: chosen by ALPN, or without TLS by how the connection begins.
import { isSluiceError, type Service } from '../core/index.ts'
import { type Connection, type Head, readHead } from '../net/index.ts'
import { ActiveConnections, DRAIN_GRACE } from './active.ts'
import { Http1Connection } from './h1/connection.ts'
import { Http2Session } from './h2/session.ts'
import { PREFACE } from './h2/wire/preface.ts'
import { type HttpLimits, httpLimits, type ServeHttpOptions } from './limits.ts'
import type { HttpRequest } from './request.ts'
import type { HttpResponse } from './response.ts'
import { sweep } from './sweep.ts'

/** What is read of a connection's TLS, if a layer above has terminated it. */
interface MaybeSecure {
  readonly tls?: { readonly alpn: string | undefined } | undefined
}

/**
 * Serves HTTP/1.1 and HTTP/2 on connections. Below TLS, ALPN says which; without TLS, HTTP/2 begins with its preface
 * (prior knowledge). What the service throws is answered with the error's status, or 500, and logged. The promise
 * lasts as long as the connection.
 *
 * @example
 * ```ts
 * await listen('127.0.0.1:8080', {}, serveHttp(({ connection }) => text(`hello ${connection.peer}`)))
 * ```
 * @throws {SluiceError} `SIZE_INVALID`, `DURATION_INVALID`, `OPTION_INVALID` for a limit that is none
 */
export function serveHttp<C extends Connection>(
  service: Service<HttpRequest<C>, HttpResponse>,
  options: ServeHttpOptions = {},
): Service<C> {
  const limits = httpLimits(options)
  const active = new ActiveConnections()
  return async function serveHttp(connection) {
    const { tls } = connection as MaybeSecure
    const version =
      tls === undefined ? await versionOf(connection, limits, active) : tls.alpn === 'h2' ? 2 : 1
    if (version === undefined) return
    const scheme = tls === undefined ? 'http' : 'https'
    const server =
      version === 2
        ? new Http2Session(connection, scheme, service, limits)
        : new Http1Connection(connection, scheme, service, limits)
    const leave = active.add(server, connection.draining)
    await server.serve()
    leave()
  }
}

/** Looks at the first bytes; undefined if there were none, which is no failure: clients connect ahead of need. */
async function versionOf(
  { draining, socket }: Connection,
  limits: HttpLimits,
  active: ActiveConnections,
): Promise<1 | 2 | undefined> {
  let begun = false
  const silent = {
    deadline: Number.POSITIVE_INFINITY,
    expire: () => void socket.destroy(),
    drain: () => {
      silent.deadline = sweep.now + DRAIN_GRACE
      sweep.add(silent)
    },
  }
  const leave = active.add(silent, draining)
  try {
    const what = 'an HTTP request'
    return await readHead(socket, { timeout: limits.headTimeout, limit: PREFACE.length, what }, bytes => {
      begun = true
      return versionIn(bytes)
    })
  } catch (error) {
    if (draining.aborted || (!begun && isSluiceError(error) && error.side === 'downstream')) return undefined
    throw error
  } finally {
    leave()
    sweep.delete(silent)
  }
}

/** The version, as soon as a byte differs from HTTP/2's preface or all of it is there. No HTTP/1 request begins so: PRI is reserved. */
function versionIn(bytes: Buffer): Head<1 | 2> | undefined {
  const length = Math.min(bytes.length, PREFACE.length)
  if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) return { value: 1, consumed: 0 }
  return length === PREFACE.length ? { value: 2, consumed: 0 } : undefined
}
