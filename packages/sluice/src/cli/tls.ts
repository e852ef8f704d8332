// `sluice tls`: a TLS termination proxy in front of any TCP backend.
import { Command } from 'commander'
import { logger, type Service, type Shutdown, stack } from '../core/index.ts'
import { type Connection, forward, listen, parseEndpoint } from '../net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../proxy-protocol/index.ts'
import { acceptTls, type CertificateSource } from '../tls/index.ts'
import type { Banner } from './banner.ts'
import {
  type CertificateOptions,
  certificateOf,
  certOption,
  keyOption,
  passphraseFileOption,
} from './certificate-options.ts'
import { acceptProxyOption, checked, drainLimitOption, jsonOption, list, sendProxyOption } from './options.ts'
import { run } from './run.ts'

interface TlsOptions extends CertificateOptions {
  readonly listen: string
  readonly to: string
  readonly alpn?: readonly string[]
  readonly sendProxy?: 'v1' | 'v2'
  readonly acceptProxy?: readonly string[]
  readonly clientHello?: true
  readonly drainLimit: string
  readonly json?: true
}

const EXAMPLES = `
Examples:
  A self-signed certificate in front of a local service:
  $ sluice tls --listen 8443 --to 3000

  An edge with its own certificate, telling the backend who the client is:
  $ sluice tls --listen :443 --to 10.0.0.5:8080 --cert site.pem --key site.key --send-proxy v2

  Behind a load balancer that sends PROXY headers:
  $ sluice tls --listen :443 --to unix:/run/app.sock --accept-proxy 10.0.0.0/8 --send-proxy v1
`

export function tlsCommand(): Command {
  return new Command('tls')
    .description('Terminate TLS, and forward the bytes to a TCP backend.')
    .requiredOption(
      '-l, --listen <address>',
      'where to listen: 127.0.0.1:8443, :443 (all addresses), 8443 (this machine only), unix:/path',
      checked('--listen', text => parseEndpoint(text, 'listen')),
    )
    .requiredOption(
      '-t, --to <address>',
      'the backend: 10.0.0.5:8080, 3000 (this machine), unix:/run/app.sock',
      checked('--to', text => parseEndpoint(text, 'connect')),
    )
    .addOption(certOption())
    .addOption(keyOption())
    .addOption(passphraseFileOption())
    .option(
      '--alpn <list>',
      'application protocols to offer, most preferred first, such as h2,http/1.1',
      list('--alpn'),
    )
    .addOption(sendProxyOption())
    .addOption(acceptProxyOption())
    .option('--client-hello', 'log the ClientHello of each connection, with JA4')
    .addOption(drainLimitOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (options: TlsOptions) => run(options, shutdown => terminate(options, shutdown)))
}

async function terminate(options: TlsOptions, shutdown: Shutdown): Promise<Banner> {
  const certificate = certificateOf(options, parseEndpoint(options.listen, 'listen'))
  const secure = secureService(options, certificate)
  const service =
    options.acceptProxy === undefined
      ? secure
      : stack<Connection>()
          .layer(acceptProxyHeader({ trust: options.acceptProxy }))
          .service(secure)
  const listener = await listen(options.listen, { shutdown }, service)

  const notes = [
    ...(options.acceptProxy === undefined ? [] : ['PROXY header required']),
    'TLS terminated',
    ...(options.alpn === undefined ? [] : [`ALPN ${options.alpn.join(', ')}`]),
    ...(options.sendProxy === undefined ? [] : [`PROXY ${options.sendProxy} sent`]),
  ]
  return {
    routes: [
      { scheme: 'https', listen: listener.address, to: String(parseEndpoint(options.to, 'connect')), notes },
    ],
    certificate: await certificate.describe(),
    hints: [],
  }
}

function secureService(options: TlsOptions, certificate: CertificateSource): Service<Connection> {
  const settings = { certificate, ...(options.alpn !== undefined && { alpn: options.alpn }) }
  const onward = forward(
    options.to,
    options.sendProxy === undefined
      ? {}
      : { connect: sendProxyHeader({ version: options.sendProxy === 'v1' ? 1 : 2 }) },
  )
  if (options.clientHello !== true) return stack<Connection>().layer(acceptTls(settings)).service(onward)
  const log = logger('tls')
  return stack<Connection>()
    .layer(acceptTls({ ...settings, clientHello: true }))
    .tap(({ id, peer, tls }) =>
      log.info({ connection: id, peer, clientHello: tls.clientHello }, 'ClientHello'),
    )
    .service(onward)
}
