// What becomes of a failed request: one log line with the code, and a short answer.
import { errorFields, errorLevel, isSluiceError, logger } from '../core/index.ts'
import type { Connection } from '../net/index.ts'
import { type HttpResponse, text } from './response.ts'
import { reasonPhrase } from './status.ts'

const log = logger('http')

/** Logs a failure, once, where it ends; how loud depends on who caused it. */
export function logFailure({ id, peer }: Connection, error: unknown, what: string): void {
  const level = errorLevel(error)
  if (!log.isLevelEnabled(level)) return
  const message = isSluiceError(error) ? `${what}: ${error.message}` : what
  log[level]({ connection: id, peer, ...errorFields(error) }, message)
}

/** The answer to a failed request: status, reason and code. What happened inside is for the log. */
export function failureAnswer(error: unknown): HttpResponse {
  const status = (isSluiceError(error) ? error.status : undefined) ?? 500
  const code = isSluiceError(error) ? error.code : 'INTERNAL'
  return text(`${status} ${reasonPhrase(status)}: ${code}\n`, { status })
}
