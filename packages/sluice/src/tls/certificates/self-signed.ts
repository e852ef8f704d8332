// A certificate that signs itself: for development, and for hops that only need encryption.
import { SluiceError } from '../../core/index.ts'
import type { Certificate, CertificateDescription, CertificateSource } from './certificate.ts'
import { makeKeys, makeLeaf, renewalTime } from './make.ts'
import { certificateName } from './names.ts'

export interface SelfSignedOptions {
  /**
   * Host names (wildcards too) and IP addresses that it is for, besides `localhost`, `127.0.0.1` and `::1`, which are
   * always in it.
   * @default none
   */
  readonly names?: readonly string[]
}

const OWN_NAMES = ['localhost', '127.0.0.1', '::1']

/**
 * A self-signed certificate (ECDSA P-256), made in memory when it is first asked for, valid for 90 days, and made anew
 * with a new key after 60 as long as connections come.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID` for a name that no certificate can be for
 */
export function selfSigned(options: SelfSignedOptions = {}): CertificateSource {
  return new SelfSigned([...new Set([...(options.names ?? []).map(certificateName), ...OWN_NAMES])])
}

class SelfSigned implements CertificateSource {
  readonly #names: readonly string[]
  #current: Certificate | undefined
  #renewAt = 0
  #making: Promise<Certificate> | undefined

  constructor(names: readonly string[]) {
    this.#names = names
  }

  certificate(): Certificate | Promise<Certificate> {
    const now = Date.now()
    if (this.#current !== undefined && now < this.#renewAt) return this.#current
    const made = this.#make(now)
    if (this.#current === undefined || this.#current.expires.getTime() <= now) return made
    // There is time: this client gets the old one. A renewal that fails is tried again with the next client, and is
    // reported to one when the old one has expired.
    made.catch(() => {})
    return this.#current
  }

  async describe(): Promise<CertificateDescription> {
    const { names, expires, selfSigned } = await this.certificate()
    return { names, expires, selfSigned }
  }

  #make(now: number): Promise<Certificate> {
    this.#making ??= this.#issue(now).finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  async #issue(now: number): Promise<Certificate> {
    try {
      const certificate = await makeLeaf(this.#names, await makeKeys())
      this.#current = certificate
      this.#renewAt = renewalTime(certificate, now)
      return certificate
    } catch (cause) {
      throw new SluiceError('TLS_ISSUE_FAILED', 'the self-signed certificate could not be made', { cause })
    }
  }
}
