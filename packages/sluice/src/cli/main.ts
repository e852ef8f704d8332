#!/usr/bin/env node
// The command line: `sluice proxy`, `sluice tls`, … One file a command; this one reads the arguments and sets the exit code.
import { Command, CommanderError } from 'commander'
import { isSluiceError } from '../core/index.ts'
import { demoCommand } from './demo.ts'
import { describeFailure, ExitCode, exitCodeOf } from './exit.ts'
import { proxyCommand } from './proxy.ts'
import { looksLikeUpstream } from './proxy-addresses.ts'
import { tlsCommand } from './tls.ts'
import { version } from './version.ts'

const EXAMPLES = `
Examples:
  HTTPS on https://localhost:8443/ for a server on port 3000:
  $ sluice 3000

  All options, with more examples:
  $ sluice proxy --help
  $ sluice tls --help
`

const program = new Command('sluice')
  .description('A reverse proxy that people program in TypeScript.')
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .option('--no-color', 'print without colours, as with NO_COLOR=1 in the environment')
  .on('option:no-color', () => {
    process.env.NO_COLOR = '1'
  })
  .addHelpText('after', EXAMPLES)
  .configureOutput({ outputError: (text, write) => write(usageError(text)) })
  .exitOverride()

for (const command of [proxyCommand(), tlsCommand(), demoCommand()])
  program.addCommand(command.copyInheritedSettings(program))

try {
  await program.parseAsync(withCommand(process.argv.slice(2)), { from: 'user' })
} catch (error) {
  // Commander has printed by then what it refused, and the help that was asked for.
  if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? ExitCode.drained : ExitCode.usage
  else {
    process.stderr.write(`sluice: ${describeFailure(error)}\n`)
    process.exitCode = isSluiceError(error) ? exitCodeOf(error.code) : ExitCode.failed
  }
}
// Not left to the event loop: what was cut may still hold it.
process.exit()

/** `sluice 3000` is short for `sluice proxy 3000`: an upstream stands where a command is expected. */
function withCommand(args: readonly string[]): readonly string[] {
  const first = args.find(argument => !argument.startsWith('-'))
  return first !== undefined && looksLikeUpstream(first) ? ['proxy', ...args] : args
}

/** One line, whatever commander says: it puts "Did you mean …?" on a line of its own. */
function usageError(text: string): string {
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll(/\s*\n\s*/g, ' ')
  return `sluice: ${line}; --help shows what there is [USAGE]\n`
}
