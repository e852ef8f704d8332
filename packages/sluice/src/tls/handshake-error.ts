// Says why a handshake with a client failed, in codes of ours for those of OpenSSL and BoringSSL.
import { type ErrorCode, errorCode, isSluiceError, SluiceError } from '../core/index.ts'
import { MISSING, unverified } from './client-certificate.ts'

/** Matched in order against the platform's code, without its beginning `ERR_SSL_`. */
const REASONS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [
    /^HTTP(S_PROXY)?_REQUEST$/,
    'TLS_PLAIN_HTTP',
    "the client spoke plain HTTP on a TLS port; use https:// on the client's side",
  ],
  [
    /ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_\w+)$/,
    'TLS_CERTIFICATE_REFUSED',
    'the client refused our certificate; does it trust who issued it, and is it for the name that it asked for?',
  ],
  [
    /^(UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|UNKNOWN_PROTOCOL|INAPPROPRIATE_FALLBACK|\w+ALERT_PROTOCOL_VERSION)$/,
    'TLS_NO_SHARED_VERSION',
    'the client and the server have no TLS version in common; see minVersion and maxVersion',
  ],
  [
    /^(NO_SHARED_CIPHER|NO_CIPHERS_SPECIFIED|NO_CIPHERS_AVAILABLE)$/,
    'TLS_NO_SHARED_CIPHER',
    'the client and the server have no cipher in common; see ciphers, and for TLS 1.2 groups and the kind of key of the ' +
      'certificate too',
  ],
  [
    /^(NO_SUITABLE_(KEY_SHARE|GROUPS)|NO_SHARED_GROUPS?|WRONG_CURVE)$/,
    'TLS_NO_SHARED_GROUP',
    'the client and the server have no key exchange group in common; see groups',
  ],
  [
    /^(NO_SUITABLE_SIGNATURE_ALGORITHM|NO_SHARED_SIGNATURE_ALGORITHMS|NO_COMMON_SIGNATURE_ALGORITHMS)$/,
    'TLS_NO_SHARED_SIGNATURE',
    "the client takes no signature that the certificate's key can make",
  ],
  [
    /^NO_APPLICATION_PROTOCOL$/,
    'TLS_NO_SHARED_ALPN',
    'the client and the server have no application protocol in common; see alpn',
  ],
  [/^PEER_DID_NOT_RETURN_A_CERTIFICATE$/, 'TLS_CLIENT_CERTIFICATE_MISSING', MISSING],
  [
    /^(WRONG_VERSION_NUMBER|WRONG_SSL_VERSION|UNKNOWN_RECORD_TYPE|RECORD_TOO_SMALL)$/,
    'TLS_NOT_TLS',
    'the client sent something that is not TLS',
  ],
  [
    /^UNEXPECTED_EOF_WHILE_READING$/,
    'TLS_HANDSHAKE_CLOSED',
    'the client closed the connection during the handshake',
  ],
]

/** The coded error for what the platform said when a handshake with a client failed. */
export function handshakeError(cause: unknown): SluiceError {
  if (isSluiceError(cause)) return cause
  const code = errorCode(cause)
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return new SluiceError(
      'TLS_HANDSHAKE_CLOSED',
      'the client closed or reset the connection during the handshake',
      {
        cause,
      },
    )
  }
  const reason = code.replace(/^ERR_SSL_/, '')
  if (reason === 'CERTIFICATE_VERIFY_FAILED') return unverified(reason, cause)
  for (const [pattern, known, message] of REASONS) {
    if (pattern.test(reason)) return new SluiceError(known, message, { cause })
  }
  return new SluiceError('TLS_HANDSHAKE_FAILED', `the TLS handshake failed (${code})`, { cause })
}

export function handshakeTimeout(limit: number): SluiceError {
  return new SluiceError('TLS_HANDSHAKE_TIMEOUT', `the TLS handshake was not finished within ${limit} ms`)
}
