// What is wrong with an answer over HTTP/1.1, as errors of the upstream.
import { isSluiceError, SluiceError } from '../../core/index.ts'

/** What the parsers say about requests is said of an answer here. */
export function malformed(error: unknown): SluiceError {
  if (!isSluiceError(error)) return new SluiceError('INTERNAL', 'reading an answer failed', { cause: error })
  if (error.code === 'HTTP_UPSTREAM_MALFORMED') return error
  return new SluiceError('HTTP_UPSTREAM_MALFORMED', error.message, { cause: error })
}

/**
 * The connection is closed before the answer is complete.
 *
 * @param answered whether the head of the answer has come
 * @param begun whether some of its head has come
 * @param cause what the platform says
 */
export function closedEarly(answered: boolean, begun: boolean, cause: Error | undefined): SluiceError {
  const options = cause === undefined ? {} : { cause }
  if (answered) {
    const what = 'it ended the connection inside the body of its answer'
    return new SluiceError('HTTP_UPSTREAM_INCOMPLETE', what, options)
  }
  const where = begun ? 'inside the head of its answer' : 'without an answer'
  return new SluiceError('HTTP_UPSTREAM_CLOSED', `it ended the connection ${where}`, options)
}
