// Binds a server to an address, with errors that say what to do.
import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, type ListenOptions as PlatformOptions, type Server } from 'node:net'
import { dirname } from 'node:path'
import { type ErrorCode, errorCode, SluiceError } from '../core/index.ts'
import { type Endpoint, IpAddress } from './address.ts'

export interface BindOptions {
  readonly backlog: number
  readonly reusePort: boolean
}

/**
 * Listens, and settles when the address is bound.
 *
 * @throws {SluiceError} `LISTEN_ADDRESS_IN_USE`, `LISTEN_ADDRESS_UNAVAILABLE`, `LISTEN_PERMISSION`, `LISTEN_FAILED`
 */
export async function bind(server: Server, endpoint: Endpoint, options: BindOptions): Promise<void> {
  try {
    await attempt(server, endpoint, options)
  } catch (error) {
    try {
      if (!(await mayTryAgain(endpoint, error))) throw error
      await attempt(server, fallback(endpoint), options)
    } catch (final) {
      throw bindError(endpoint, final)
    }
  }
}

function attempt(server: Server, endpoint: Endpoint, options: BindOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      server.off('error', onError)
      resolve()
    }
    const onError = (error: Error): void => {
      server.off('listening', onListening)
      reject(error)
    }
    server.once('error', onError)
    server.once('listening', onListening)
    server.listen(platformOptions(endpoint, options))
  })
}

function platformOptions(endpoint: Endpoint, { backlog, reusePort }: BindOptions): PlatformOptions {
  if (endpoint.family === 'unix') return { path: endpoint.path, backlog }
  const host = endpoint.family === 'name' ? endpoint.name : endpoint.host
  const zone = endpoint.family === 'ipv6' && endpoint.zone !== undefined ? `%${endpoint.zone}` : ''
  // `exclusive`: never share a socket behind the back of whoever runs this inside `cluster`.
  return { host: host + zone, port: endpoint.port, backlog, exclusive: true, ...(reusePort && { reusePort }) }
}

/** Two failures have a remedy: a machine without IPv6, and a socket file that nobody listens on any more. */
async function mayTryAgain(endpoint: Endpoint, error: unknown): Promise<boolean> {
  const code = errorCode(error)
  if (isDualStack(endpoint)) return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
  if (endpoint.family !== 'unix' || code !== 'EADDRINUSE') return false
  if (!isSocketFile(endpoint.path) || !(await isDead(endpoint.path))) return false
  unlinkSync(endpoint.path)
  return true
}

/** What is no socket is somebody's file, or a link to one, and never removed. */
function isSocketFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false
}

function isDualStack(endpoint: Endpoint): boolean {
  return endpoint.family === 'ipv6' && endpoint.host === '::'
}

function fallback(endpoint: Endpoint): Endpoint {
  return isDualStack(endpoint) && endpoint.family === 'ipv6'
    ? new IpAddress('ipv4', '0.0.0.0', endpoint.port)
    : endpoint
}

/** Whether nobody accepts on a socket file: its program ended without removing it. */
function isDead(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect({ path })
    probe.on('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.on('error', error => resolve(errorCode(error) === 'ECONNREFUSED'))
  })
}

const CODES: Readonly<Record<string, [ErrorCode, string]>> = {
  EADDRINUSE: [
    'LISTEN_ADDRESS_IN_USE',
    'is in use by another program; stop that one, or choose another address',
  ],
  EADDRNOTAVAIL: [
    'LISTEN_ADDRESS_UNAVAILABLE',
    'is not an address of this machine; choose one that is, or :PORT for all',
  ],
  ENOTFOUND: [
    'LISTEN_ADDRESS_UNAVAILABLE',
    'has a name that does not exist; write an address of this machine',
  ],
  EACCES: [
    'LISTEN_PERMISSION',
    'may not be listened on by this user; choose a port above 1023, or grant CAP_NET_BIND_SERVICE',
  ],
  EAI_AGAIN: [
    'LISTEN_ADDRESS_UNAVAILABLE',
    'has a name that could not be resolved just now; write an address of this machine',
  ],
}

/** The same codes mean other things where the address is a path. */
const UNIX_CODES: typeof CODES = {
  EACCES: [
    'LISTEN_PERMISSION',
    'may not be made by this user; choose another folder, or change its permissions',
  ],
  EPERM: [
    'LISTEN_PERMISSION',
    'may not be replaced by this user; choose another folder, or change its permissions',
  ],
  ENOENT: ['LISTEN_FAILED', 'is in a folder that does not exist; make the folder first'],
  ENOTDIR: ['LISTEN_FAILED', 'is below something that is not a folder; choose another path'],
}

function bindError(endpoint: Endpoint, cause: unknown): SluiceError {
  const code = errorCode(cause)
  const [known, text] = (endpoint.family === 'unix' ? unixText(endpoint.path, code) : CODES[code]) ?? [
    'LISTEN_FAILED',
    `can not be listened on (${code})`,
  ]
  return new SluiceError(known, `${endpoint} ${text}`, { cause })
}

function unixText(path: string, code: string): [ErrorCode, string] | undefined {
  if (code === 'EADDRINUSE' && !isSocketFile(path))
    return ['LISTEN_ADDRESS_IN_USE', 'is a file that is not a socket; choose another path']
  // Node reports a folder that does not exist as EACCES, as Windows would.
  return UNIX_CODES[code === 'EACCES' && !existsSync(dirname(path)) ? 'ENOENT' : code] ?? CODES[code]
}
