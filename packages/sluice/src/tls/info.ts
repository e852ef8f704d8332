// What a TLS handshake proved about a connection.
import type { AlternativeNames } from './certificates/index.ts'
import type { ClientHello } from './client-hello/index.ts'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** What was agreed on in the handshake. `acceptTls` sets it as `tls` on the connection. */
export interface TlsInfo {
  /**
   * The server name that the client asked for (SNI), as it sent it; undefined if it named none. The runtimes do not tell
   * it of a TLS 1.2 session that was resumed: it is undefined then too, unless `clientHello: true` has it read. So a
   * decision by name has to refuse what it has no name of.
   */
  readonly serverName: string | undefined
  /** The application protocol that was agreed on; undefined if client and server have none in common, or offer none. */
  readonly alpn: string | undefined
  readonly version: TlsVersion
  /**
   * The cipher suite by OpenSSL's name, as the option `ciphers` takes it and nginx, HAProxy and the PROXY protocol have
   * it: `ECDHE-ECDSA-AES128-GCM-SHA256`. In TLS 1.3 it is the standard name.
   */
  readonly cipher: string
  /** The cipher suite by the standard's name: `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`. */
  readonly cipherStandardName: string
  /** Whether the client resumed an earlier session, instead of a whole new handshake. */
  readonly resumed: boolean
  /** The client's certificate, if it was asked for, sent, and verified. `WithClientCertificate` says that it was. */
  readonly clientCertificate?: ClientCertificate | undefined
}

/** The ClientHello is there when `acceptTls` was told `clientHello: true`. */
export interface WithClientHello {
  readonly clientHello: ClientHello
}

/** The client's certificate is there when `acceptTls` was told to require one. */
export interface WithClientCertificate {
  readonly clientCertificate: ClientCertificate
}

/** What `acceptTls` adds to a connection. */
export interface Secure<Info extends TlsInfo = TlsInfo> {
  readonly tls: Info
}

/** A client's certificate that was verified: one of our CAs issued it, the client has its key, and it is valid now. */
export interface ClientCertificate {
  /** Always true: what could not be verified does not get this far. */
  readonly verified: true
  /** The common name of its subject, if there is exactly one. */
  readonly commonName: string | undefined
  /** The whole subject, a line for each part: `O=Example\nCN=client`. */
  readonly subject: string
  /** The names in its subjectAltName. */
  readonly names: AlternativeNames
  /** SHA-256 of the certificate, in lower-case hexadecimal digits. */
  readonly fingerprint: string
  /** The certificate in DER. */
  readonly raw: Buffer
}
