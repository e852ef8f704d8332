// `sluice proxy`, and `sluice 3000` for short: a reverse proxy for HTTP/1.1, HTTP/2 and WebSocket.
import { Command, Option } from 'commander'
import { logger, type Service, type Shutdown, stack } from '../core/index.ts'
import {
  accessLog,
  type HttpRequest,
  type HttpResponse,
  requestId,
  serveHttp,
  trustForwarded,
} from '../http/index.ts'
import type { Connection, Endpoint } from '../net/index.ts'
import { reverseProxy } from '../proxy/index.ts'
import { acceptProxyHeader, type ProxyHeaderClient, sendProxyHeader } from '../proxy-protocol/index.ts'
import { acceptTls, type CertificateSource } from '../tls/index.ts'
import { type Banner, urlOf } from './banner.ts'
import { certificateOf, certOption, keyOption, passphraseFileOption } from './certificate-options.ts'
import { listenAt, withOption } from './local-listeners.ts'
import {
  acceptProxyOption,
  checked,
  drainLimitOption,
  jsonOption,
  networksOption,
  sendProxyOption,
} from './options.ts'
import { parseFrom, parseTo } from './proxy-addresses.ts'
import { type ProxyOptions, type ProxySettings, proxySettings } from './proxy-settings.ts'
import { run } from './run.ts'

const EXAMPLES = `
Examples:
  HTTPS on https://localhost:8443/ for a server on port 3000:
  $ sluice 3000

  An edge with its own certificate, and two upstreams in turn:
  $ sluice proxy --from :443 --to 10.0.0.5:8080 --to 10.0.0.6:8080 --cert site.pem --key site.key

  Behind a CDN that tells who the client is:
  $ sluice proxy --from :443 --to unix:/run/app.sock --cert site.pem --trust 192.0.2.0/24

  Plain HTTP in, verified HTTPS out:
  $ sluice proxy --http --to https://app.example --host upstream
`

export function proxyCommand(): Command {
  return new Command('proxy')
    .summary('Hand HTTP requests on to upstreams; `sluice 3000` for short.')
    .description(
      'Hand HTTP requests on to upstreams: HTTP/1.1, HTTP/2 and WebSocket, with TLS in front.\n`sluice 3000` is short for `sluice proxy --to 3000`.',
    )
    .argument('[upstreams...]', 'as --to')
    .option(
      '-f, --from <address>',
      'where to listen: 8443 (this machine only), :443 (all addresses), localhost:8443, http://:80, unix:/path (default: localhost:8443, with --http localhost:8080)',
      checked('--from', parseFrom),
    )
    .option(
      '-t, --to <url>',
      'an upstream: 3000 (this machine), 10.0.0.5:8080, https://app.example, h2c://10.0.0.5:8080, unix:/run/app.sock; several take turns',
      repeated(checked('--to', parseTo)),
    )
    .option('--http', 'serve without TLS')
    .addOption(certOption())
    .addOption(keyOption())
    .addOption(passphraseFileOption())
    .addOption(acceptProxyOption())
    .addOption(sendProxyOption())
    .addOption(
      networksOption(
        '--trust',
        'believe what proxies in these networks say of the client (X-Forwarded-*, Forwarded) and of the request (X-Request-Id)',
      ),
    )
    .addOption(
      new Option('--host <host>', 'the Host that upstreams are told: that of the request, or their own')
        .choices(['keep', 'upstream'])
        .default('keep'),
    )
    .option('--ca <file>', 'the CAs of https upstreams, PEM (without it, those of the platform)')
    .option(
      '--unsafe-skip-verify',
      'DANGER: take any certificate from https upstreams, so that whoever is on the way can read and change everything',
    )
    .addOption(
      new Option(
        '--access-log <format>',
        'a line for each request, on standard output (default: pretty on a terminal, json elsewhere)',
      ).choices(['pretty', 'json', 'combined', 'off']),
    )
    .option(
      '--development',
      'show in answers to failed requests what happened inside (default: only if --from, --trust and --accept-proxy are left out)',
    )
    .option('--no-development', 'never show that')
    .addOption(drainLimitOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (more: readonly string[], options: ProxyOptions) => {
      const upstreams = [...(options.to ?? []), ...more.map(checked('upstream', parseTo))]
      const settings = proxySettings({ ...options, to: upstreams })
      const isLog = settings.accessLog === 'json' || settings.accessLog === 'combined'
      await run({ ...options, stdoutIsLog: isLog }, shutdown => proxy(settings, shutdown))
    })
}

function repeated(read: (text: string) => string): (text: string, previous?: readonly string[]) => string[] {
  return (text, previous = []) => [...previous, read(text)]
}

async function proxy(settings: ProxySettings, shutdown: Shutdown): Promise<Banner> {
  const { scheme, to, acceptProxy, sendProxy, unsafeSkipVerify } = settings
  const certificate = scheme === 'https' ? certificateOf(settings, settings.listen) : undefined
  const listen = await listenAt(
    settings.listen,
    { shutdown },
    connectionService(settings, certificate),
  ).catch(error => {
    throw withOption(error, '--from', settings.listen)
  })
  if (unsafeSkipVerify) {
    logger('sluice').warn(
      'certificates of upstreams are not verified (--unsafe-skip-verify): whoever is on the way can read and change everything',
    )
  }
  const described = await certificate?.describe()
  return {
    routes: [
      {
        scheme,
        listen,
        to: to.join(', '),
        notes: [
          ...(acceptProxy === undefined ? [] : ['PROXY header required']),
          ...(to.length > 1 ? ['in turn'] : []),
          ...(sendProxy === undefined ? [] : [`PROXY ${sendProxy} sent`]),
          ...(unsafeSkipVerify ? ['NOT verified'] : []),
        ],
      },
    ],
    ...(described !== undefined && { certificate: described }),
    // Only where it will work as it stands: a certificate of one's own may be for names that lead elsewhere.
    hints: described === undefined || described.selfSigned ? [`Try: ${curl(settings, listen)}`] : [],
  }
}

function curl({ scheme, acceptProxy }: ProxySettings, listen: Endpoint): string {
  const words = [
    'curl',
    ...(scheme === 'https' ? ['-k'] : []),
    ...(acceptProxy === undefined ? [] : ['--haproxy-protocol']),
    ...(listen.family === 'unix' ? ['--unix-socket', listen.path] : []),
    listen.family === 'unix' ? `${scheme}://localhost/` : urlOf(scheme, listen),
  ]
  return words.join(' ')
}

function connectionService(
  settings: ProxySettings,
  certificate: CertificateSource | undefined,
): Service<Connection> {
  const requests = serveHttp(requestService(settings), { development: settings.development })
  const secured =
    certificate === undefined
      ? requests
      : stack<Connection>()
          .layer(acceptTls({ certificate, alpn: ['h2', 'http/1.1', 'http/1.0'] }))
          .service(requests)
  if (settings.acceptProxy === undefined) return secured
  return stack<Connection>()
    .layer(acceptProxyHeader({ trust: settings.acceptProxy }))
    .service(secured)
}

function requestService(settings: ProxySettings): Service<HttpRequest, HttpResponse> {
  const { to, host, sendProxy, ca, unsafeSkipVerify, trust = [] } = settings
  const identified = stack<HttpRequest, HttpResponse>()
    .layer(requestId({ trust }))
    .layer(trustForwarded({ trust }))
    .service(
      reverseProxy<ProxyHeaderClient>(to, {
        host,
        tls: { ...(ca !== undefined && { ca }), unsafeSkipVerify: unsafeSkipVerify === true },
        ...(sendProxy !== undefined && { connect: sendProxyHeader({ version: sendProxy === 'v1' ? 1 : 2 }) }),
      }),
    )
  if (settings.accessLog === 'off') return identified
  return stack<HttpRequest, HttpResponse>()
    .layer(accessLog({ format: settings.accessLog }))
    .service(identified)
}
