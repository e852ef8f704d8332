// What a command says when it is ready.
import { styleText } from 'node:util'
import { logger } from '../core/index.ts'
import type { Address } from '../net/index.ts'
import { version } from './version.ts'

interface BannerRoute {
  readonly scheme: 'https' | 'http'
  readonly listen: Address
  /** Where it goes, in words: an address, or a service of the program itself. */
  readonly to: string
  /** What happens on the way: `PROXY v2`, `ALPN h2, http/1.1`. */
  readonly notes: readonly string[]
}

export interface Banner {
  readonly routes: readonly BannerRoute[]
  readonly certificate?: {
    readonly names: readonly string[]
    readonly expires: Date
    readonly selfSigned: boolean
  }
  /** Lines of advice at the end. */
  readonly hints: readonly string[]
}

/** Prints the banner for people, or logs it for machines. */
export function printBanner(banner: Banner, json: boolean): void {
  // Since the process began, the runtime's own start included: what a person waits for.
  const readyIn = Math.round(performance.now())
  if (json) {
    logger('sluice').info(
      { version, readyIn, routes: banner.routes, certificate: banner.certificate },
      'ready',
    )
    return
  }
  const lines = [
    `  ${styleText('bold', 'sluice')} ${version}  ready in ${readyIn} ms`,
    '',
    ...banner.routes.map(describeRoute),
    ...(banner.certificate === undefined ? [] : [describeCertificate(banner.certificate)]),
    ...banner.hints.flatMap(hint => ['', `  ${hint}`]),
  ]
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
}

function describeRoute({ scheme, listen, to, notes }: BannerRoute): string {
  const details = notes.length > 0 ? styleText('dim', `  (${notes.join('; ')})`) : ''
  return `  ${styleText('cyan', url(scheme, listen))}  →  ${to}${details}`
}

/** An address that a terminal makes a link of: "all addresses" is no place to go to, so this machine stands for it. */
function url(scheme: string, address: Address): string {
  if (address.family === 'unix') return String(address)
  const everywhere = address.host === '::' || address.host === '0.0.0.0'
  return everywhere ? `${scheme}://localhost:${address.port}/ (on all addresses)` : `${scheme}://${address}/`
}

function describeCertificate({ names, expires, selfSigned }: NonNullable<Banner['certificate']>): string {
  const kind = selfSigned ? 'self-signed, ' : ''
  return `  certificate  ${names.join(', ')}  (${kind}expires ${expires.toISOString().slice(0, 10)})`
}
