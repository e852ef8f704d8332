// Hands what a socket reads to its one reader at once, where nothing waits to be read before it. The platform's way is a
// queue, which is empty, and an event, which has one listener as a rule: 5 % of a small request.
import type { Socket } from 'node:net'

interface Pushing {
  push?: (chunk: Buffer | null, encoding?: BufferEncoding) => boolean
}

const overrides = new WeakSet<object>()

/**
 * Has `onData` called with all that comes, as a listener of 'data' would be; `pause` and `resume` work as ever. It relies
 * on nothing but that `push` is what a socket gives its bytes to, which anybody may override: what does not come that
 * way, or can't be handed over at once, comes by the event. Where others listen already, all of it does; who begins to
 * listen later does not hear of everything.
 */
export function readDirectly(socket: Socket, onData: (chunk: Buffer) => void): void {
  const pushing = socket as Pushing
  const { push } = socket
  const isTapped = socket.listenerCount('data') > 0 || Object.hasOwn(socket, 'push')
  socket.on('data', onData)
  if (isTapped) return
  const direct = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null || socket.readableFlowing !== true || socket.readableLength > 0) {
      return push.call(socket, chunk, encoding)
    }
    onData(chunk)
    return true
  }
  overrides.add(direct)
  pushing.push = direct
}

/** Ends it. */
export function stopDirectReads(socket: Socket, onData: (chunk: Buffer) => void): void {
  const pushing = socket as Pushing
  if (pushing.push !== undefined && overrides.has(pushing.push)) delete pushing.push
  socket.off('data', onData)
}
