// What a listener logs: one line for a service that failed, and few for what happens in floods.
import { errorCode, errorFields, errorLevel, type Logger } from '../core/index.ts'
import type { Connection } from './connection.ts'

/** What happens in floods is logged at most once in this time, in ms, with how often it happened. */
const LOG_INTERVAL = 1000

/** Logs what a service threw, at a level by whose fault it is. */
export function report(log: Logger, connection: Connection, error: unknown): void {
  const code = errorCode(error)
  const lost = LOST.has(code)
  const level = lost ? 'info' : errorLevel(error)
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      connection: connection.id,
      peer: connection.peer,
      address: connection.local,
      ...(lost ? { code } : errorFields(error)),
    },
    // The message of the line is that of the error: what is told beside it is told once.
    error instanceof Error ? error.message : 'a service threw something that is not an error',
  )
}

/** What the platform says when a peer goes away. */
const LOST = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE'])

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
