// What becomes of a failed request: one log line with the code, and a short answer.
import { errorFields, errorLevel, isSluiceError, logger } from '../core/index.ts'
import type { Connection } from '../net/index.ts'
import { errorPage } from './error-page.ts'
import type { HttpRequest } from './request.ts'
import type { HttpResponse } from './response.ts'

const log = logger('http')

/** Causes can be endless, as an error may be its own cause. */
const DEEPEST_CAUSE = 8

/** Logs a failure, once, where it ends; how loud depends on who caused it. */
export function logFailure({ id, peer }: Connection, error: unknown, what: string): void {
  const level = errorLevel(error)
  if (!log.isLevelEnabled(level)) return
  const message = isSluiceError(error) ? `${what}: ${error.message}` : what
  log[level]({ connection: id, peer, ...errorFields(error) }, message)
}

/**
 * The answer to a failed request: status, reason, code and the request's id, as HTML, JSON or text by the request's
 * Accept. What happened inside is for the log.
 *
 * @param request undefined if it could not be read
 * @param development shows what happened inside, too: the messages of the error and of its causes
 */
export function failureAnswer(
  error: unknown,
  request?: HttpRequest,
  development: boolean = false,
): HttpResponse {
  const status = (isSluiceError(error) ? error.status : undefined) ?? 500
  const code = isSluiceError(error) ? error.code : 'INTERNAL'
  const notes = request?.notes
  if (notes !== undefined) notes.error ??= code
  return errorPage({ status, code, ...(development && { messages: messagesOf(error) }) }, request)
}

function messagesOf(error: unknown): string[] {
  const messages: string[] = []
  let cause = error
  for (let depth = 0; depth <= DEEPEST_CAUSE && cause !== undefined; depth++) {
    if (!(cause instanceof Error)) {
      if (typeof cause === 'string') messages.push(cause)
      break
    }
    messages.push(`${cause.message}`)
    // One error for each address that a connection was tried to.
    if (cause instanceof AggregateError) {
      for (const each of cause.errors.slice(0, DEEPEST_CAUSE)) {
        if (each instanceof Error) messages.push(`${each.message}`)
      }
    }
    cause = cause.cause
  }
  return messages.filter(message => message !== '')
}
