// A certificate from files, checked when the program starts rather than when the first client comes.
import { readFileSync } from 'node:fs'
import { type ErrorCode, errorCode, SluiceError } from '../../core/index.ts'
import type { CertificateSource } from './certificate.ts'
import { readCertificate, servable } from './pem.ts'

export interface FileOptions {
  /** Path of a PEM file: the server's certificate, then those that issued it, in order. */
  readonly cert: string
  /**
   * Path of a PEM file with the private key.
   * @default the file of `cert`, for files that hold both
   */
  readonly key?: string
  /** For a key that is encrypted. */
  readonly passphrase?: string
}

/**
 * A certificate from PEM files. They are read once, now, and files that were renewed are served after a restart. Whether
 * the key belongs to the certificate, the chain is in order and the certificate is valid today is checked at once.
 *
 * @throws {SluiceError} `TLS_CERTIFICATE_FILE`, `TLS_CERTIFICATE_INVALID`, `TLS_CERTIFICATE_EXPIRED`,
 *   `TLS_CERTIFICATE_NOT_YET_VALID`, `TLS_KEY_INVALID`, `TLS_KEY_MISMATCH`
 */
export function fromFiles(options: FileOptions): CertificateSource {
  const names = {
    cert: `tls certificate ${JSON.stringify(options.cert)}`,
    key: `private key ${JSON.stringify(options.key ?? options.cert)}`,
  }
  const cert = readText(options.cert, names.cert, 'TLS_CERTIFICATE_FILE')
  const key = options.key === undefined ? cert : readText(options.key, names.key, 'TLS_CERTIFICATE_FILE')
  const certificate = readCertificate(
    { cert, key, ...(options.passphrase !== undefined && { passphrase: options.passphrase }) },
    names,
  )
  return servable(certificate, names.cert)
}

/** The text of a file; `name` is what messages call it. */
export function readText(path: string, name: string, code: ErrorCode): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (cause) {
    throw new SluiceError(code, `${name} ${whyUnreadable(errorCode(cause))}`, { cause })
  }
}

function whyUnreadable(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist; check the path'
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user; check its permissions'
    case 'EISDIR':
      return 'is a directory; pass a file'
    default:
      return `could not be read (${code})`
  }
}
