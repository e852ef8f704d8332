// The layer that terminates TLS (RFC 8446, RFC 5246) on accepted connections.
import type { TLSSocket } from 'node:tls'
import { type Duration, isSluiceError, type Layer, milliseconds, SluiceError } from '../core/index.ts'
import { type Connection, readHead } from '../net/index.ts'
import { Acceptor } from './acceptor.ts'
import type { CertificateSource } from './certificates/index.ts'
import { clientCertificate } from './client-certificate.ts'
import { type ClientHello, clientHelloReader, clientHelloWireLimit } from './client-hello/index.ts'
import { handshakeTimeout } from './handshake-error.ts'
import type { Secure, TlsInfo, TlsVersion, WithClientCertificate, WithClientHello } from './info.ts'
import { contextOptions, invalid, type ProtocolOptions, protocolList } from './protocol-options.ts'
import { readAuthorities, type TrustedAuthorities } from './trusted.ts'

export interface AcceptTlsOptions<Hello extends boolean = boolean, Require extends boolean = boolean>
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
   * How long a client may take for all of the handshake.
   * @default '10s'
   */
  readonly handshakeTimeout?: Duration
  /**
   * Asks clients for a certificate. Without it, they are not asked.
   * @default none
   */
  readonly clientCertificates?: ClientCertificateOptions<Require>
}

export interface ClientCertificateOptions<Require extends boolean = boolean> {
  /** The CAs whose certificates are accepted: PEM, or paths of PEM files. No others are, not even the system's. */
  readonly ca: TrustedAuthorities
  /**
   * Whether a handshake without a certificate fails. With false, a client may send none; one that can't be verified is
   * refused all the same.
   */
  readonly require: Require
}

/** What a layer with these options adds to `TlsInfo`. */
export type TlsInfoWith<Hello extends boolean, Require extends boolean> = TlsInfo &
  (Hello extends true ? WithClientHello : unknown) &
  (Require extends true ? WithClientCertificate : unknown)

/**
 * Terminates TLS. Below it, `connection.tls` says what was agreed on, and `connection.socket` is the decrypted stream.
 *
 * A handshake that fails ends the connection with one of these errors: `TLS_HANDSHAKE_TIMEOUT`, `TLS_HANDSHAKE_CLOSED`,
 * `TLS_PLAIN_HTTP`, `TLS_NOT_TLS`, `TLS_NO_SHARED_VERSION`, `TLS_NO_SHARED_CIPHER`, `TLS_NO_SHARED_GROUP`,
 * `TLS_NO_SHARED_SIGNATURE`, `TLS_NO_SHARED_ALPN`, `TLS_CERTIFICATE_REFUSED`, `TLS_CLIENT_CERTIFICATE_MISSING`,
 * `TLS_CLIENT_CERTIFICATE_INVALID`, `TLS_SERVER_NAME_REFUSED`, `TLS_CLIENT_HELLO_MALFORMED`,
 * `TLS_CLIENT_HELLO_TOO_LARGE`, `TLS_ISSUE_FAILED`, `TLS_HANDSHAKE_FAILED`.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID`, `TLS_CA_INVALID`, `DURATION_INVALID`
 *
 * @example
 * ```ts
 * stack<Connection>()
 *   .layer(acceptTls({ certificate: selfSigned(), clientHello: true }))
 *   .tap(({ tls }) => log.info({ serverName: tls.serverName, ja4: tls.clientHello.ja4 }))
 *   .service(forward('127.0.0.1:8080'))
 * ```
 */
export function acceptTls<Hello extends boolean = false, Require extends boolean = false>(
  options: AcceptTlsOptions<Hello, Require>,
): Layer<Connection, Secure<TlsInfoWith<Hello, Require>>> {
  const { clientCertificates } = options
  const timeout = milliseconds(options.handshakeTimeout ?? '10s')
  if (timeout === 0) throw invalid('handshakeTimeout is 0; give the handshake some time')
  const acceptor = new Acceptor({
    source: options.certificate,
    context: {
      ...contextOptions(options),
      ...(clientCertificates !== undefined && { ca: readAuthorities(clientCertificates.ca) }),
    },
    alpn: protocolList(options.alpn),
    clientCertificates:
      clientCertificates === undefined ? 'none' : clientCertificates.require ? 'required' : 'optional',
    timeout,
  })
  const secure = async (connection: Connection): Promise<void> => {
    const deadline = performance.now() + timeout
    const hello = options.clientHello === true ? await readClientHello(connection, timeout) : undefined
    const socket = await acceptor.accept(connection.socket, deadline - performance.now())
    const certificate = clientCertificates && clientCertificate(socket, clientCertificates.require)
    const secured = connection as Connection & { tls: unknown }
    secured.socket = socket
    secured.tls = describe(socket, hello, certificate)
  }
  return next => async connection => {
    await secure(connection)
    return next(connection as typeof connection & Secure<TlsInfoWith<Hello, Require>>)
  }
}

function describe(
  socket: TLSSocket,
  clientHello: ClientHello | undefined,
  certificate: TlsInfo['clientCertificate'],
): TlsInfo & { clientHello: ClientHello | undefined } {
  const { servername, alpnProtocol } = socket as { servername?: unknown; alpnProtocol?: unknown }
  const { name, standardName } = socket.getCipher()
  return {
    serverName: typeof servername === 'string' && servername !== '' ? servername : undefined,
    alpn: typeof alpnProtocol === 'string' && alpnProtocol !== '' ? alpnProtocol : undefined,
    version: socket.getProtocol() as TlsVersion,
    cipher: name,
    cipherStandardName: standardName,
    resumed: socket.isSessionReused(),
    clientHello,
    clientCertificate: certificate,
  }
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
