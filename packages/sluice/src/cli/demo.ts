// `sluice demo`: TLS in front of a service that greets the real client, which it knows from the PROXY header.
import { Command } from 'commander'
import { logger, type Shutdown, stack } from '../core/index.ts'
import { serveHttp, text } from '../http/index.ts'
import { type Connection, forward, listen } from '../net/index.ts'
import { acceptProxyHeader, sendProxyHeader } from '../proxy-protocol/index.ts'
import { acceptTls, selfSigned } from '../tls/index.ts'
import type { Banner } from './banner.ts'
import { drainLimitOption, jsonOption } from './options.ts'
import { run } from './run.ts'

const TERMINATOR = '127.0.0.1:63801'
const GREETER = '127.0.0.1:62801'

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Run a TLS termination proxy in front of a service that greets the client, to see how it works.',
    )
    .addOption(drainLimitOption())
    .addOption(jsonOption())
    .addHelpText('after', `\nTry it:\n  $ sluice demo\n  $ curl -k https://${TERMINATOR}/\n`)
    .action(async (options: { drainLimit: string; json?: true }) => run({ ...options, logs: 'debug' }, demo))
}

async function demo(shutdown: Shutdown): Promise<Banner> {
  const log = logger('tls-termination')
  const certificate = selfSigned()

  const terminator = await listen(
    TERMINATOR,
    { shutdown },
    stack<Connection>()
      .layer(acceptTls({ certificate, clientHello: true, alpn: ['h2', 'http/1.1', 'http/1.0'] }))
      .tap(({ id, tls }) =>
        log.debug({ connection: id, clientHello: tls.clientHello }, 'secure connection established'),
      )
      .service(forward(GREETER, { connect: sendProxyHeader() })),
  )
  const greeter = await listen(
    GREETER,
    { shutdown },
    stack<Connection>()
      .layer(acceptProxyHeader({ trust: ['127.0.0.0/8'] }))
      .service(
        serveHttp(({ connection }) =>
          text(
            `hello client ${connection.proxied.source}, you were served by tls terminator proxy ${connection.peer}\r\n`,
          ),
        ),
      ),
  )
  return {
    routes: [
      {
        scheme: 'https',
        listen: terminator.address,
        to: GREETER,
        notes: ['TLS terminated', 'PROXY v2 sent'],
      },
      { scheme: 'http', listen: greeter.address, to: 'greeting', notes: ['PROXY header required'] },
    ],
    certificate: await certificate.describe(),
    hints: [`Try: curl -k https://${TERMINATOR}/`],
  }
}
