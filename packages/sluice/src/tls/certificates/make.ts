// Makes certificates: ECDSA over P-256, in memory, with WebCrypto.
import type { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import type { JsonGeneralName } from '@peculiar/x509'
import type { Certificate } from './certificate.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/**
 * How long what is made here is valid, in ms. 90 days, as public CAs have it: renewing is automatic, and browsers take
 * no more than 398 days.
 */
const LEAF_LIFE = 90 * DAY
/** A CA of one's own has to be trusted by hand, so it is valid for ten years. */
const AUTHORITY_LIFE = 3650 * DAY
/** Clocks differ: a certificate is valid from an hour before it was made. */
const CLOCK_SKEW = HOUR
/** The common name may have no more characters (RFC 5280, appendix A.1); alternative names have no such limit. */
const LONGEST_COMMON_NAME = 64

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export type KeyPair = webcrypto.CryptoKeyPair
type X509 = typeof import('@peculiar/x509')

let library: Promise<X509> | undefined

/** The library takes longer to load than all the rest of Sluice, and many programs never make a certificate. */
async function load(): Promise<X509> {
  library ??= import('reflect-metadata').then(() => import('@peculiar/x509'))
  return library
}

export async function makeKeys(): Promise<KeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

/** A key in PEM, PKCS #8. */
export async function exportKey(key: CryptoKey): Promise<string> {
  const { PemConverter } = await load()
  return `${PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

/** Who issues: its name as in the certificate, its key, and when it expires. */
export interface Issuer {
  readonly pem: string
  readonly key: CryptoKey
  readonly expires: Date
}

/** A server's certificate for these names, issued by a CA or, without one, signed by itself. */
export async function makeLeaf(
  names: readonly string[],
  keys: KeyPair,
  issuer?: Issuer,
): Promise<Certificate> {
  const x509 = await load()
  const authority = issuer && new x509.X509Certificate(issuer.pem)
  const now = Date.now()
  const end = Math.min(now + LEAF_LIFE, issuer?.expires.getTime() ?? Number.POSITIVE_INFINITY)
  const subject = subjectFor(names)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: authority?.subjectName ?? subject,
    notBefore: wholeSeconds(now - CLOCK_SKEW),
    notAfter: wholeSeconds(end),
    publicKey: keys.publicKey,
    signingKey: issuer?.key ?? keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      // Critical where the subject is empty (RFC 5280, section 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(names.map(alternativeName), subject.length === 0),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(authority ? [await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey)] : []),
    ],
  })
  return {
    cert: `${certificate.toString('pem')}\n${issuer?.pem ?? ''}`,
    key: await exportKey(keys.privateKey),
    names,
    expires: certificate.notAfter,
    selfSigned: issuer === undefined,
  }
}

/** The certificate of a CA that may issue for servers, but not make further CAs. */
export async function makeAuthority(name: string, keys: KeyPair): Promise<Issuer> {
  const x509 = await load()
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [name] }],
    notBefore: wholeSeconds(now - CLOCK_SKEW),
    notAfter: wholeSeconds(now + AUTHORITY_LIFE),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { pem: `${certificate.toString('pem')}\n`, key: keys.privateKey, expires: certificate.notAfter }
}

/** When a certificate made at `made` is due for renewal: after two thirds of its life. */
export function renewalTime(certificate: { readonly expires: Date }, made: number): number {
  return made + ((certificate.expires.getTime() - made) * 2) / 3
}

function subjectFor(names: readonly string[]): { CN: string[] }[] {
  const name = names.find(candidate => candidate.length <= LONGEST_COMMON_NAME)
  return name === undefined ? [] : [{ CN: [name] }]
}

function alternativeName(name: string): JsonGeneralName {
  return { type: isIP(name) === 0 ? 'dns' : 'ip', value: name }
}

/** 127 random bits: positive, and never the same twice (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  // The first bit is the sign; the second is set so that no leading zeros have to be dropped.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

/** Certificates have no fractions of seconds. */
function wholeSeconds(time: number): Date {
  return new Date(Math.floor(time / 1000) * 1000)
}
