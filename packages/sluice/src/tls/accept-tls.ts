// The layer that terminates TLS (RFC 8446, RFC 5246) on accepted connections.
import type { TLSSocket } from 'node:tls'
import { type Duration, isSluiceError, type Layer, logger, SluiceError, timeLimit } from '../core/index.ts'
import { type Connection, readHead } from '../net/index.ts'
import { Acceptor } from './acceptor.ts'
import type { CertificateSource } from './certificates/index.ts'
import { clientCertificate } from './client-certificate.ts'
import {
  type ClientHello,
  clientHelloReader,
  clientHelloWireLimit,
  isServerName,
} from './client-hello/index.ts'
import { handshakeTimeout } from './handshake-error.ts'
import type { Secure, TlsInfo, TlsVersion, WithClientCertificate, WithClientHello } from './info.ts'
import { contextOptions, type ProtocolOptions, protocolList } from './protocol-options.ts'
import { readAuthorities, type TrustedAuthorities } from './trusted.ts'

const log = logger('tls')

type Clients = ClientCertificateOptions | undefined

export interface AcceptTlsOptions<Hello extends boolean = boolean, Asks extends Clients = Clients>
  extends ProtocolOptions {
  /** `selfSigned()`, `fromFiles()`, `fromPem()`, `issueBy()`, or a source of one's own. */
  readonly certificate: CertificateSource
  /**
   * Reads the ClientHello before the handshake, for `tls.clientHello`: to log it, to fingerprint clients. Without it,
   * it isn't looked at.
   * @default false
   */
  readonly clientHello?: Hello
  /**
   * How long all of the handshake may take, what waits for a certificate included.
   * @default '10s'
   */
  readonly handshakeTimeout?: Duration
  /**
   * Asks clients for a certificate. Without it, they are not asked.
   * @default none
   */
  readonly clientCertificates?: Asks & Known<Asks>
}

/** Has the compiler refuse names that no option has, which it does not do by itself where it infers a type. */
type Known<Asks> = { readonly [Name in Exclude<keyof Asks, keyof ClientCertificateOptions>]: never }

export interface ClientCertificateOptions {
  /** The CAs whose certificates are accepted: PEM, or paths of PEM files. No others are, not even the system's. */
  readonly ca: TrustedAuthorities
  /**
   * Whether a handshake without a certificate fails. With false, a client may send none; one that can't be verified is
   * refused all the same.
   * @default true
   */
  readonly require?: boolean
}

/** What a layer with these options adds to `TlsInfo`. */
export type TlsInfoWith<Hello extends boolean, Asks extends Clients> = TlsInfo &
  (Hello extends true ? WithClientHello : unknown) &
  (Requires<Asks> extends true ? WithClientCertificate : unknown)

/** Whether each client has a certificate: it is asked for, and nothing says that it may be missing. */
type Requires<Asks extends Clients> = undefined extends Asks
  ? false
  : Asks extends { readonly require: infer Require }
    ? false extends Require
      ? false
      : true
    : 'require' extends keyof Asks
      ? false
      : true

/**
 * Terminates TLS. Below it, `connection.tls` says what was agreed on, and `connection.socket` is the decrypted stream.
 *
 * A handshake that fails ends the connection with one of these errors: `TLS_HANDSHAKE_TIMEOUT`, `TLS_HANDSHAKE_CLOSED`,
 * `TLS_PLAIN_HTTP`, `TLS_NOT_TLS`, `TLS_NO_SHARED_VERSION`, `TLS_NO_SHARED_CIPHER`, `TLS_NO_SHARED_GROUP`,
 * `TLS_NO_SHARED_SIGNATURE`, `TLS_NO_SHARED_ALPN`, `TLS_CERTIFICATE_REFUSED`, `TLS_CLIENT_CERTIFICATE_MISSING`,
 * `TLS_CLIENT_CERTIFICATE_INVALID`, `TLS_SERVER_NAME_REFUSED`, `TLS_CLIENT_HELLO_MALFORMED`,
 * `TLS_CLIENT_HELLO_TOO_LARGE`, `TLS_ISSUE_FAILED`, `TLS_HANDSHAKE_FAILED`.
 *
 * Each handshake that is done is logged at debug, with the target `tls`.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID`, `TLS_CA_INVALID`, `DURATION_INVALID`, `OPTION_INVALID`
 *
 * @example
 * ```ts
 * stack<Connection>()
 *   .layer(acceptTls({ certificate: selfSigned(), clientHello: true }))
 *   .tap(({ tls }) => log.info({ serverName: tls.serverName, ja4: tls.clientHello.ja4 }))
 *   .service(forward('127.0.0.1:8080'))
 * ```
 */
export function acceptTls<Hello extends boolean = false, const Asks extends Clients = undefined>(
  options: AcceptTlsOptions<Hello, Asks>,
): Layer<Connection, Secure<TlsInfoWith<Hello, Asks>>> {
  const clients: Clients = options.clientCertificates
  // Whatever is not false is meant to be strict.
  const require = clients?.require !== false
  const timeout = timeLimit('handshakeTimeout', options.handshakeTimeout ?? '10s')
  const acceptor = new Acceptor({
    source: options.certificate,
    context: {
      ...contextOptions(options),
      ...(clients !== undefined && { ca: readAuthorities(clients.ca) }),
    },
    alpn: protocolList(options.alpn),
    clientCertificates: clients === undefined ? 'none' : require ? 'required' : 'optional',
    timeout,
  })
  const peeks = options.clientHello === true
  const secure = (connection: Connection, socket: TLSSocket, hello: ClientHello | undefined): void => {
    const certificate = clients && clientCertificate(socket, require)
    const secured = connection as Connection & { tls: unknown }
    const tls = describe(socket, hello, certificate)
    secured.socket = socket
    secured.tls = tls
    if (log.isLevelEnabled('debug')) {
      const { serverName, alpn, version, cipher, resumed } = tls
      const { id, peer } = connection
      log.debug({ connection: id, peer, serverName, alpn, version, cipher, resumed }, 'TLS accepted')
    }
  }

  return next =>
    async function acceptTls(connection) {
      let hello: ClientHello | undefined
      let left = timeout
      if (peeks) {
        const deadline = performance.now() + timeout
        hello = await readClientHello(connection, timeout)
        left = deadline - performance.now()
      }
      secure(connection, await acceptor.accept(connection.socket, left), hello)
      // Awaited here, because returning a promise costs an async function one more.
      return await next(connection as typeof connection & Secure<TlsInfoWith<Hello, Asks>>)
    }
}

function describe(
  socket: TLSSocket,
  clientHello: ClientHello | undefined,
  certificate: TlsInfo['clientCertificate'],
): TlsInfo & { clientHello: ClientHello | undefined } {
  const { alpnProtocol } = socket as { alpnProtocol?: unknown }
  const { name, standardName } = socket.getCipher()
  return {
    serverName: clientHello === undefined ? serverNameOf(socket) : clientHello.serverNameAsSent,
    alpn: typeof alpnProtocol === 'string' && alpnProtocol !== '' ? alpnProtocol : undefined,
    version: socket.getProtocol() as TlsVersion,
    cipher: name,
    cipherStandardName: standardName,
    resumed: socket.isSessionReused(),
    clientHello,
    clientCertificate: certificate,
  }
}

/** The platform hands on whatever bytes a client put there; they go into log lines, headers and decisions. */
function serverNameOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as { servername?: unknown }
  if (typeof servername !== 'string' || servername === '') return undefined
  if (isServerName(servername)) return servername
  throw new SluiceError(
    'TLS_SERVER_NAME_REFUSED',
    `the client asked for ${JSON.stringify(servername.slice(0, 64))}, which is not a host name`,
  )
}

async function readClientHello(connection: Connection, timeout: number): Promise<ClientHello> {
  try {
    return await readHead(
      connection.socket,
      { timeout, limit: clientHelloWireLimit(), what: 'the ClientHello' },
      clientHelloReader(),
    )
  } catch (error) {
    throw helloError(error, timeout)
  }
}

/** What happened while the ClientHello was awaited happened in the handshake. */
function helloError(error: unknown, timeout: number): unknown {
  if (!isSluiceError(error)) return error
  switch (error.code) {
    case 'PEEK_TIMEOUT':
      return handshakeTimeout(timeout)
    case 'PEEK_LIMIT':
      return new SluiceError('TLS_CLIENT_HELLO_TOO_LARGE', error.message, { cause: error })
    case 'DOWNSTREAM_CLOSED':
    case 'DOWNSTREAM_RESET':
      return new SluiceError('TLS_HANDSHAKE_CLOSED', error.message, { cause: error })
    default:
      return error
  }
}
