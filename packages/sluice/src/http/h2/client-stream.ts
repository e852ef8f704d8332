// Streams of node:http2 as a client has them: how they are opened, how their ends are told apart, how they are reset.
import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions } from 'node:http2'
import { addAbortSignal, Readable } from 'node:stream'
import { errorCode } from '../../core/index.ts'
import type { UpstreamRequest } from '../client/upstream.ts'
import { joinedFields, requestFields } from './client-fields.ts'

/**
 * The platform resets a stream with CANCEL when it is destroyed with an error of its own class for aborts, which is not
 * public: one is made here. With `close` it would end the stream in order before it resets it, and a request that was
 * cut off would pass for a whole one (Node 22 to 26, Bun 1.4).
 */
const CANCELLED: Error = abortError()

const isBun = process.versions.bun !== undefined

/** Opens a stream by sending the head of a request. */
export function openStream(
  session: ClientHttp2Session,
  request: UpstreamRequest,
  options: ClientSessionRequestOptions,
): ClientHttp2Stream {
  const fields = requestFields(request)
  try {
    return session.request(fields, options)
  } catch (error) {
    if (errorCode(error) !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
    return session.request(joinedFields(fields), options)
  }
}

/**
 * Calls back when END_STREAM comes. A stream that the peer resets with NO_ERROR ends as well (Node 22 to 26), but only
 * after it is closed; and this is where all ends come by.
 */
export function onEndStream(stream: ClientHttp2Stream, callback: () => void): void {
  const { push } = stream
  stream.push = (chunk, encoding) => {
    if (chunk === null && !stream.closed && !stream.destroyed && stream.rstCode === 0) callback()
    return push.call(stream, chunk, encoding)
  }
}

/** Whether a stream was reset whose end came as END_STREAM does: Bun 1.4 tells only afterwards. */
export function wasReset(stream: ClientHttp2Stream | undefined): boolean {
  return isBun && stream?.destroyed === true
}

/** RST_STREAM with CANCEL, at once; nothing if the stream is closed. */
export function resetStream(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) stream.destroy(CANCELLED)
}

function abortError(): Error {
  const aborted = new Readable()
  aborted.on('error', () => undefined)
  addAbortSignal(AbortSignal.abort(), aborted)
  return aborted.errored ?? new Error('cancelled')
}
