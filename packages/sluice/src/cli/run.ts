// What every command that serves has in common: logs, the shutdown by signals, the banner, the exit code.
import { configureLogging, logger, Shutdown } from '../core/index.ts'
import { type Banner, printBanner } from './banner.ts'
import { ExitCode } from './exit.ts'

export interface RunOptions {
  /** JSON logs, and the banner as a log line. */
  readonly json: boolean
  /** As `--drain-limit` has it. */
  readonly drainLimit: string
  /** Log directives if the environment sets none. */
  readonly logs?: string
}

/** What a command has started: the lines of its banner. */
export type Start = (shutdown: Shutdown) => Promise<Banner>

/**
 * Starts, says so, and serves until the first signal; then drains, at most for the limit. Settles when all has ended,
 * with the exit code set.
 */
export async function run(options: RunOptions, start: Start): Promise<void> {
  const directives = process.env.SLUICE_LOG ?? options.logs
  configureLogging({
    ...(options.json && { format: 'json' }),
    ...(directives !== undefined && { directives }),
  })
  const log = logger('sluice')
  const shutdown = Shutdown.onSignals({
    // Checked by the option's parser.
    limit: options.drainLimit as `${number}s`,
    onSignal: (signal, step) =>
      step === 'drain'
        ? log.info(
            { signal, limit: options.drainLimit },
            'draining: new connections are refused; signal again to stop at once',
          )
        : log.warn({ signal }, 'stopping at once'),
  })
  const banner = await start(shutdown)
  // A fault that nobody caught ends what it was part of, not the connections of everybody else.
  process.on('uncaughtException', error => log.error({ error }, 'uncaught'))
  printBanner(banner, options.json)

  const { result, open, reason, duration } = await shutdown.done
  if (result === 'cut') log.warn({ reason, duration, open }, 'cut: not everything had finished')
  else log.info({ reason, duration }, 'drained')
  process.exitCode = result === 'cut' ? ExitCode.failed : ExitCode.drained
}
