// What every command that serves has in common: logs, the shutdown by signals, the banner, the exit code.
import { configureLogging, errorCode, type Logger, logger, Shutdown } from '../core/index.ts'
import { type Banner, printBanner } from './banner.ts'
import { ExitCode } from './exit.ts'

export interface RunOptions {
  /** JSON logs, and the banner as a log line. */
  readonly json?: boolean
  /** As `--drain-limit` has it. */
  readonly drainLimit: string
  /** Standard output has the lines of a log: the banner must not be among them. */
  readonly stdoutIsLog?: boolean
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
  const directives = process.env.SLUICE_LOG || options.logs
  configureLogging({
    ...(options.json === true && { format: 'json' }),
    ...(directives !== undefined && { directives }),
  })
  const log = logger('sluice')
  const report = (signal: NodeJS.Signals, step: 'drain' | 'abort'): void =>
    step === 'drain'
      ? log.info(
          { signal, limit: options.drainLimit },
          'draining: new connections are refused; signal again to stop at once',
        )
      : log.warn({ signal }, 'stopping at once')
  const shutdown = Shutdown.onSignals({
    // Checked by the option's parser.
    limit: options.drainLimit as `${number}s`,
    // When it has been done: who reads that connections are refused may rely on it.
    onSignal: (signal, step) => queueMicrotask(() => report(signal, step)),
  })
  surviveFaults(log)
  const banner = await start(shutdown)
  printBanner(banner, placeOfBanner(options))

  const { result, open, reason, duration: exact } = await shutdown.done
  const duration = Math.round(exact)
  if (result === 'cut') log.warn({ reason, duration, open }, 'cut: not everything had finished')
  else log.info({ reason, duration }, 'drained')
  process.exitCode = result === 'cut' ? ExitCode.failed : ExitCode.drained
}

/** Where people see it, and no program that reads lines stumbles over it. */
function placeOfBanner({ json, stdoutIsLog }: RunOptions): 'stdout' | 'stderr' | 'log' {
  if (json === true) return 'log'
  if (stdoutIsLog !== true) return 'stdout'
  return process.stderr.isTTY ? 'stderr' : 'log'
}

/** A fault that nobody caught ends what it was part of, not the connections of everybody else. */
function surviveFaults(log: Logger): void {
  const report = (error: unknown): void => log.error({ code: errorCode(error), error }, 'uncaught')
  process.on('uncaughtException', report)
  process.on('unhandledRejection', report)
  // Whoever reads the banner may stop reading: `sluice tls … | head -1`.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}
