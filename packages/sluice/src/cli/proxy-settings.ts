// What the options of `sluice proxy` come to.
import { SluiceError } from '../core/index.ts'
import type { Endpoint } from '../net/index.ts'
import type { CertificateOptions } from './certificate-options.ts'
import { parseFrom, parseTo } from './proxy-addresses.ts'

export interface ProxyOptions extends CertificateOptions {
  readonly from?: string
  readonly to?: readonly string[]
  readonly http?: true
  readonly acceptProxy?: readonly string[]
  readonly sendProxy?: 'v1' | 'v2'
  readonly trust?: readonly string[]
  readonly host: 'keep' | 'upstream'
  readonly ca?: string
  readonly unsafeSkipVerify?: true
  readonly accessLog?: 'pretty' | 'json' | 'combined' | 'off'
  readonly development?: boolean
  readonly drainLimit: string
  readonly json?: true
}

export interface ProxySettings extends ProxyOptions {
  readonly to: readonly string[]
  readonly listen: Endpoint
  readonly scheme: 'https' | 'http'
  readonly accessLog: 'pretty' | 'json' | 'combined' | 'off'
  readonly development: boolean
}

/**
 * What the options come to, with what was left out filled in. What contradicts itself is refused, and what would do nothing.
 *
 * @throws {SluiceError} `USAGE`, `ADDRESS_INVALID`
 */
export function proxySettings(options: ProxyOptions): ProxySettings {
  const { http, ca, unsafeSkipVerify, json, trust, acceptProxy } = options
  const to = (options.to ?? []).map(parseTo)
  if (to.length === 0) throw usage('there is no upstream; name one, such as --to 3000')
  const { scheme: told, listen } = parseFrom(options.from ?? (http ? 'localhost:8080' : 'localhost:8443'))
  if (http && told === 'https')
    throw usage('--http contradicts the https:// of --from; leave one of them out')
  const scheme = http ? 'http' : (told ?? 'https')
  const certificate = ['cert', 'key', 'passphraseFile'] as const
  const needless = certificate.find(name => options[name] !== undefined)
  if (scheme === 'http' && needless !== undefined) {
    const name = needless === 'passphraseFile' ? '--passphrase-file' : `--${needless}`
    throw usage(`${name} is for TLS, and this serves plain HTTP; leave it out, or begin --from with https://`)
  }
  const verification = ca !== undefined ? '--ca' : unsafeSkipVerify ? '--unsafe-skip-verify' : undefined
  if (verification !== undefined && !to.some(url => url.startsWith('https:')))
    throw usage(`${verification} is for https upstreams, and there is none; begin --to with https://`)
  if (ca !== undefined && unsafeSkipVerify)
    throw usage('--ca is of no use with --unsafe-skip-verify; leave one of them out')
  return {
    ...options,
    to,
    listen,
    scheme,
    accessLog: options.accessLog ?? (process.stdout.isTTY && !json ? 'pretty' : 'json'),
    // Only this machine can connect then, and no proxy is in front that hands answers on to others.
    development: options.development ?? [options.from, trust, acceptProxy].every(one => one === undefined),
  }
}

function usage(message: string): SluiceError {
  return new SluiceError('USAGE', message)
}
