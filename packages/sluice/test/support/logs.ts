// Captures what is logged, so that tests can say what was logged, and how often.
import { configureLogging } from '../../src/core/index.ts'

export interface LogLine {
  readonly level: string
  readonly target: string
  readonly msg: string
  readonly code?: string
  readonly [field: string]: unknown
}

/** Sends all log lines to the returned list from now on, for the rest of the test file. */
export function captureLogs(directives = 'info'): LogLine[] {
  const lines: LogLine[] = []
  configureLogging({
    directives,
    format: 'json',
    destination: { write: line => void lines.push(JSON.parse(line)) },
  })
  return lines
}
