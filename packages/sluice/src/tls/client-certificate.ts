// Reads the certificate that a client proved to have.
import type { TLSSocket } from 'node:tls'
import { SluiceError } from '../core/index.ts'
import { commonName, parseAlternativeNames } from './certificates/index.ts'
import type { ClientCertificate } from './info.ts'

/**
 * The client's certificate after a handshake in which one was asked for; undefined if none was sent and none is
 * required. A certificate that could not be verified is refused even where none is required.
 *
 * @throws {SluiceError} `TLS_CLIENT_CERTIFICATE_MISSING`, `TLS_CLIENT_CERTIFICATE_INVALID`
 */
export function clientCertificate(socket: TLSSocket, require: boolean): ClientCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) {
    if (!require) return undefined
    throw new SluiceError('TLS_CLIENT_CERTIFICATE_MISSING', MISSING)
  }
  if (!socket.authorized) throw unverified(String(socket.authorizationError))
  return {
    verified: true,
    commonName: commonName(certificate),
    subject: certificate.subject,
    names: parseAlternativeNames(certificate.subjectAltName),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    raw: certificate.raw,
  }
}

export const MISSING = 'a client certificate is required and the client sent none'

/** The error for a certificate that could not be verified; `reason` is OpenSSL's name for why. */
export function unverified(reason: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'TLS_CLIENT_CERTIFICATE_INVALID',
    `the client's certificate could not be verified (${reason}); it must be issued by one of the CAs in ` +
      'clientCertificates.ca, be valid now, and be meant for clients',
    cause === undefined ? undefined : { cause },
  )
}
