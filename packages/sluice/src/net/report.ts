// What a listener logs: one line for a service that failed, and few for what happens in floods.
import { errorCode, isSluiceError, type Logger } from '../core/index.ts'
import type { Connection } from './connection.ts'

/** What happens in floods is logged at most once in this time, in ms, with how often it happened. */
const LOG_INTERVAL = 1000

/** Logs what a service threw, at a level by whose fault it is. */
export function report(log: Logger, connection: Connection, error: unknown): void {
  const level = levelOf(error)
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      connection: connection.id,
      peer: connection.peer,
      address: connection.local,
      ...described(error),
    },
    error instanceof Error ? error.message : 'a service threw something that is not an error',
  )
}

/** The message of the line is that of the error: what is told beside it is told once. */
function described(error: unknown): object {
  const code = errorCode(error)
  if (isSluiceError(error)) {
    return { code, side: error.side, ...(error.cause !== undefined && { cause: error.cause }) }
  }
  // What nobody foresaw is told in full, with its stack.
  return LOST.has(code) ? { code } : { code, error }
}

/** What the platform says when a peer goes away. */
const LOST = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE'])

/** What a client does wrong is the day's work; what a backend does wrong needs a look; the rest is a fault of ours. */
function levelOf(error: unknown): 'info' | 'warn' | 'error' {
  if (!isSluiceError(error)) return LOST.has(errorCode(error)) ? 'info' : 'error'
  return error.side === 'downstream' ? 'info' : error.side === 'upstream' ? 'warn' : 'error'
}

/** Calls at most once in an interval, with how many times it was called since. */
export function rarely(report: (fields: object, times: number) => void): (fields: object) => void {
  let times = 0
  let last = Number.NEGATIVE_INFINITY
  return fields => {
    times += 1
    const now = performance.now()
    if (now - last < LOG_INTERVAL) return
    last = now
    report(fields, times)
    times = 0
  }
}
