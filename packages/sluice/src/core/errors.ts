// One error class with a literal code from one table.
import { type ErrorCode, type ErrorKind, errorTable } from './error-table.ts'

export type { ErrorCode, ErrorKind, Retry, Side } from './error-table.ts'
export { errorTable } from './error-table.ts'

/**
 * Every error that Sluice raises by itself. `code` is stable and listed in docs/errors.md; `side` says who caused it,
 * `retry` whether the same work may be tried again, `status` what an HTTP client is answered. What the platform said
 * is the `cause`.
 */
export class SluiceError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'SluiceError'
  readonly code: Code
  readonly side: ErrorKind['side']
  readonly retry: ErrorKind['retry']
  readonly status: number | undefined

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    const kind: ErrorKind = errorTable[code]
    this.code = code
    this.side = kind.side
    this.retry = kind.retry
    this.status = kind.status
  }
}

/** Whether a value is a `SluiceError`, with a certain code if one is given. */
export function isSluiceError<Code extends ErrorCode>(
  value: unknown,
  code?: Code,
): value is SluiceError<Code> {
  return value instanceof SluiceError && (code === undefined || value.code === code)
}

/** The code of any error for a log line: ours, the platform's (`ECONNRESET`), or `INTERNAL`. */
export function errorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code
  return 'INTERNAL'
}
