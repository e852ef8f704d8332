// Runs an application of Node (request and response objects: Express, Vite's dev server, any function) as a service.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Duration, type Service, SluiceError, timeLimit } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { AppExchange, type NodeRequestListener } from './app-exchange.ts'
import { appRequest, rawFields } from './app-request.ts'
import { UpgradeSocket } from './upgrade-socket.ts'

/** A function as one gives to `server.on('upgrade', …)`: `wss.handleUpgrade` of ws behind one of these, for example. */
export type NodeUpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown

export interface NodeHandlerOptions {
  /**
   * Takes requests that ask to change the protocol (WebSocket). Without it they go to the application like others, which
   * means that they are answered without a change.
   * @default the listeners of the server's `upgrade` event, if a server was given that has some
   */
  readonly upgrade?: NodeUpgradeListener
  /**
   * How long nothing may move in either direction after the protocol was changed.
   * @default '1h'
   */
  readonly idleTimeout?: Duration
}

/**
 * A service from an application of Node: a function of request and response as `http.createServer` takes it, or a server
 * of `node:http` that does not listen, where something wants a server to add its listeners to (WebSocket servers, Vite).
 *
 * The application gets objects of the platform's own classes, over HTTP/1.1 and HTTP/2 alike; `req.socket` is a stand-in
 * that knows the client's address (the one that a trusted PROXY header names, if there is one). What it throws is
 * answered with 500, or cuts the answer that it had begun. Its answers need not end in time: `timeout` sees to that.
 *
 * Over HTTP/2 a WebSocket's request has no key (RFC 8441), and the application gets one that was made for it.
 *
 * @example
 * ```ts
 * const app = express().get('/', (_request, response) => response.send('hello'))
 * await listen(8080, {}, serveHttp(nodeHandler(app)))
 * ```
 *
 * @example With a WebSocket server
 * ```ts
 * const server = http.createServer(app)
 * new WebSocketServer({ server }).on('connection', socket => socket.send('hello'))
 * await listen(8080, {}, serveHttp(nodeHandler(server)))
 * ```
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID`
 */
export function nodeHandler<C extends Connection>(
  app: NodeRequestListener | Server,
  options: NodeHandlerOptions = {},
): Service<HttpRequest<C>, HttpResponse> {
  const server = typeof app === 'function' ? undefined : app
  const idleTimeout = timeLimit('idleTimeout', options.idleTimeout ?? '1h')

  function upgradeListener(): NodeUpgradeListener | undefined {
    if (options.upgrade !== undefined || server === undefined) return options.upgrade
    if (server.listenerCount('upgrade') === 0) return undefined
    return (request, socket, head) => server.emit('upgrade', request, socket, head)
  }

  return function nodeHandler(request) {
    // Clients offer h2c with any request (curl --http2), and go on happily without. RFC 9113 has done away with it.
    if (request.upgrade !== undefined && request.upgrade !== 'h2c') {
      const listener = upgradeListener()
      if (listener !== undefined) return askToUpgrade(request, listener, server, idleTimeout)
    }
    const exchange = new AppExchange(request)
    exchange.server = server
    return exchange.ask(server === undefined ? (app as NodeRequestListener) : listenersOf(server, request))
  }
}

function listenersOf(server: Server, request: HttpRequest): NodeRequestListener {
  const event =
    request.expectsContinue && server.listenerCount('checkContinue') > 0 ? 'checkContinue' : 'request'
  return (message, response) => {
    if (!server.emit(event, message, response)) {
      throw new SluiceError(
        'INTERNAL',
        'nobody listens to the requests of the server; add server.on("request", …)',
      )
    }
  }
}

function askToUpgrade(
  request: HttpRequest,
  listener: NodeUpgradeListener,
  server: Server | undefined,
  idleTimeout: number,
): Promise<HttpResponse> {
  const socket = new UpgradeSocket(request, idleTimeout)
  socket.server = server
  const raw = rawFields(request)
  if (request.version === '2') addHandshake(raw, request.upgrade as string)
  // As in HTTP/1.1 over HTTP/2 too: that is what it has to answer in.
  const message = appRequest(request, socket, '1.1', raw)
  message.complete = true
  message.push(null)
  Object.assign(message, { upgrade: true })
  try {
    const result = listener(message, socket, Buffer.alloc(0)) as Partial<Promise<unknown>> | undefined
    if (typeof result?.then === 'function') result.then(undefined, error => socket.fail(error))
  } catch (error) {
    socket.fail(error)
  }
  return socket.answer
}

/** What HTTP/1.1 has and HTTP/2 has not. */
function addHandshake(raw: string[], upgrade: string): void {
  raw.push('connection', 'Upgrade', 'upgrade', upgrade)
  if (upgrade === 'websocket') raw.push('sec-websocket-key', randomBytes(16).toString('base64'))
}
