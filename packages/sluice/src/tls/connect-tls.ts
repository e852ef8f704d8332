// The connect layer that speaks TLS to upstreams.
import { isIP, type Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { type Duration, logger, SluiceError, timeLimit } from '../core/index.ts'
import type { Connection, ConnectLayer, ConnectRequest, Endpoint } from '../net/index.ts'
import { type Certificate, type CertificateSource, issueFailed } from './certificates/index.ts'
import { contextOptions, invalid, type ProtocolOptions, protocolList } from './protocol-options.ts'
import { readAuthorities, type TrustedAuthorities } from './trusted.ts'
import { upstreamError } from './upstream-error.ts'

const log = logger('tls')

export interface ConnectTlsOptions extends ProtocolOptions {
  /**
   * The name that the upstream's certificate must be for, and that it is asked for (SNI). An IP address is verified, but
   * not sent: SNI knows only names.
   * @default the name or the IP address that is connected to; a unix socket has neither
   */
  readonly serverName?: string
  /**
   * The CAs that may have issued the upstream's certificate: PEM, or paths of PEM files. No others are accepted then.
   * @default the platform's
   */
  readonly ca?: TrustedAuthorities
  /**
   * Our own certificate, for upstreams that ask for one.
   * @default none
   */
  readonly certificate?: CertificateSource
  /**
   * How long the handshake may take, and before it what waits for a certificate of our own.
   * @default '10s'
   */
  readonly handshakeTimeout?: Duration
  /**
   * Takes any certificate: whoever is on the way to the upstream can then read and change everything.
   * @default false
   */
  readonly unsafeSkipVerify?: boolean
}

/**
 * Speaks TLS to the upstream, over whatever the connector below it connected, and verifies who it is. A PROXY header
 * that a layer below has written goes before the handshake, in the clear.
 *
 * The connector throws `TLS_UPSTREAM_UNVERIFIED`, `TLS_UPSTREAM_TIMEOUT` or `TLS_UPSTREAM_FAILED`, `TLS_ISSUE_FAILED` if
 * there is no certificate of our own, `CONNECT_FAILED` if it is told to give up, and what the connector below throws.
 * Each handshake that is done is logged at debug, with the target `tls`.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID`, `TLS_CA_INVALID`, `DURATION_INVALID`, `OPTION_INVALID`
 *
 * @example
 * ```ts
 * forward('backend.example:443', { connect: connectTls({ alpn: ['http/1.1'] }) })
 * ```
 */
export function connectTls(options: ConnectTlsOptions = {}): ConnectLayer {
  const timeout = timeLimit('handshakeTimeout', options.handshakeTimeout ?? '10s')
  if (options.serverName === '')
    throw invalid('serverName is empty; leave it out to verify the name connected to')
  const verify = options.unsafeSkipVerify !== true
  const alpn = protocolList(options.alpn)
  const contexts = secureContexts(options)

  return next =>
    async function connectTls(request) {
      const { to } = request
      const name = options.serverName ?? nameOf(to)
      if (verify && name === undefined) {
        throw new SluiceError(
          'TLS_UPSTREAM_UNVERIFIED',
          `${to} has no name to verify its certificate by; pass serverName`,
        )
      }
      const began = performance.now()
      const context = await contextInTime(contexts, request, timeout)
      const left = timeout - (performance.now() - began)
      const connected = await next(request)
      try {
        const servername = name === undefined || isIP(name) !== 0 ? undefined : name
        const socket = await handshake(
          connected.socket,
          request,
          { timeout, left },
          {
            secureContext: context,
            rejectUnauthorized: verify,
            ...(name !== undefined && { host: name }),
            ...(servername !== undefined && { servername }),
            ...(alpn !== undefined && { ALPNProtocols: alpn }),
          },
        )
        connected.socket = socket
        if (log.isLevelEnabled('debug')) log.debug(describe(request, socket, servername), 'TLS connected')
      } catch (error) {
        connected.reset()
        throw error
      }
      return connected
    }
}

interface HandshakeOptions {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
  readonly host?: string
  readonly servername?: string
  readonly ALPNProtocols?: string[]
}

function handshake(
  raw: Socket,
  { to, signal }: ConnectRequest<unknown>,
  { timeout, left }: { readonly timeout: number; readonly left: number },
  options: HandshakeOptions,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (raw.destroyed) return reject(upstreamError(to, { code: 'ECONNRESET' }))
    // In TLS the client speaks first: what is here already is not the upstream's, or not TLS (CVE-2026-1642). Node would
    // find that out by itself, Bun would pass over it.
    if (raw.readableLength > 0) return reject(upstreamError(to, { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }))
    const socket = connect({ ...options, socket: raw })
    const timer = setTimeout(() => {
      fail(
        new SluiceError(
          'TLS_UPSTREAM_TIMEOUT',
          `the TLS handshake with ${to} was not finished in ${timeout} ms`,
        ),
      )
    }, left)
    function onSecure(): void {
      stop()
      resolve(socket)
    }
    function onError(cause: Error): void {
      fail(upstreamError(to, cause))
    }
    function onClose(): void {
      fail(upstreamError(to, { code: 'ECONNRESET' }))
    }
    function onAbort(): void {
      fail(givenUp(to, signal))
    }
    function fail(error: SluiceError): void {
      stop()
      socket.destroy()
      reject(error)
    }
    function stop(): void {
      clearTimeout(timer)
      socket.off('secureConnect', onSecure)
      socket.off('error', onError)
      socket.off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
    }
    // Stays: whoever uses the socket learns of errors from `close` or from listeners of its own.
    socket.on('error', ignore)
    socket.on('secureConnect', onSecure)
    socket.on('error', onError)
    socket.on('close', onClose)
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort)
  })
}

/** The context is made once, and again when our own certificate was renewed. */
function secureContexts(options: ConnectTlsOptions): () => SecureContext | Promise<SecureContext> {
  const base = {
    ...contextOptions(options),
    ...(options.ca !== undefined && { ca: readAuthorities(options.ca) }),
  }
  const source = options.certificate
  if (source === undefined) {
    const context = createSecureContext(base)
    return () => context
  }
  let certificate: Certificate | undefined
  let context: SecureContext | undefined
  const contextWith = (current: Certificate): SecureContext => {
    if (context === undefined || current !== certificate) {
      context = createSecureContext({ ...base, cert: current.cert, key: current.key })
      certificate = current
    }
    return context
  }
  return () => {
    const current = source.certificate()
    return current instanceof Promise ? current.then(contextWith) : contextWith(current)
  }
}

/** A context with our certificate, which a source may take its time for, or never have. */
async function contextInTime(
  contexts: () => SecureContext | Promise<SecureContext>,
  { to, signal }: ConnectRequest<unknown>,
  timeout: number,
): Promise<SecureContext> {
  let timer: NodeJS.Timeout | undefined
  let onAbort: (() => void) | undefined
  try {
    const context = contexts()
    if (!(context instanceof Promise)) return context
    const stopped = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the source did not answer within ${timeout} ms`)), timeout)
      onAbort = () => reject(givenUp(to, signal))
      if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort)
    })
    return await Promise.race([context, stopped])
  } catch (error) {
    throw issueFailed(`there is no certificate of our own for ${to}`, error)
  } finally {
    clearTimeout(timer)
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
  }
}

function givenUp(to: Endpoint, signal: AbortSignal | undefined): SluiceError {
  return new SluiceError('CONNECT_FAILED', `connecting to ${to} was given up`, { cause: signal?.reason })
}

function describe(
  { to, client }: ConnectRequest<unknown>,
  socket: TLSSocket,
  serverName: string | undefined,
): object {
  return {
    // Whose connection it is made for, if it is made for one.
    connection: (client as Partial<Connection> | undefined)?.id,
    to,
    serverName,
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    version: socket.getProtocol(),
    cipher: socket.getCipher().name,
    resumed: socket.isSessionReused(),
  }
}

function nameOf(to: Endpoint): string | undefined {
  switch (to.family) {
    case 'name':
      return to.name
    case 'unix':
      return undefined
    default:
      return to.host
  }
}

function ignore(): void {}
