// How a socket is left to whoever takes it over after a 101.
import type { Socket } from 'node:net'

/**
 * Takes off the listeners, and puts back what was read ahead.
 *
 * @param listeners by the names of their events
 * @param rest which may be written over later
 */
export function leaveSocket(
  socket: Socket,
  listeners: Readonly<Record<string, Parameters<Socket['off']>[1]>>,
  rest: Buffer,
): void {
  socket.pause()
  for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener)
  if (rest.length > 0) socket.unshift(Buffer.from(rest))
}
