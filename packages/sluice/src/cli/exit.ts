// Exit codes, and failures in one line.
import { type ErrorCode, isSluiceError } from '../core/index.ts'

export const ExitCode = {
  /** Stopped as asked, with everything in flight finished. */
  drained: 0,
  /** Could not start, or was cut at the limit of the drain. */
  failed: 1,
  /** The command line could not be understood. */
  usage: 2,
} as const

/** Errors that the arguments themselves are the reason of. */
const USAGE: ReadonlySet<ErrorCode> = new Set([
  'USAGE',
  'ADDRESS_INVALID',
  'CIDR_INVALID',
  'DURATION_INVALID',
  'SIZE_INVALID',
  'TLS_OPTION_INVALID',
])

export function exitCodeOf(code: ErrorCode): number {
  return USAGE.has(code) ? ExitCode.usage : ExitCode.failed
}

/** One line that says what to do for what was foreseen; the stack for what was not. */
export function describeFailure(error: unknown): string {
  if (isSluiceError(error)) return `${error.message} [${error.code}]`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
