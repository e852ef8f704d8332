// What it means that a stream to an upstream was closed before its response was complete (RFC 9113, sections 5.4, 6.8
// and 8.7): above all, whether the upstream can have begun with the request.
import { type ClientHttp2Stream, constants } from 'node:http2'
import { errorCode, isSluiceError, SluiceError } from '../../core/index.ts'
import { malformed } from './client-head.ts'

/** How far the session of a stream has come to its end. */
export interface Ending {
  /** Whether the upstream has shown that it speaks HTTP/2. */
  readonly ready: boolean
  /** Whether the connection is gone. */
  readonly lost: boolean
  /** Whether anything at all has come on it. */
  readonly heard: boolean
  /** Whether the upstream has said with GOAWAY that it does not look at the stream. */
  isBeyond(stream: number): boolean
}

export interface StreamEnding {
  readonly error: SluiceError
  /** Whether the upstream knows the request, and said so. */
  readonly begun: boolean
}

/** Error codes (RFC 9113, section 7), by their number. */
const NAMES: readonly string[] = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT'],
  ...['STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR'],
  ...['CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
]

/**
 * @param cause what the platform said
 * @param answered whether the head of the response had come
 */
export function streamError(
  stream: ClientHttp2Stream | undefined,
  cause: unknown,
  answered: boolean,
  session: Ending,
): StreamEnding {
  const { id, rstCode = 0 } = stream ?? {}
  if (!answered) {
    if (id === undefined || rstCode === constants.NGHTTP2_REFUSED_STREAM || session.isBeyond(id)) {
      return ending('HTTP_UPSTREAM_REFUSED', 'it did not begin with the request', cause)
    }
    if (rstCode === constants.NGHTTP2_HTTP_1_1_REQUIRED) {
      return ending('HTTP_UPSTREAM_PROTOCOL', 'it takes this request over HTTP/1.1 alone', cause, true)
    }
  }
  const sessionError = sessionErrorOf(cause, session)
  if (sessionError !== undefined) {
    return { error: answered ? incomplete(sessionError) : sessionError, begun: false }
  }
  const name = NAMES[rstCode] ?? String(rstCode)
  // What the platform finds malformed it resets as an upstream would that found our request so: nobody can tell. Neither
  // must be tried again.
  if (rstCode === constants.NGHTTP2_PROTOCOL_ERROR) {
    return {
      error: malformed(`its answer, or the request for it, is malformed (${name})`, cause),
      begun: true,
    }
  }
  if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM && !answered) {
    const what = `the head of its answer is over the limits, or it is asked too much (${name})`
    return { error: malformed(what, cause), begun: true }
  }
  return answered
    ? ending('HTTP_UPSTREAM_INCOMPLETE', `it reset the stream inside its answer (${name})`, cause, true)
    : ending('HTTP_UPSTREAM_CLOSED', `it reset the stream without an answer (${name})`, cause, true)
}

/** What was thrown, as an error that a request can fail with. */
export function failure(error: unknown, what: string): SluiceError {
  return isSluiceError(error) ? error : new SluiceError('INTERNAL', what, { cause: error })
}

/** The error of an answer that had begun when its session ended so. */
export function incomplete(error: SluiceError): SluiceError {
  if (error.code === 'HTTP_UPSTREAM_MALFORMED') return error
  return new SluiceError('HTTP_UPSTREAM_INCOMPLETE', `${error.message}, inside its answer`, {
    cause: error.cause ?? undefined,
  })
}

/** What ended a session, if something did: by what the platform said. */
function sessionErrorOf(cause: unknown, session: Ending): SluiceError | undefined {
  const code = cause === undefined ? '' : errorCode(cause)
  if (code === 'ERR_HTTP2_ERROR') {
    const said = cause instanceof Error ? cause.message : code
    return session.ready
      ? malformed(`it broke the rules of HTTP/2 (${said})`, cause)
      : new SluiceError('HTTP_UPSTREAM_PROTOCOL', `it does not speak HTTP/2 (${said})`, { cause })
  }
  if (code === 'ERR_HTTP2_SESSION_ERROR') {
    const number = Number(/\d+/.exec(cause instanceof Error ? cause.message : '')?.[0] ?? Number.NaN)
    const name = NAMES[number] ?? 'another error'
    return new SluiceError('HTTP_UPSTREAM_CLOSED', `it ended the session with GOAWAY (${name})`, { cause })
  }
  return session.lost ? lostError(session, code.startsWith('ERR_HTTP2') ? undefined : cause) : undefined
}

/** The connection has ended, in order or not. */
export function lostError({ ready, heard }: Ending, cause?: unknown): SluiceError {
  const options = cause === undefined ? undefined : { cause }
  if (ready) return new SluiceError('HTTP_UPSTREAM_CLOSED', 'it ended the connection', options)
  const what = 'it ended the connection before it had said that it speaks HTTP/2'
  return new SluiceError(heard ? 'HTTP_UPSTREAM_PROTOCOL' : 'HTTP_UPSTREAM_CLOSED', what, options)
}

function ending(
  code:
    | 'HTTP_UPSTREAM_REFUSED'
    | 'HTTP_UPSTREAM_PROTOCOL'
    | 'HTTP_UPSTREAM_INCOMPLETE'
    | 'HTTP_UPSTREAM_CLOSED',
  message: string,
  cause: unknown,
  begun: boolean = false,
): StreamEnding {
  return { error: new SluiceError(code, message, cause === undefined ? undefined : { cause }), begun }
}
