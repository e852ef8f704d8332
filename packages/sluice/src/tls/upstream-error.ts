// Says why a handshake with an upstream failed.
import { errorCode, SluiceError } from '../core/index.ts'
import type { Endpoint } from '../net/index.ts'

/** Why a certificate was not accepted, by OpenSSL's name for it: what was found, and what to do. */
const UNVERIFIED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed; pass it as ca if it is the right one',
  SELF_SIGNED_CERT_IN_CHAIN: 'was issued by a CA that is not known here; pass that CA as ca',
  UNABLE_TO_GET_ISSUER_CERT: 'was issued by a CA that is not known here; pass that CA as ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'was issued by a CA that is not known here; pass that CA as ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'was issued by a CA that is not known here, or its chain is incomplete; pass the CA as ca',
  CERT_HAS_EXPIRED: 'has expired; renew it there',
  CERT_NOT_YET_VALID: 'is not valid yet; check the clocks of both machines',
  CERT_REVOKED: 'has been revoked',
  INVALID_PURPOSE: 'is not meant for servers',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for other names; pass the right serverName',
}

const OTHER_UNVERIFIED =
  /^(CERT_|CRL_|UNABLE_TO_|ERROR_IN_|INVALID_(CA|PURPOSE)|PATH_LENGTH|HOSTNAME_MISMATCH|EE_KEY|CA_|ERR_TLS_CERT|ERR_SSL_CERTIFICATE_VERIFY)/

/** The coded error for what the platform said when a handshake with an upstream failed. */
export function upstreamError(to: Endpoint, cause: unknown): SluiceError {
  const code = errorCode(cause)
  const why = Object.hasOwn(UNVERIFIED, code) ? UNVERIFIED[code] : undefined
  if (why !== undefined || OTHER_UNVERIFIED.test(code)) {
    const detail =
      cause instanceof Error && code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? `: ${cause.message}` : ''
    return new SluiceError(
      'TLS_UPSTREAM_UNVERIFIED',
      `the certificate of ${to} ${why ?? `could not be verified (${code})`}${detail}`,
      { cause },
    )
  }
  return new SluiceError('TLS_UPSTREAM_FAILED', `the TLS handshake with ${to} failed: ${reasonOf(code)}`, {
    cause,
  })
}

function reasonOf(code: string): string {
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return 'it closed the connection; does it speak TLS, and on this port?'
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return 'it answered with something that is not TLS'
  return code
}
