// The ClientHello: parser and fingerprints.

export type { ClientHelloExtension, ClientHelloFields, ClientHelloSummary } from './client-hello.ts'
export { ClientHello } from './client-hello.ts'
export type { Ja3, Ja3Input } from './ja3.ts'
export { ja3 } from './ja3.ts'
export type { Ja4Input, Ja4Options } from './ja4.ts'
export { ja4 } from './ja4.ts'
export {
  CLIENT_HELLO_LIMIT,
  clientHelloReader,
  clientHelloWireLimit,
  parseClientHello,
} from './parse.ts'
export { isGrease, versionName } from './registry.ts'
export { isServerName } from './server-name.ts'
