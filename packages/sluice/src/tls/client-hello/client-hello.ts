// What a client offered in its ClientHello (RFC 8446, section 4.1.2), as it was sent, in the order in which it was sent.
import { getFips } from 'node:crypto'
import { printable } from './errors.ts'
import { ja3 } from './ja3.ts'
import { ja4 } from './ja4.ts'
import { extensionTypes, isReal, versionName } from './registry.ts'

/** An extension as it was sent. */
export interface ClientHelloExtension {
  /** The number of the IANA registry, or a GREASE value. */
  readonly type: number
  readonly data: Buffer
}

/** The parts of a ClientHello. Lists are empty where the client sent no such extension. */
export interface ClientHelloFields {
  /** The version field of the message, 0x0303 in TLS 1.3 too; `versions` says what is really offered. */
  readonly legacyVersion: number
  /** 32 bytes. */
  readonly random: Buffer
  /** 0 to 32 bytes. */
  readonly sessionId: Buffer
  /** With GREASE and signalling values, in the client's order of preference. */
  readonly cipherSuites: readonly number[]
  readonly compressionMethods: readonly number[]
  /** Undefined when the message ends before the block of extensions, as SSL 3.0 and early TLS clients' do. */
  readonly extensions: readonly ClientHelloExtension[] | undefined
  /** The host name in server_name as it was sent: letters, digits, `.`, `-`, `_` and `:` alone. */
  readonly serverNameAsSent: string | undefined
  /** The versions of supported_versions, with GREASE; where the client sent none, `legacyVersion` alone. */
  readonly versions: readonly number[]
  /** Application protocols (RFC 7301). One character a byte: names need not be text. */
  readonly alpn: readonly string[]
  /** supported_groups, with GREASE; JA3 calls them curves. */
  readonly groups: readonly number[]
  /** ec_point_formats (RFC 8422). */
  readonly pointFormats: readonly number[]
  /** signature_algorithms; not those of delegated credentials or of certificates. */
  readonly signatureAlgorithms: readonly number[]
  /** The groups of the shares in key_share. */
  readonly keyShares: readonly number[]
  readonly pskModes: readonly number[]
}

/** The part of a ClientHello that a log line shows. */
export interface ClientHelloSummary {
  readonly serverName?: string
  readonly alpn: readonly string[]
  readonly versions: readonly string[]
  readonly encryptedClientHello?: true
  readonly ja3?: string
  readonly ja4: string
}

/** A log line shows no more entries of a list than this; real clients send two or three. */
const MOST_LOGGED = 8

/**
 * A ClientHello. `JSON.stringify`, and with it the logger, shows a short form: the server name, ALPN, versions, and
 * the JA3 and JA4 fingerprints.
 */
export class ClientHello implements ClientHelloFields {
  readonly legacyVersion: number
  readonly random: Buffer
  readonly sessionId: Buffer
  readonly cipherSuites: readonly number[]
  readonly compressionMethods: readonly number[]
  readonly extensions: readonly ClientHelloExtension[] | undefined
  /** `serverNameAsSent` in lower case: names don't differ by case (RFC 6066, section 3). */
  readonly serverName: string | undefined
  readonly serverNameAsSent: string | undefined
  readonly versions: readonly number[]
  readonly alpn: readonly string[]
  readonly groups: readonly number[]
  readonly pointFormats: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  readonly keyShares: readonly number[]
  readonly pskModes: readonly number[]
  #ja3: string | undefined
  #ja4: string | undefined

  constructor(fields: ClientHelloFields) {
    this.legacyVersion = fields.legacyVersion
    this.random = fields.random
    this.sessionId = fields.sessionId
    this.cipherSuites = fields.cipherSuites
    this.compressionMethods = fields.compressionMethods
    this.extensions = fields.extensions
    this.serverName = fields.serverNameAsSent?.toLowerCase()
    this.serverNameAsSent = fields.serverNameAsSent
    this.versions = fields.versions
    this.alpn = fields.alpn
    this.groups = fields.groups
    this.pointFormats = fields.pointFormats
    this.signatureAlgorithms = fields.signatureAlgorithms
    this.keyShares = fields.keyShares
    this.pskModes = fields.pskModes
  }

  /** The data of an extension, if it was sent. */
  extension(type: number): Buffer | undefined {
    return this.extensions?.find(extension => extension.type === type)?.data
  }

  /**
   * Whether the client sent encrypted_client_hello. Browsers send a dummy of it to every server, which can't be told
   * from a real one; with a real one, `serverName` is the public name of the one who serves, not that of the site.
   */
  get encryptedClientHello(): boolean {
    return this.extension(extensionTypes.encryptedClientHello) !== undefined
  }

  /** The JA3 hash; made when it is first asked for. `ja3(hello)` gives the text that it stands for. */
  get ja3(): string {
    this.#ja3 ??= ja3(this).hash
    return this.#ja3
  }

  /** The JA4 fingerprint; made when it is first asked for. */
  get ja4(): string {
    this.#ja4 ??= ja4(this)
    return this.#ja4
  }

  toJSON(): ClientHelloSummary {
    return {
      ...(this.serverName !== undefined && { serverName: this.serverName }),
      alpn: this.alpn.slice(0, MOST_LOGGED).map(name => printable(Buffer.from(name, 'latin1'), 32)),
      versions: this.versions.filter(isReal).slice(0, MOST_LOGGED).map(versionName),
      ...(this.encryptedClientHello && { encryptedClientHello: true }),
      // MD5 is not to be had in FIPS mode, and a log line is no reason to fail.
      ...(getFips() === 0 && { ja3: this.ja3 }),
      ja4: this.ja4,
    }
  }
}
