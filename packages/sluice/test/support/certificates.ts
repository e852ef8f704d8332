// Certificates of every kind for tests, good and bad: made in memory with the library, not with the code under test.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

export interface TestCertificate {
  readonly cert: string
  readonly key: string
  readonly x509: x509.X509Certificate
  readonly keys: CryptoKeyPairLike
}

interface CryptoKeyPairLike {
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

export interface TestCertificateOptions {
  /** A whole distinguished name; it wins over `name`. */
  readonly subject?: x509.JsonName
  /** The common name. */
  readonly name?: string
  readonly names?: readonly x509.JsonGeneralName[]
  readonly issuer?: TestCertificate
  readonly ca?: boolean
  /** Bits of an RSA key, instead of one on P-256. */
  readonly rsa?: number
  /** Days from now. */
  readonly from?: number
  readonly until?: number
  readonly usage?: 'server' | 'client'
}

const DAY = 86_400_000
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
}

/** Makes a certificate: for localhost, valid from yesterday till tomorrow, signed by itself, unless told otherwise. */
export async function testCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const algorithm = options.rsa === undefined ? EC : { ...RSA, modulusLength: options.rsa }
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPairLike
  const subject = options.subject ?? [{ CN: [options.name ?? 'localhost'] }]
  const { issuer } = options
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.x509.subjectName ?? subject,
    notBefore: new Date(Date.now() + (options.from ?? -1) * DAY),
    notAfter: new Date(Date.now() + (options.until ?? 1) * DAY),
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: issuer === undefined ? algorithm : EC,
    extensions: [
      new x509.BasicConstraintsExtension(options.ca === true, undefined, true),
      new x509.SubjectAlternativeNameExtension([
        ...(options.names ?? [
          { type: 'dns', value: 'localhost' } as const,
          { type: 'ip', value: '127.0.0.1' } as const,
        ]),
      ]),
      ...(options.usage === undefined
        ? []
        : [
            new x509.ExtendedKeyUsageExtension([
              options.usage === 'server'
                ? x509.ExtendedKeyUsage.serverAuth
                : x509.ExtendedKeyUsage.clientAuth,
            ]),
          ]),
    ],
  })
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    x509: certificate,
    keys,
  }
}
