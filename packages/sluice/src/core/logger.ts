// Structured logs by target, with a level for each target: `SLUICE_LOG=info,tls=debug,proxy-protocol=trace`.
import { createRequire } from 'node:module'
import { type LoggerOptions, type Logger as PinoLogger, pino } from 'pino'
import { errorCode } from './errors.ts'
import { type LogDirectives, parseLogDirectives } from './log-directives.ts'

export type { LogLevel } from './log-directives.ts'

/** A pino logger: `log.debug({ ...fields }, 'message')`. A level that is off is an empty function. */
export type Logger = PinoLogger

export interface LoggingOptions {
  /** Levels by target. @default the environment's `SLUICE_LOG`, else `info` */
  readonly directives?: string
  /** @default 'pretty' on a terminal, 'json' elsewhere */
  readonly format?: 'json' | 'pretty'
  /** Where lines go. @default standard error */
  readonly destination?: { write(line: string): void }
}

const require = createRequire(import.meta.url)
const loggers = new Map<string, Logger>()
let directives: LogDirectives | undefined
let destination: { write(line: string): void } | undefined
/** What is wrong with the directives is said once, with the first line that is logged, so that it reaches the reader. */
let warnings: readonly string[] = []

const settings: LoggerOptions = {
  level: 'trace',
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: label => ({ level: label }) },
  serializers: { error: describeError },
}

const root: Logger = pino(settings, {
  write(line: string): void {
    destination ??= open({})
    destination.write(line)
  },
})

/** The logger of a target, a part of the program such as `tls` or `net`. The same target gives the same logger. */
export function logger(target: string): Logger {
  let log = loggers.get(target)
  if (log === undefined) {
    log = root.child({ target }, { level: current().levelOf(target) })
    loggers.set(target, log)
    warn()
  }
  return log
}

/** Sets levels, format and destination for all loggers, those that exist already too. */
export function configureLogging(options: LoggingOptions): void {
  directives = read(options.directives ?? process.env.SLUICE_LOG ?? '')
  destination = open(options)
  for (const [target, log] of loggers) log.level = directives.levelOf(target)
  warn()
}

function current(): LogDirectives {
  directives ??= read(process.env.SLUICE_LOG ?? '')
  return directives
}

function read(text: string): LogDirectives {
  const parsed = parseLogDirectives(text)
  warnings = parsed.warnings
  return parsed
}

function warn(): void {
  const pending = warnings
  warnings = []
  for (const warning of pending) root.child({ target: 'log' }).warn(warning)
}

function open(options: LoggingOptions): { write(line: string): void } {
  const target = options.destination
  const format = options.format ?? (target === undefined && process.stderr.isTTY ? 'pretty' : 'json')
  if (format === 'json') return target ?? pino.destination({ fd: 2, sync: true })
  // Loaded only for people: it takes longer to load than everything else here.
  const { build } = require('pino-pretty') as typeof import('pino-pretty')
  return build({
    destination: target === undefined ? 2 : writable(target),
    sync: true,
    colorize: target === undefined && process.stderr.isTTY === true,
    ignore: 'target',
    messageFormat: '{target}: {msg}',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
}

function writable(target: { write(line: string): void }): NodeJS.WritableStream {
  const { Writable } = require('node:stream') as typeof import('node:stream')
  return new Writable({
    write(chunk, _encoding, done) {
      target.write(String(chunk))
      done()
    },
  })
}

/** An error in a log line: code, message and the chain of causes; the stack only of what nobody foresaw. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = errorCode(error)
  return {
    code,
    message: error.message,
    ...(code === 'INTERNAL' && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  }
}
