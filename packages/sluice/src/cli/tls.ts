// `sluice tls`: a TLS termination proxy in front of any TCP backend.
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { errorCode, logger, type Service, type Shutdown, SluiceError, stack } from '../core/index.ts'
import { type Connection, forward, listen, networks, parseEndpoint } from '../net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../proxy-protocol/index.ts'
import { acceptTls, type CertificateSource, fromFiles, selfSigned } from '../tls/index.ts'
import type { Banner } from './banner.ts'
import { checked, drainLimitOption, jsonOption, list } from './options.ts'
import { run } from './run.ts'

interface TlsOptions {
  readonly listen: string
  readonly to: string
  readonly cert?: string
  readonly key?: string
  readonly passphraseFile?: string
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
    .option('--cert <file>', 'the certificate chain, PEM (without it, a self-signed one is made)')
    .option(
      '--key <file>',
      'the private key of the certificate, PEM (without it, it is in the file of --cert)',
    )
    .option('--passphrase-file <file>', 'a file with the passphrase of an encrypted key')
    .option(
      '--alpn <list>',
      'application protocols to offer, most preferred first, such as h2,http/1.1',
      list('--alpn'),
    )
    .addOption(
      new Option('--send-proxy <version>', 'tell the backend who the client is with a PROXY header').choices([
        'v1',
        'v2',
      ]),
    )
    .option(
      '--accept-proxy <networks>',
      'require a PROXY header, and believe it from these networks, such as 10.0.0.0/8,loopback',
      networkList,
    )
    .option('--client-hello', 'log the ClientHello of each connection, with JA4')
    .addOption(drainLimitOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async (options: TlsOptions) => run(options, shutdown => terminate(options, shutdown)))
}

function networkList(text: string): readonly string[] {
  const items = list('--accept-proxy')(text)
  checked('--accept-proxy', () => networks(items))(text)
  return items
}

async function terminate(options: TlsOptions, shutdown: Shutdown): Promise<Banner> {
  const certificate = certificateOf(options)
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

function certificateOf({ cert, key, passphraseFile, listen: address }: TlsOptions): CertificateSource {
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
  const endpoint = parseEndpoint(address, 'listen')
  if (endpoint.family === 'unix') return selfSigned()
  const host = endpoint.family === 'name' ? endpoint.name : endpoint.host
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
