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
/**
 * What is wrong with the directives is said once, before the first line that is logged: loggers are made when modules are
 * loaded, and only later is it known in which format and where to lines go.
 */
let warnings: readonly string[] = []
const said = new Set<string>()

const settings: LoggerOptions = {
  level: 'trace',
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: label => ({ level: label }) },
  errorKey: 'error',
  serializers: {
    error: error => describeError(error, DEEPEST_CAUSE),
    cause: error => describeError(error, DEEPEST_CAUSE),
  },
}

const root: Logger = pino(settings, {
  write(line: string): void {
    destination ??= open({})
    warn()
    destination.write(line)
  },
})

/** The logger of a target, a part of the program such as `tls` or `net`. The same target gives the same logger. */
export function logger(target: string): Logger {
  let log = loggers.get(target)
  if (log === undefined) {
    log = root.child({ target }, { level: current().levelOf(target) })
    loggers.set(target, log)
  }
  return log
}

/** Sets levels, format and destination for all loggers, those that exist already too. */
export function configureLogging(options: LoggingOptions): void {
  directives = read(options.directives ?? process.env.SLUICE_LOG ?? '')
  destination = open(options)
  for (const [target, log] of loggers) log.level = directives.levelOf(target)
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
  for (const warning of pending) {
    if (said.has(warning)) continue
    said.add(warning)
    root.child({ target: 'log' }).warn(warning)
  }
}

function open(options: LoggingOptions): { write(line: string): void } {
  const out = options.destination ?? standardError()
  const terminal = options.destination === undefined && process.stderr.isTTY === true
  if ((options.format ?? (terminal ? 'pretty' : 'json')) === 'json') return out
  // Loaded only for people: it takes longer to load than everything else here. Its stream would lose the last lines
  // of a process that exits, so that only its formatting is used.
  const { prettyFactory } = require('pino-pretty') as typeof import('pino-pretty')
  const pretty = prettyFactory({
    colorize: terminal && !process.env.NO_COLOR,
    ignore: 'target',
    messageFormat: '{target}: {msg}',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
  return { write: line => out.write(pretty(JSON.parse(line, visible))) }
}

/** Standard error, written at once. A full disk or a closed pipe at its end must not end a proxy. */
function standardError(): { write(line: string): void } {
  const stream = pino.destination({ fd: 2, sync: true })
  stream.on('error', () => {})
  return stream
}

/** The fields that are printed as they are; others are printed as JSON, which escapes most of what has to be. */
const RAW = new Set(['msg', 'target', 'stack', 'time', 'level', 'name', 'hostname', 'pid', 'caller'])

/** Control characters as escapes: what a peer sent must not forge lines or move the cursor of a terminal. */
function visible(key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value.replace(/\p{Cc}/gu, character => {
    if (character >= ' ') return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
    return RAW.has(key) && !(key === 'stack' && character === '\n')
      ? JSON.stringify(character).slice(1, -1)
      : character
  })
}

/** Causes can be endless, as an error may be its own cause. */
const DEEPEST_CAUSE = 8

/** An error in a log line: code, message and the chain of causes; the stack only of what nobody foresaw. */
function describeError(error: unknown, depth: number): unknown {
  if (!(error instanceof Error)) return error
  const code = errorCode(error)
  const foreseen = code !== 'INTERNAL' && !isMistake(error)
  return {
    code,
    message: error.message,
    ...(!foreseen && { stack: error.stack }),
    ...(depth > 0 && {
      ...(error.cause !== undefined && { cause: describeError(error.cause, depth - 1) }),
      // One error for each address that a connection was tried to.
      ...(error instanceof AggregateError && { errors: error.errors.map(each => describeError(each, 0)) }),
    }),
  }
}

/** Node gives its argument errors codes, but they are mistakes in a program like those of the language. */
function isMistake(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
}
