// A CA of one's own, which issues certificates for servers on the spot.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { SluiceError } from '../../core/index.ts'
import type { Certificate } from './certificate.ts'
import { exportKey, type Issuer, type KeyPair, makeAuthority, makeKeys, makeLeaf } from './make.ts'
import { certificateName } from './names.ts'
import { readCertificate } from './pem.ts'

export interface AuthorityOptions {
  /**
   * What the CA is called in its certificate, for one that is made in memory.
   * @default 'Sluice local CA'
   */
  readonly name?: string
  /** The CA's certificate and key in PEM, to go on with one that clients trust already. The key is ECDSA P-256. */
  readonly pem?: {
    readonly cert: string | Buffer
    readonly key: string | Buffer
    readonly passphrase?: string
  }
}

export interface CertificateAuthority {
  /** The CA's own certificate in PEM, for clients to trust. */
  certificate(): Promise<string>
  /** The CA's certificate and key in PEM, to be kept and passed to `certificateAuthority` another time. */
  export(): Promise<{ readonly cert: string; readonly key: string }>
  /**
   * A server's certificate for these host names (wildcards too) and IP addresses, valid for 90 days.
   *
   * @throws {SluiceError} `TLS_OPTION_INVALID` for a name that no certificate can be for, `TLS_ISSUE_FAILED`
   */
  issue(names: readonly string[]): Promise<Certificate>
}

/**
 * A CA, made in memory when it is first needed, or read from PEM.
 *
 * @throws {SluiceError} `TLS_CA_INVALID` for a certificate that is no CA's; `TLS_CERTIFICATE_INVALID`,
 *   `TLS_CERTIFICATE_EXPIRED`, `TLS_CERTIFICATE_NOT_YET_VALID`, `TLS_KEY_INVALID`, `TLS_KEY_MISMATCH`
 */
export function certificateAuthority(options: AuthorityOptions = {}): CertificateAuthority {
  return new Authority(options.pem === undefined ? fresh(options.name) : known(options.pem))
}

type OpenAuthority = () => Promise<Issuer>

class Authority implements CertificateAuthority {
  readonly #open: OpenAuthority
  #issuer: Promise<Issuer> | undefined
  /** One key for all that is issued: making one for each name would let any client have us make keys. */
  #keys: Promise<KeyPair> | undefined

  constructor(open: OpenAuthority) {
    this.#open = open
  }

  async certificate(): Promise<string> {
    return (await this.#ready()).pem
  }

  async export(): Promise<{ cert: string; key: string }> {
    const { pem, key } = await this.#ready()
    return { cert: pem, key: await exportKey(key) }
  }

  async issue(names: readonly string[]): Promise<Certificate> {
    const checked = [...new Set(names.map(certificateName))]
    if (checked.length === 0)
      throw new SluiceError('TLS_OPTION_INVALID', 'a certificate needs at least one name')
    try {
      const issuer = await this.#ready()
      if (issuer.expires.getTime() <= Date.now()) {
        throw new SluiceError(
          'TLS_CERTIFICATE_EXPIRED',
          `the CA has expired (${issuer.expires.toISOString()})`,
        )
      }
      this.#keys ??= makeKeys()
      return await makeLeaf(checked, await this.#keys, issuer)
    } catch (cause) {
      throw new SluiceError('TLS_ISSUE_FAILED', `the certificate for ${checked[0]} could not be issued`, {
        cause,
      })
    }
  }

  #ready(): Promise<Issuer> {
    this.#issuer ??= this.#open()
    return this.#issuer
  }
}

function fresh(name = 'Sluice local CA'): OpenAuthority {
  return async () => makeAuthority(name, await makeKeys())
}

/** Checks what was passed now, and imports the key when it is needed. */
function known(pem: NonNullable<AuthorityOptions['pem']>): OpenAuthority {
  const { cert, key, expires } = readCertificate(pem, { cert: 'the CA certificate', key: 'the CA key' })
  if (!new X509Certificate(cert).ca) {
    throw new SluiceError(
      'TLS_CA_INVALID',
      'the CA certificate is not that of a CA; pass one that may issue others',
    )
  }
  const parsed = createPrivateKey(key)
  if (parsed.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new SluiceError(
      'TLS_KEY_INVALID',
      'the CA key is not ECDSA over P-256, the only kind that issues here',
    )
  }
  const pkcs8 = Uint8Array.from(parsed.export({ type: 'pkcs8', format: 'der' }))
  return async () => ({
    pem: cert,
    key: await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
    ]),
    expires,
  })
}
