// The limits of an HTTP server, with their defaults, in bytes and milliseconds.
import { bytes, type Duration, type Size, sizeLimit, timeLimit, wholeNumber } from '../core/index.ts'

export interface ServeHttpOptions {
  /**
   * Bytes of a request's line and fields; more is answered 431.
   * @default '32kb'
   */
  readonly headLimit?: Size
  /**
   * Fields of a request; more is answered 431.
   * @default 100
   */
  readonly fieldLimit?: number
  /**
   * Bytes of a request's target; more is answered 414.
   * @default '16kb'
   */
  readonly targetLimit?: Size
  /**
   * Bytes of a request's body; more is answered 413. With 0, every request with a body is.
   * @default none: a body is never kept in memory as a whole unless the service asks for it, and then with a limit
   */
  readonly bodyLimit?: Size
  /**
   * How long a request's head may take from its first byte; then 408 is answered. A connection that sends nothing at
   * all is closed after this time, too.
   * @default '15s'
   */
  readonly headTimeout?: Duration
  /**
   * How long a connection is kept for the next request.
   * @default '75s', as nginx: longer than most clients keep theirs
   */
  readonly keepAliveTimeout?: Duration
  /**
   * How long a body that the service wants may stand still. What comes must also come at 240 bytes a second or faster,
   * counted over this time. A client whose answer is under way already, as in a call that streams both ways, may be silent
   * for an hour.
   * @default '30s'
   */
  readonly bodyTimeout?: Duration
  /**
   * How long the client may take nothing of an answer; over HTTP/2 it must also take 240 bytes a second. The kernel
   * asks for more only when a good part of its own buffer has gone out: clients that take less than about a kilobyte a
   * second may be cut, too.
   * @default '30s'
   */
  readonly writeTimeout?: Duration
  /**
   * Streams that an HTTP/2 client may have open at once.
   * @default 100
   */
  readonly streamLimit?: number
  /**
   * Shows clients what happened inside when a request fails: the messages of the error and of its causes, which name
   * upstreams too. For machines of developers only.
   * @default false
   */
  readonly development?: boolean
}

/** How long a client may be silent, in ms, while the answer to what it has said so far is under way: as long as in a tunnel. */
export const CALL_TIMEOUT: number = 60 * 60 * 1000

export interface HttpLimits {
  readonly head: number
  readonly fields: number
  readonly target: number
  readonly body: number
  readonly headTimeout: number
  readonly keepAliveTimeout: number
  readonly bodyTimeout: number
  readonly writeTimeout: number
  readonly streams: number
  /** Whether answers to failed requests show what happened inside. */
  readonly development: boolean
}

/**
 * @throws {SluiceError} `SIZE_INVALID`, `DURATION_INVALID`, `OPTION_INVALID`
 */
export function httpLimits(options: ServeHttpOptions = {}): HttpLimits {
  return {
    head: sizeLimit('headLimit', options.headLimit ?? '32kb'),
    fields: wholeNumber('fieldLimit', options.fieldLimit ?? 100),
    target: sizeLimit('targetLimit', options.targetLimit ?? '16kb'),
    body: options.bodyLimit === undefined ? Number.POSITIVE_INFINITY : bytes(options.bodyLimit),
    headTimeout: timeLimit('headTimeout', options.headTimeout ?? '15s'),
    keepAliveTimeout: timeLimit('keepAliveTimeout', options.keepAliveTimeout ?? '75s'),
    bodyTimeout: timeLimit('bodyTimeout', options.bodyTimeout ?? '30s'),
    writeTimeout: timeLimit('writeTimeout', options.writeTimeout ?? '30s'),
    streams: wholeNumber('streamLimit', options.streamLimit ?? 100),
    // Nothing but `true` itself: what a settings file has there instead must not show anybody anything.
    development: options.development === true,
  }
}
