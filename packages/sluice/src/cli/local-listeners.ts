// Listens where `sluice proxy --from` says. Browsers try ::1 first for localhost, other clients 127.0.0.1: it is both.
import { type ErrorCode, errorCode, isSluiceError, logger, type Service, SluiceError } from '../core/index.ts'
import {
  type Connection,
  type Endpoint,
  IpAddress,
  type ListenOptions,
  listen,
  NamedAddress,
} from '../net/index.ts'

/** What a machine without IPv6 says of ::1. */
const NO_IPV6: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'])

/** Whether a name means this machine alone, whatever resolvers say (RFC 6761, section 6.3). */
export function isLocalhost(endpoint: Endpoint): boolean {
  return endpoint.family === 'name' && /(?:^|\.)localhost\.?$/.test(endpoint.name)
}

/**
 * Listens, and gives the address that clients go to, with the port that the system chose for port 0.
 *
 * @throws {SluiceError} as `listen`
 */
export async function listenAt(
  endpoint: Endpoint,
  options: ListenOptions,
  service: Service<Connection>,
): Promise<Endpoint> {
  if (endpoint.family !== 'name') return (await listen(endpoint, options, service)).address
  const { name, port } = endpoint
  if (!isLocalhost(endpoint)) {
    const { address } = await listen(endpoint, options, service)
    return new NamedAddress(name, portOf(address))
  }
  const { address } = await listen(new IpAddress('ipv4', '127.0.0.1', port), options, service)
  const chosen = portOf(address)
  try {
    await listen(new IpAddress('ipv6', '::1', chosen), options, service)
  } catch (error) {
    // Nobody can be sent to an address that there is not; one that another program has would get what is meant for us.
    if (!NO_IPV6.has(errorCode(isSluiceError(error) ? error.cause : error))) throw error
    logger('sluice').debug({ code: errorCode(error) }, 'this machine has no ::1')
  }
  return new NamedAddress(name, chosen)
}

function portOf(address: Endpoint): number {
  return address.family === 'unix' ? 0 : address.port
}

/** What can be said of a failure to listen by who knows the name of the option. */
export function withOption(error: unknown, option: string, endpoint: Endpoint): unknown {
  const inUse: ErrorCode = 'LISTEN_ADDRESS_IN_USE'
  if (!isSluiceError(error) || error.code !== inUse || endpoint.family === 'unix') return error
  const { port } = endpoint
  const other = port < 65_535 ? port + 1 : port - 1
  return new SluiceError(inUse, `${error.message}, such as ${option} ${other}`, { cause: error })
}
