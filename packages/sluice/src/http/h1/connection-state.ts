// The states of a server's HTTP/1.1 connection, in the order in which it goes through them: HEAD, EXCHANGE and TAKING for each
// request, then CLOSING or TUNNEL, and CLOSED.

/** Between requests, or inside a head. */
export const HEAD = 0
/** A request was asked: its body is still to come, or its answer is not complete. */
export const EXCHANGE = 1
/** The answer is complete, but the client has not taken enough of it yet. */
export const TAKING = 2
/** Nothing more will be read or written; the client gets time to read what was written. */
export const CLOSING = 3
/** It was handed over after a 101, until it is closed. */
export const TUNNEL = 4
export const CLOSED = 5
