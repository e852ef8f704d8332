// Answers of upstreams whose bodies do not come to their end.
import { errorFields, logger, SluiceError } from '../../core/index.ts'

/**
 * The error for a body of which nothing has come for so many milliseconds, or that nobody has begun to read, nor said
 * that it is not wanted: a layer has answered something else then, and what the answer came on would never be free again.
 * That is logged here, as there is no reader to be told.
 */
export function stoodStill(timeout: number, isUnread: boolean): SluiceError {
  if (!isUnread) {
    const what = `the body of the answer stood still for ${timeout} ms`
    return new SluiceError('HTTP_UPSTREAM_BODY_TIMEOUT', what)
  }
  const what = `nobody read the body of an answer for ${timeout} ms; who answers something else must discard it`
  const error = new SluiceError('HTTP_BODY_UNREAD', what)
  logger('http').error(errorFields(error), what)
  return error
}
