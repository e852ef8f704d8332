// What a log line tells of an error, the same for every part that logs one.
import { errorCode, isSluiceError } from './errors.ts'

/** How loud: what a client does wrong is the day's work; what a backend does wrong needs a look; the rest is a fault of ours. */
export function errorLevel(error: unknown): 'info' | 'warn' | 'error' {
  if (!isSluiceError(error)) return 'error'
  return error.side === 'downstream' ? 'info' : error.side === 'upstream' ? 'warn' : 'error'
}

/**
 * The fields beside the message: `code`, `side`, and `cause` if there is one; all of an error that nobody foresaw, with
 * its stack, as `error`.
 */
export function errorFields(error: unknown): object {
  const code = errorCode(error)
  if (!isSluiceError(error)) return { code, error }
  return { code, side: error.side, ...(error.cause !== undefined && { cause: error.cause }) }
}
