// The connect layer that writes a PROXY header as the first bytes to a backend.
import { SluiceError } from '../core/index.ts'
import { type Connected, type Connection, type ConnectLayer, ipAddress } from '../net/index.ts'
import { proxyVersion, serializeProxyHeader } from './codec.ts'
import type { ProxyAddresses } from './header.ts'
import { samePlane } from './plane.ts'
import type { ProxiedInfo } from './proxied.ts'
import { serializeSsl } from './ssl.ts'
import type { Tlv } from './tlv.ts'
import { LONGEST_UNIQUE_ID, tlvKinds } from './tlvs.ts'

/** What is read from `tls` of a connection whose TLS was terminated here. */
export interface TerminatedTls {
  /** The SNI. */
  readonly serverName?: string | undefined
  /** The application protocol that was agreed on. */
  readonly alpn?: string | undefined
  /** `TLSv1.3` */
  readonly version: string
  /** The name that OpenSSL gives the cipher. */
  readonly cipher: string
  /** Whether this connection resumed an earlier session. */
  readonly resumed?: boolean | undefined
  /** The client's certificate, if it gave one. */
  readonly clientCertificate?:
    | { readonly commonName?: string | undefined; readonly verified: boolean }
    | undefined
}

/** A client's connection, with what layers may have added. */
export interface ProxyHeaderClient extends Connection {
  readonly proxied?: ProxiedInfo | undefined
  readonly tls?: TerminatedTls | undefined
}

export interface SendProxyHeaderOptions<in Client = ProxyHeaderClient> {
  /**
   * Version 1 is a line of text with addresses and nothing else; the options below are of version 2.
   * @default 2
   */
  readonly version?: 1 | 2
  /**
   * More TLVs, the same for every connection or made for each. One of a kind that Sluice adds by itself (ALPN, AUTHORITY,
   * SSL, UNIQUE_ID) stands instead of Sluice's own. To pass on what a trusted header brought:
   * `tlvs: ({ proxied }) => proxied?.tlvs`.
   */
  readonly tlvs?: Iterable<Tlv> | ((client: Client) => Iterable<Tlv> | undefined)
  /** An id for the connection, at most 128 bytes: `({ id }) => Buffer.from(id)`. */
  readonly uniqueId?: (client: Client) => Uint8Array
  /**
   * Adds a checksum.
   * @default false
   */
  readonly crc32c?: boolean
}

/**
 * Writes a PROXY header to the backend before anything else. Its source is the client (the one that a trusted header
 * claimed, where `acceptProxyHeader` is in the stack), its destination the address *that the client dialled*. Where their
 * families differ, IPv4 is written as IPv4-mapped IPv6. A client on a unix socket is AF_UNIX in version 2, which nginx takes
 * and HAProxy 2.6 refuses, and UNKNOWN in version 1, which both take. Version 2 also has, where TLS was terminated here, ALPN, AUTHORITY
 * (from SNI) and SSL (version, cipher, common name of the client's certificate and whether it was verified).
 *
 * A connection without a client, a health check say, is announced as LOCAL, and in version 1 with its own addresses.
 *
 * The backend must expect the header. Below `connectTls` it is sent in the clear before the handshake, as backends want it.
 *
 * The connector throws what the one below it throws, and `PROXY_HEADER_UNSENDABLE`.
 *
 * @example
 * ```ts
 * forward('127.0.0.1:8080', { connect: sendProxyHeader({ version: 1 }) })
 * ```
 * @throws {SluiceError} `OPTION_INVALID`
 */
export function sendProxyHeader<Client extends ProxyHeaderClient = ProxyHeaderClient>(
  options: SendProxyHeaderOptions<Client> = {},
): ConnectLayer<Client> {
  const { crc32c = false } = options
  const version = proxyVersion(options.version)
  const given = options.tlvs ?? []
  // A list may be an iterator that gives its fields only once.
  const tlvs = typeof given === 'function' ? given : constant([...given])

  const headerFor = (client: Client): Buffer => {
    const { proxied, peer, local } = client
    const claim = proxied?.claimed === true ? proxied : undefined
    const addresses = { source: claim?.source ?? peer, destination: claim?.destination ?? local }
    // Receivers must accept LOCAL, but may refuse a PROXY that names nobody, as HAProxy 2.6 does.
    const writable = samePlane(addresses) !== undefined
    return serializeProxyHeader({
      version,
      command: writable ? 'proxy' : 'local',
      transport: writable ? (claim?.transport ?? 'stream') : 'unspec',
      addresses: writable ? addresses : undefined,
      tlvs: version === 1 ? [] : fieldsOf(client, tlvs(client) ?? [], options.uniqueId),
      crc32c,
    })
  }

  const layer: ConnectLayer<Client> = next =>
    async function sendProxyHeader(request) {
      // Before connecting: what can't be announced need not be connected.
      const header = request.client === undefined ? undefined : headerFor(request.client)
      const connected = await next(request)
      connected.socket.write(header ?? headerOfOurOwn(version, crc32c, connected))
      return connected
    }
  // The backend takes whatever comes on the connection for this client's.
  return Object.assign(layer, { perClient: true })
}

function constant(tlvs: readonly Tlv[]): () => readonly Tlv[] {
  return () => tlvs
}

/** Section 2.1: some receivers refuse UNKNOWN, so that a v1 health check gives the addresses of its own socket. */
function headerOfOurOwn(version: 1 | 2, crc32c: boolean, { socket }: Connected): Buffer {
  if (version === 2) return serializeProxyHeader({ command: 'local', crc32c })
  return serializeProxyHeader({ version, command: 'proxy', ...ownAddresses(socket) })
}

function ownAddresses(socket: Connected['socket']): { addresses?: ProxyAddresses } {
  const { localAddress, localPort = 0, remoteAddress, remotePort = 0 } = socket
  if (localAddress === undefined || remoteAddress === undefined) return {}
  return {
    addresses: {
      source: ipAddress(localAddress, localPort),
      destination: ipAddress(remoteAddress, remotePort),
    },
  }
}

/**
 * X.520 allows a common name 64 characters, each at most 4 bytes. A longer one is left out: cut short it might name
 * someone else, and whole it might make a header that no backend takes.
 */
const LONGEST_COMMON_NAME = 256

function fieldsOf<Client extends ProxyHeaderClient>(
  client: Client,
  given: Iterable<Tlv>,
  uniqueId: ((client: Client) => Uint8Array) | undefined,
): readonly Tlv[] {
  const list = [...given]
  const add = (kind: number, value: Uint8Array): void => {
    if (!list.some(tlv => tlv.kind === kind)) list.push({ kind, value })
  }
  const { tls } = client
  if (tls?.alpn !== undefined) add(tlvKinds.alpn, Buffer.from(tls.alpn, 'latin1'))
  if (tls?.serverName !== undefined) add(tlvKinds.authority, Buffer.from(tls.serverName))
  if (uniqueId !== undefined) add(tlvKinds.uniqueId, checkedId(uniqueId(client)))
  if (tls !== undefined) add(tlvKinds.ssl, sslOf(tls))
  return list
}

function checkedId(id: Uint8Array): Uint8Array {
  if (id.length <= LONGEST_UNIQUE_ID) return id
  throw new SluiceError(
    'PROXY_HEADER_UNSENDABLE',
    `uniqueId gave ${id.length} bytes; the most that a PROXY header takes are ${LONGEST_UNIQUE_ID}`,
  )
}

function sslOf({ version, cipher, resumed, clientCertificate }: TerminatedTls): Buffer {
  const commonName = clientCertificate?.commonName
  const fits = commonName !== undefined && Buffer.byteLength(commonName) <= LONGEST_COMMON_NAME
  return serializeSsl({
    tls: true,
    certificateOnConnection: clientCertificate !== undefined && resumed !== true,
    certificateInSession: clientCertificate !== undefined,
    verified: clientCertificate?.verified === true,
    version,
    cipher,
    ...(fits ? { commonName } : {}),
  })
}
