#!/usr/bin/env node
// The command line: `sluice demo`, `sluice tls`, … One file a command; this one reads the arguments and sets the exit code.
import { Command, CommanderError } from 'commander'
import { isSluiceError } from '../core/index.ts'
import { demoCommand } from './demo.ts'
import { describeFailure, ExitCode, exitCodeOf } from './exit.ts'
import { tlsCommand } from './tls.ts'
import { version } from './version.ts'

const EXAMPLES = `
Examples:
  $ sluice demo
  $ sluice tls --listen 8443 --to 3000
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

for (const command of [demoCommand(), tlsCommand()])
  program.addCommand(command.copyInheritedSettings(program))

try {
  await program.parseAsync()
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

/** One line, whatever commander says: it puts "Did you mean …?" on a line of its own. */
function usageError(text: string): string {
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll(/\s*\n\s*/g, ' ')
  return `sluice: ${line}; --help shows what there is [USAGE]\n`
}
