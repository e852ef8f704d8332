// The CAs that the other side's certificate is verified with.
import { SluiceError } from '../core/index.ts'
import { parseCertificates, readText } from './certificates/index.ts'

/**
 * CA certificates: PEM text, or the path of a PEM file, each with one or more in it. What has a line
 * `-----BEGIN CERTIFICATE-----` is text.
 */
export type TrustedAuthorities = string | Buffer | readonly (string | Buffer)[]

/**
 * Every CA certificate, one PEM block each. An empty file would leave nothing to verify with, or everything: it is
 * refused, as is one that can't be read.
 *
 * @throws {SluiceError} `TLS_CA_INVALID`
 */
export function readAuthorities(ca: TrustedAuthorities): string[] {
  const sources = typeof ca === 'string' || Buffer.isBuffer(ca) ? [ca] : ca
  if (sources.length === 0)
    throw new SluiceError('TLS_CA_INVALID', 'the list of CAs is empty; pass at least one')
  return sources.flatMap(readSource)
}

function readSource(source: string | Buffer): string[] {
  const text = String(source)
  if (text.trim() === '')
    throw new SluiceError('TLS_CA_INVALID', 'a CA is empty text; pass PEM, or the path of a file')
  const isPem = Buffer.isBuffer(source) || text.includes('-----BEGIN ')
  const name = isPem ? 'the CA' : `CA file ${JSON.stringify(text)}`
  const pem = isPem ? text : readText(text, name, 'TLS_CA_INVALID')
  try {
    return parseCertificates(pem, name).map(certificate => certificate.toString())
  } catch (cause) {
    throw new SluiceError('TLS_CA_INVALID', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}
