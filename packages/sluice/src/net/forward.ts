// The service that ends a TCP stack: connects to a backend and relays.
import { type Duration, logger, type Service, SluiceError, timeLimit } from '../core/index.ts'
import type { Endpoint } from './address.ts'
import { type Connected, type ConnectLayer, type Connector, connectTcp } from './connect.ts'
import type { Connection } from './connection.ts'
import { parseEndpoint } from './parse-address.ts'
import { type RelayOptions, relay, relayLimits } from './relay.ts'

export interface ForwardOptions<in Needs = unknown> extends RelayOptions {
  /**
   * A layer over the connector, such as `sendProxyHeader()` or `connectTls()`, or several in the order in which they write
   * to the new connection: `[sendProxyHeader(), connectTls()]` sends the PROXY header in the clear, and then comes TLS.
   * @default none: TCP or a unix socket as it is
   */
  readonly connect?: ConnectLayer<Needs> | readonly ConnectLayer<Needs>[]
  /**
   * How long connecting may take.
   * @default '5s'
   */
  readonly connectTimeout?: Duration
}

const log = logger('forward')

/**
 * Connects to a backend for each connection and relays both ways until both are done. Each relay is logged with its
 * outcome, at info.
 *
 * The service throws what the connector throws (`CONNECT_REFUSED`, …), and `DOWNSTREAM_RESET` if the client went away
 * before the backend was connected.
 *
 * @param to an address such as `127.0.0.1:8080`, `unix:/run/app.sock`, `backend:80`, or a port of this machine
 * @example
 * ```ts
 * forward('backend.example:443', { connect: [sendProxyHeader(), connectTls()] })
 * ```
 * @throws {SluiceError} `ADDRESS_INVALID`, `DURATION_INVALID`, `OPTION_INVALID`
 */
export function forward<C extends Connection = Connection>(
  to: Endpoint | string | number,
  options: ForwardOptions<C> = {},
): Service<C> {
  const endpoint = typeof to === 'object' ? to : parseEndpoint(to, 'connect')
  const timeout = timeLimit('connectTimeout', options.connectTimeout ?? '5s')
  let connect: Connector<C> = connectTcp({ timeout })
  for (const layer of [options.connect ?? []].flat()) connect = layer(connect)
  const limits = relayLimits(options)

  return async function forward(client) {
    const upstream = await connectWhileOpen(connect, endpoint, client)
    const outcome = await relay(client, upstream, limits)
    if (log.isLevelEnabled('info')) {
      log.info({ connection: client.id, peer: client.peer, to: endpoint, ...outcome }, 'relayed')
    }
  }
}

/**
 * Connects for as long as the client is there: when it goes away, connecting is given up. An end is not going away; a
 * client may have sent all that it has to say and wait for the answer.
 */
async function connectWhileOpen<C extends Connection>(
  connect: Connector<C>,
  to: Endpoint,
  client: C,
): Promise<Connected> {
  const { socket } = client
  const gone = new AbortController()
  const onClose = (): void => gone.abort()
  if (socket.destroyed) onClose()
  socket.on('close', onClose)
  // A socket that nobody reads from does not notice a reset. This reads ahead, by one buffer at most.
  socket.read(0)
  try {
    return await connect({ to, client, signal: gone.signal })
  } catch (cause) {
    if (!gone.signal.aborted) throw cause
    throw new SluiceError(
      'DOWNSTREAM_RESET',
      `the client went away before a connection to ${to} had been made`,
      socket.errored ? { cause: socket.errored } : {},
    )
  } finally {
    socket.off('close', onClose)
  }
}
