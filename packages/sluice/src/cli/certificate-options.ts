// The certificate that clients are served, as --cert, --key and --passphrase-file say, or a self-signed one.
import { readFileSync } from 'node:fs'
import { Option } from 'commander'
import { errorCode, SluiceError } from '../core/index.ts'
import type { Endpoint } from '../net/index.ts'
import { type CertificateSource, fromFiles, selfSigned } from '../tls/index.ts'

export interface CertificateOptions {
  readonly cert?: string
  readonly key?: string
  readonly passphraseFile?: string
}

/** `--cert site.pem` */
export function certOption(): Option {
  return new Option('--cert <file>', 'the certificate chain, PEM (without it, a self-signed one is made)')
}

/** `--key site.key` */
export function keyOption(): Option {
  return new Option(
    '--key <file>',
    'the private key of the certificate, PEM (without it, it is in the file of --cert)',
  )
}

/** `--passphrase-file site.passphrase` */
export function passphraseFileOption(): Option {
  return new Option('--passphrase-file <file>', 'a file with the passphrase of an encrypted key')
}

/**
 * @param listen where it is served: a self-signed one is for the name or the address in it, too
 * @throws {SluiceError} `USAGE`, and as `fromFiles`
 */
export function certificateOf(
  { cert, key, passphraseFile }: CertificateOptions,
  listen: Endpoint,
): CertificateSource {
  if (cert !== undefined) {
    if (key === undefined && !holdsKey(cert))
      throw new SluiceError('USAGE', `--cert ${cert} holds no private key; pass it with --key FILE`)
    return fromFiles({
      cert,
      ...(key !== undefined && { key }),
      ...(passphraseFile !== undefined && { passphrase: passphraseIn(passphraseFile) }),
    })
  }
  if (key !== undefined)
    throw new SluiceError('USAGE', '--key needs its certificate; pass it with --cert FILE')
  if (passphraseFile !== undefined)
    throw new SluiceError('USAGE', '--passphrase-file needs a key; pass it with --cert FILE and --key FILE')
  if (listen.family === 'unix') return selfSigned()
  const host = listen.family === 'name' ? listen.name : listen.host
  return selfSigned(host === '::' || host === '0.0.0.0' ? {} : { names: [host] })
}

/** Whether a file holds a key beside its certificate; one that can't be read is left to who says why. */
function holdsKey(cert: string): boolean {
  try {
    return readFileSync(cert, 'latin1').includes('PRIVATE KEY-----')
  } catch {
    return true
  }
}

/** A file rather than an argument, which every user of the machine could read. An editor's last line end is no part of it. */
function passphraseIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new SluiceError('USAGE', `--passphrase-file ${file} could not be read (${errorCode(cause)})`, {
      cause,
    })
  }
}
