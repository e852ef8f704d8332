// TLS: terminating it, speaking it to upstreams, certificates, the ClientHello and its fingerprints.
export type { AcceptTlsOptions, ClientCertificateOptions, TlsInfoWith } from './accept-tls.ts'
export { acceptTls } from './accept-tls.ts'
export type {
  AlternativeNames,
  AuthorityOptions,
  Certificate,
  CertificateAuthority,
  CertificateDescription,
  CertificateSource,
  FileOptions,
  IssueOptions,
  PemOptions,
  SelfSignedOptions,
} from './certificates/index.ts'
export { certificateAuthority, fromFiles, fromPem, issueBy, selfSigned } from './certificates/index.ts'
export type {
  ClientHelloExtension,
  ClientHelloFields,
  ClientHelloSummary,
  Ja3,
  Ja3Input,
  Ja4Input,
  Ja4Options,
} from './client-hello/index.ts'
export {
  CLIENT_HELLO_LIMIT,
  ClientHello,
  clientHelloReader,
  clientHelloWireLimit,
  isGrease,
  ja3,
  ja4,
  parseClientHello,
  versionName,
} from './client-hello/index.ts'
export type { ConnectTlsOptions } from './connect-tls.ts'
export { connectTls } from './connect-tls.ts'
export type {
  ClientCertificate,
  Secure,
  TlsInfo,
  TlsVersion,
  WithClientCertificate,
  WithClientHello,
} from './info.ts'
export type { ProtocolOptions } from './protocol-options.ts'
export type { TrustedAuthorities } from './trusted.ts'
