// What a command says when it is ready.
import { styleText } from 'node:util'
import { logger } from '../core/index.ts'
import type { Endpoint } from '../net/index.ts'
import { version } from './version.ts'

interface BannerRoute {
  readonly scheme: 'https' | 'http'
  readonly listen: Endpoint
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

/**
 * Prints the banner for people, or logs it for machines.
 *
 * @param to a stream that people read, or the log
 */
export function printBanner(banner: Banner, to: 'stdout' | 'stderr' | 'log'): void {
  // Since the process began, the runtime's own start included: what a person waits for.
  const readyIn = Math.round(performance.now())
  if (to === 'log') {
    logger('sluice').info(
      { version, readyIn, routes: banner.routes, certificate: banner.certificate },
      'ready',
    )
    return
  }
  const stream = process[to]
  const paint = (format: Format, text: string): string => styleText(format, text, { stream })
  const lines = [
    `  ${paint('bold', 'sluice')} ${version}  ready in ${readyIn} ms`,
    '',
    ...banner.routes.map(route => describeRoute(route, paint)),
    ...(banner.certificate === undefined ? [] : [describeCertificate(banner.certificate)]),
    ...banner.hints.flatMap(hint => ['', `  ${hint}`]),
  ]
  stream.write(`\n${lines.join('\n')}\n\n`)
}

type Format = 'bold' | 'dim' | 'cyan'

function describeRoute(
  { scheme, listen, to, notes }: BannerRoute,
  paint: (format: Format, text: string) => string,
): string {
  const details = notes.length > 0 ? paint('dim', `  (${notes.join('; ')})`) : ''
  const where = listen.family === 'unix' ? String(listen) : urlOf(scheme, listen)
  return `  ${paint('cyan', where)}${isEverywhere(listen) ? ' (on all addresses)' : ''}  →  ${to}${details}`
}

/** A URL that a terminal makes a link of: "all addresses" is no place to go to, so this machine stands for it. */
export function urlOf(scheme: 'https' | 'http', listen: Exclude<Endpoint, { family: 'unix' }>): string {
  const isDefault = listen.port === (scheme === 'https' ? 443 : 80)
  const [, host] = /^(.*):\d+$/.exec(isEverywhere(listen) ? `localhost:${listen.port}` : String(listen)) ?? []
  return `${scheme}://${host}${isDefault ? '' : `:${listen.port}`}/`
}

function isEverywhere(listen: Endpoint): boolean {
  return 'host' in listen && (listen.host === '::' || listen.host === '0.0.0.0')
}

function describeCertificate({ names, expires, selfSigned }: NonNullable<Banner['certificate']>): string {
  const kind = selfSigned ? 'self-signed, ' : ''
  return `  certificate  ${names.join(', ')}  (${kind}expires ${expires.toISOString().slice(0, 10)})`
}
