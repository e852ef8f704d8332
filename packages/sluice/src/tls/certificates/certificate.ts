// What a certificate is to the TLS layers, and where it comes from.
import { isSluiceError, SluiceError } from '../../core/index.ts'

/** A certificate with its chain and its key, checked and ready for use. */
export interface Certificate extends CertificateDescription {
  /** PEM: the server's own certificate first, then the one that issued it, and so on. */
  readonly cert: string
  /** PEM, PKCS #8, not encrypted. */
  readonly key: string
}

/** What people want to know of a certificate, in a banner for instance. */
export interface CertificateDescription {
  /** The host names and IP addresses it is for, in its own order; its common name if it has no alternative names. */
  readonly names: readonly string[]
  readonly expires: Date
  /** Clients warn of a certificate that no one else has signed, unless they were told to trust it. */
  readonly selfSigned: boolean
}

/**
 * Where certificates come from. `selfSigned()`, `fromFiles()`, `fromPem()` and `issueBy()` make sources; a program can
 * bring its own.
 *
 * @example
 * ```ts
 * const source = fromFiles({ cert: 'server.pem', key: 'server.key' })
 * const { names, expires } = await source.describe()
 * ```
 */
export interface CertificateSource {
  /**
   * The certificate for clients that name no server; most sources have no other. It is asked for with each connection
   * and answers the same object until there is a new one: renewal is as simple as that. What it throws or rejects with
   * ends the connection: with that error if it has a code, else with `TLS_ISSUE_FAILED`. So does the time for the
   * handshake, when it passes before there is an answer.
   */
  certificate(): Certificate | Promise<Certificate>
  /**
   * The certificate for a server name, as a client sent it: anything may be in it. Sources that choose by name have
   * this. What it throws or rejects with ends the handshake in the same way, and only this one.
   */
  byServerName?(name: string): Certificate | Promise<Certificate>
  /** What `certificate()` gives, in words. */
  describe(): Promise<CertificateDescription>
}

/** A source that always gives the same certificate. */
export function fixed(certificate: Certificate): CertificateSource {
  const { names, expires, selfSigned } = certificate
  return { certificate: () => certificate, describe: async () => ({ names, expires, selfSigned }) }
}

/** The error for a certificate that could not be had. What has a code already says enough by itself. */
export function issueFailed(what: string, cause: unknown): SluiceError {
  if (isSluiceError(cause)) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError('TLS_ISSUE_FAILED', `${what} (${reason})`, { cause })
}
