// A certificate for each server name that clients ask for, issued when the first one does.
import { LRUCache } from 'lru-cache'
import { isSluiceError, SluiceError, wholeNumber } from '../../core/index.ts'
import type { CertificateAuthority } from './authority.ts'
import type { Certificate, CertificateDescription, CertificateSource } from './certificate.ts'
import { renewalTime } from './make.ts'
import { certificateName, isHostName } from './names.ts'

export interface IssueOptions {
  /**
   * The names that are served. The client chooses the name that it asks for: without this it can ask for any, and each
   * new one costs a signature. It gets host names in lower case. Answer false to refuse; what it throws refuses too.
   * @default every host name
   */
  readonly allow?: (name: string) => boolean | Promise<boolean>
  /**
   * The name in the certificate for clients that name no server.
   * @default 'localhost'
   */
  readonly defaultName?: string
  /**
   * How many certificates are kept, those asked for last; of a few KB each.
   * @default 1000
   */
  readonly cacheSize?: number
}

/**
 * Has a CA issue a certificate for each server name. A name is issued for once, however many clients ask for it at the
 * same time, and anew after two thirds of the certificate's life.
 *
 * A handshake fails with `TLS_SERVER_NAME_REFUSED` for what is no host name or is not allowed, and with
 * `TLS_ISSUE_FAILED` if the CA fails or takes longer than 30 seconds; the next client for the name has it tried again.
 *
 * @throws {SluiceError} `OPTION_INVALID`, `TLS_OPTION_INVALID`
 */
export function issueBy(authority: CertificateAuthority, options: IssueOptions = {}): CertificateSource {
  return new IssuedByName(
    authority,
    certificateName(options.defaultName ?? 'localhost'),
    wholeNumber('cacheSize', options.cacheSize ?? 1000),
    options.allow,
  )
}

/** A CA that never answers must not keep a name from being issued for again, nor all the clients that wait, in ms. */
const LONGEST_ISSUE = 30_000

/** A certificate in the cache, or one that is being issued. */
interface Entry {
  readonly issued: Promise<Certificate>
  certificate?: Certificate
  renewAt: number
}

class IssuedByName implements CertificateSource {
  readonly #authority: CertificateAuthority
  readonly #defaultName: string
  readonly #allow: IssueOptions['allow']
  readonly #entries: LRUCache<string, Entry>

  constructor(
    authority: CertificateAuthority,
    defaultName: string,
    cacheSize: number,
    allow: IssueOptions['allow'],
  ) {
    this.#authority = authority
    this.#defaultName = defaultName
    this.#allow = allow
    this.#entries = new LRUCache({ max: cacheSize })
  }

  certificate(): Certificate | Promise<Certificate> {
    return this.#lookUp(this.#defaultName)
  }

  async byServerName(sent: string): Promise<Certificate> {
    const name = sent.toLowerCase()
    if (!isHostName(name)) {
      throw new SluiceError(
        'TLS_SERVER_NAME_REFUSED',
        `the client asked for the server ${JSON.stringify(sent.slice(0, 64))}, which is no host name`,
      )
    }
    if (this.#allow !== undefined && !(await isAllowed(this.#allow, name))) {
      throw new SluiceError(
        'TLS_SERVER_NAME_REFUSED',
        `the client asked for the server "${name}", which \`allow\` refuses`,
      )
    }
    return this.#lookUp(name)
  }

  async describe(): Promise<CertificateDescription> {
    const { names, expires, selfSigned } = await this.certificate()
    return { names, expires, selfSigned }
  }

  #lookUp(name: string): Certificate | Promise<Certificate> {
    const entry = this.#entries.get(name)
    if (entry !== undefined && Date.now() < entry.renewAt) return entry.certificate ?? entry.issued
    return this.#issue(name).issued
  }

  #issue(name: string): Entry {
    const began = Date.now()
    const entry: Entry = {
      issued: issueInTime(this.#authority, name).then(
        certificate => {
          entry.certificate = certificate
          entry.renewAt = renewalTime(certificate, began)
          return certificate
        },
        (error: unknown) => {
          // The next client shall not get the failure of this one.
          if (this.#entries.peek(name) === entry) this.#entries.delete(name)
          throw error
        },
      ),
      renewAt: Number.POSITIVE_INFINITY,
    }
    this.#entries.set(name, entry)
    return entry
  }
}

/** What the CA issues; whatever goes wrong has the code that says so. */
async function issueInTime(authority: CertificateAuthority, name: string): Promise<Certificate> {
  let timer: NodeJS.Timeout | undefined
  try {
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the CA did not answer within ${LONGEST_ISSUE} ms`)),
        LONGEST_ISSUE,
      ).unref()
    })
    return await Promise.race([authority.issue([name]), tooLong])
  } catch (cause) {
    if (isSluiceError(cause, 'TLS_ISSUE_FAILED')) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SluiceError('TLS_ISSUE_FAILED', `the certificate for ${name} could not be issued (${reason})`, {
      cause,
    })
  } finally {
    clearTimeout(timer)
  }
}

async function isAllowed(allow: NonNullable<IssueOptions['allow']>, name: string): Promise<boolean> {
  try {
    return (await allow(name)) === true
  } catch (cause) {
    throw new SluiceError('TLS_SERVER_NAME_REFUSED', `\`allow\` failed for the server name "${name}"`, {
      cause,
    })
  }
}
