// What becomes of a failed request: one log line with the code, and a short answer.
import { errorCode, isSluiceError, logger } from '../core/index.ts'
import { type HttpResponse, text } from './response.ts'
import { reasonPhrase } from './status.ts'

const log = logger('http')

/** Logs a failure, once, where it ends; how loud depends on who caused it. */
export function logFailure(connection: string, error: unknown, message: string, details: object = {}): void {
  const code = errorCode(error)
  log[levelOf(error)]({ connection, code, error, ...details }, message)
}

/** What a client does wrong is the day's work; what a backend does wrong needs a look; the rest is a fault of ours. */
function levelOf(error: unknown): 'info' | 'warn' | 'error' {
  if (!isSluiceError(error) || error.side === 'internal') return 'error'
  return error.side === 'downstream' ? 'info' : 'warn'
}

/** The answer to a failed request: status, reason and code. What happened inside is for the log. */
export function failureAnswer(error: unknown): HttpResponse {
  const status = (isSluiceError(error) ? error.status : undefined) ?? 500
  const code = isSluiceError(error) ? error.code : 'INTERNAL'
  return text(`${status} ${reasonPhrase(status)}: ${code}\n`, { status })
}
