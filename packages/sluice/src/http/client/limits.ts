// The limits of a client of HTTP, in bytes and milliseconds.

export interface UpstreamLimits {
  /** Bytes of a response's head, and of its trailers. */
  readonly head: number
  /** Fields of a response. */
  readonly fields: number
  /** How long the head of a response may take, from when the request has been sent. */
  readonly responseTimeout: number
  /**
   * How long a response's body may stand still while it is wanted and the request has been sent. There is no least rate, as there is for clients: an
   * EventSource says little, and an upstream that is slow on purpose is no stranger.
   */
  readonly bodyTimeout: number
  /** How long the upstream may take nothing of a request. */
  readonly writeTimeout: number
}

/** Informational responses to one request; more are a flood. */
export const INFORMATION_LIMIT = 20

/** How long an upstream that was told `Expect: 100-continue` may keep silent until the body is sent all the same. */
export const CONTINUE_TIMEOUT = 1000
