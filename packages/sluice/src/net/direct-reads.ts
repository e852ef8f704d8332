// Hands what a socket reads to its one reader at once, where nothing waits to be read before it. The platform's way is a
// queue, which is empty, and an event, which has one listener: 5 % of a small request.
import type { Socket } from 'node:net'

interface Pushing {
  push?: (chunk: Buffer | null, encoding?: BufferEncoding) => boolean
}

/**
 * Has `onData` called with all that comes, as a listener of 'data' would be; `pause` and `resume` work as ever. It relies
 * on nothing but that `push` is what a socket gives its bytes to, which anybody may override: what does not come that
 * way, or can't be handed over at once, comes by the event.
 */
export function readDirectly(socket: Socket, onData: (chunk: Buffer) => void): void {
  const pushing = socket as Pushing
  const { push } = socket
  socket.on('data', onData)
  pushing.push = (chunk, encoding) => {
    if (chunk === null || socket.readableFlowing !== true || socket.readableLength > 0) {
      return push.call(socket, chunk, encoding)
    }
    onData(chunk)
    return true
  }
}

/** Ends it. */
export function stopDirectReads(socket: Socket, onData: (chunk: Buffer) => void): void {
  delete (socket as Pushing).push
  socket.off('data', onData)
}
