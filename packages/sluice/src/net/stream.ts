// What relays work on: a byte stream that can be reset.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Take } from './shared-reads.ts'

/** A byte stream with its way to be cut. A connection of a client is one, and so is a connection to a backend. */
export interface Stream {
  /** The byte stream as it is now: a TCP or unix socket, a TLS socket over one, or one stream of an HTTP/2 session. */
  socket: Duplex
  /** Closes at once, with a reset where the transport has one, so that the peer can't take it for an orderly end. */
  reset(): void
  /**
   * Gives all that arrives to `take` from now on, where this is possible: true then, and there is no `'data'` any more.
   * Only while nothing waits to be read. It spares an allocation and a stream's bookkeeping for each read. With undefined,
   * what arrives goes to the stream again.
   */
  readInto?(take: Take | undefined): boolean
}

const { node, bun } = process.versions

/**
 * Cuts a stream: resets the transport and lets go of what was wrapped around it.
 *
 * @param top what is written to and read from: the TLS socket, or the transport itself
 * @param transport the TCP or unix socket below
 */
export function cut(top: Socket, transport: Socket): void {
  // The transport first: destroying the TLS socket before would close it with an orderly FIN.
  if (!transport.destroyed) {
    if (isEnding(top) || isEnding(transport)) transport.destroy()
    else resetOrDestroy(transport)
  }
  // What lies over the transport closes with it. Destroying a TLS socket here, after its transport and perhaps in the
  // middle of its handshake (promises go on there), ends the process: Node 22 to 26 crash.
  // In Bun 1.4 it does not while it is paused, as that of a client whose backend does not read.
  if (bun !== undefined && top !== transport) top.destroy()
}

/**
 * Whether its FIN is on the way at this moment. The platform refuses a reset then (EINVAL, up to Node 26 at least), and
 * leaves the descriptor open for ever. All that was written has been handed over, and the peer has been told of the
 * end, so that a plain close says nothing wrong.
 */
function isEnding(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
}

/** Only TCP knows resets: for a unix socket the platform throws instead. */
function resetOrDestroy(transport: Socket): void {
  try {
    transport.resetAndDestroy()
  } catch {
    transport.destroy()
  }
}

const takesResetsForEnds = bun === undefined && Number.parseInt(node, 10) < 24

/**
 * Node 22 reports a reset as an end if bytes that came before it had not been read yet. A TCP connection that was reset
 * has no peer any more, which shows unless its peer was asked for before, as a listener does, or this side has ended.
 */
export function isResetTakenForEnd(stream: Duplex): boolean {
  const socket = stream as Partial<Socket>
  return (
    takesResetsForEnds &&
    !socket.writableEnded &&
    socket.remoteAddress === undefined &&
    socket.localAddress !== undefined
  )
}

/** Takes what a socket says when it fails; who uses the socket learns it from its own listeners or from `close`. */
export function ignore(): void {}
