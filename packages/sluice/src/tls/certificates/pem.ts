// Certificates and keys in PEM (RFC 7468): reading them, and checking that they can be served.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { SluiceError } from '../../core/index.ts'
import { parseAlternativeNames } from './alternative-names.ts'
import { type Certificate, type CertificateSource, fixed } from './certificate.ts'

export interface PemOptions {
  /** The server's certificate, then those that issued it, in order. */
  readonly cert: string | Buffer
  /**
   * The private key of the first certificate.
   * @default what is in `cert`, for files that hold both
   */
  readonly key?: string | Buffer
  /** For a key that is encrypted. */
  readonly passphrase?: string
}

/** How certificate and key are called in messages. */
export interface PemNames {
  readonly cert: string
  readonly key: string
}

/**
 * A certificate that the program has in memory.
 *
 * @throws {SluiceError} `TLS_CERTIFICATE_INVALID`, `TLS_CERTIFICATE_EXPIRED`, `TLS_CERTIFICATE_NOT_YET_VALID`,
 *   `TLS_KEY_INVALID`, `TLS_KEY_MISMATCH`
 */
export function fromPem(options: PemOptions): CertificateSource {
  const names = { cert: 'tls certificate', key: 'private key' }
  return servable(readCertificate(options, names), names.cert)
}

/** Reads and checks a certificate with its chain and key; `names` is what messages call them. */
export function readCertificate(options: PemOptions, names: PemNames): Certificate {
  const chain = parseCertificates(String(options.cert), names.cert)
  const key = readKey(String(options.key ?? options.cert), options.passphrase, names.key)
  const [leaf] = chain
  checkKey(chain, key, names)
  checkOrder(chain, names.cert)
  checkDates(leaf, names.cert)
  return {
    cert: chain.map(link => link.toString()).join(''),
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    names: namesOf(leaf),
    expires: new Date(leaf.validTo),
    selfSigned: leaf.subject === leaf.issuer && leaf.verify(leaf.publicKey),
  }
}

const BEGIN = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g
const BLOCK = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----([^-]*)-----END \1-----/g

/**
 * Every certificate in a PEM text, of which there is at least one. Keys and other text between them are passed over.
 *
 * @throws {SluiceError} `TLS_CERTIFICATE_INVALID`
 */
export function parseCertificates(text: string, name: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = [...text.matchAll(BLOCK)]
  const begins = text.match(BEGIN)?.length ?? 0
  // One that is left out of a chain, or of a list of CAs, would show much later, and to clients.
  if (blocks.length < begins) {
    throw new SluiceError(
      'TLS_CERTIFICATE_INVALID',
      `${name} is damaged: ${blocks.length} of the ${begins} certificates in it can be told from the rest, by a line ` +
        '-----END CERTIFICATE----- with no other "-" before it; was it cut off?',
    )
  }
  const [first, ...rest] = blocks.map(([block, , base64 = ''], index) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new SluiceError(
        'TLS_CERTIFICATE_INVALID',
        `${name} is damaged: the certificate at place ${index + 1} in it could not be read ` +
          `(${whyDamaged(base64, cause)})`,
        { cause },
      )
    }
  })
  if (first !== undefined) return [first, ...rest]
  throw new SluiceError(
    'TLS_CERTIFICATE_INVALID',
    text.trim() === ''
      ? `${name} is empty`
      : `${name} has no certificate in it; it must be PEM, with a line -----BEGIN CERTIFICATE-----`,
  )
}

/** What is wrong with the inside of a PEM block, in words that hold for OpenSSL and BoringSSL. */
function whyDamaged(base64: string, cause: unknown): string {
  const odd = /[^A-Za-z0-9+/=\s]/.exec(base64)?.[0]
  if (odd !== undefined) return `${JSON.stringify(odd)} is no character of base64`
  if (base64.replace(/\s/g, '').length % 4 !== 0) return 'characters are missing in its base64'
  return `its content can not be decoded: ${reasonOf(cause)}`
}

/** OpenSSL puts a number and its own names before what it has to say. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause)
  return /^error:[0-9a-f]+:[^:]*:[^:]*:(.+)$/i.exec(message)?.[1] ?? message
}

function readKey(text: string, passphrase: string | undefined, name: string): KeyObject {
  try {
    return createPrivateKey({ key: text, format: 'pem', ...(passphrase !== undefined && { passphrase }) })
  } catch (cause) {
    const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)
    throw new SluiceError(
      'TLS_KEY_INVALID',
      !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)
        ? `${name} has no private key in it; it must be PEM, with a line -----BEGIN PRIVATE KEY-----`
        : !encrypted
          ? `${name} is damaged: the private key in it could not be read (${whyKeyDamaged(text, cause)})`
          : passphrase === undefined
            ? `${name} is encrypted; pass its passphrase`
            : `${name} could not be decrypted; the passphrase is wrong, or the file is damaged`,
      { cause },
    )
  }
}

function whyKeyDamaged(text: string, cause: unknown): string {
  const [, , base64] = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----([^-]*)-----END \1-----/.exec(text) ?? []
  return base64 === undefined
    ? 'its line -----END PRIVATE KEY----- is missing, or there is another "-" before it'
    : whyDamaged(base64, cause)
}

function checkKey(chain: readonly X509Certificate[], key: KeyObject, names: PemNames): void {
  const place = chain.findIndex(link => link.checkPrivateKey(key))
  if (place === 0) return
  throw place > 0
    ? new SluiceError(
        'TLS_CERTIFICATE_INVALID',
        `${names.cert} is in the wrong order: ${names.key} belongs to the certificate at place ${place + 1} in it; ` +
          'put that one first, then those that issued it',
      )
    : new SluiceError(
        'TLS_KEY_MISMATCH',
        `${names.key} does not belong to ${names.cert} (${describe(chain[0])}); pass the key that it was made with`,
      )
}

function checkOrder(chain: readonly X509Certificate[], name: string): void {
  for (const [index, link] of chain.entries()) {
    const next = chain[index + 1]
    if (next !== undefined && !link.checkIssued(next)) {
      throw new SluiceError(
        'TLS_CERTIFICATE_INVALID',
        `${name} is in the wrong order: the certificate at place ${index + 2} in it (${describe(next)}) did not ` +
          `issue the one before it (${describe(link)}); put the server's own first, then those that issued it, in order`,
      )
    }
  }
}

function checkDates(leaf: X509Certificate, name: string): void {
  const now = Date.now()
  if (now >= Date.parse(leaf.validTo)) {
    throw new SluiceError(
      'TLS_CERTIFICATE_EXPIRED',
      `${name} has expired (${day(leaf.validTo)}); renew it or pass another with --cert`,
    )
  }
  if (now < Date.parse(leaf.validFrom)) {
    throw new SluiceError(
      'TLS_CERTIFICATE_NOT_YET_VALID',
      `${name} is not valid before ${day(leaf.validFrom)}; check the clock of this machine, which says ` +
        `${new Date(now).toISOString()}`,
    )
  }
}

/**
 * A source of a certificate that was read. The platform's own judgement comes last: keys too small, algorithms that it
 * has not.
 */
export function servable(certificate: Certificate, name: string): CertificateSource {
  try {
    createSecureContext({ cert: certificate.cert, key: certificate.key })
    return fixed(certificate)
  } catch (cause) {
    throw new SluiceError(
      'TLS_CERTIFICATE_INVALID',
      `${name} can not be served (${reasonOf(cause)}); pass another with --cert`,
      { cause },
    )
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const { dns, ip } = parseAlternativeNames(leaf.subjectAltName)
  return dns.length + ip.length > 0 ? [...dns, ...ip] : [commonName(leaf) ?? '']
}

/** The one common name in a certificate's subject; undefined if it has none, or several that contradict each other. */
export function commonName(certificate: X509Certificate): string | undefined {
  const name: unknown = certificate.toLegacyObject().subject.CN
  return typeof name === 'string' ? name : undefined
}

function describe(certificate: X509Certificate | undefined): string {
  return certificate?.subject.replaceAll('\n', ', ') || 'no subject'
}

function day(date: string): string {
  return new Date(date).toISOString().slice(0, 10)
}
