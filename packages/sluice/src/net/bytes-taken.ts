// How much of what was written to a socket has gone out.
import type { Socket } from 'node:net'

interface Handle {
  /** What was handed to it. */
  readonly bytesWritten?: number
  /** How much of that still waits for the kernel. */
  readonly writeQueueSize?: number
}

/**
 * A number that grows with what the kernel has taken. The public counts move only when a whole chunk is out, and a chunk
 * may be large; Node's own timeout of sockets looks at the handle, too. Bun does not say, and there whole chunks count.
 */
export function bytesTaken(socket: Socket, transport: Socket): number {
  const { bytesWritten, writeQueueSize } = (transport as { _handle?: Handle | null })._handle ?? {}
  if (bytesWritten !== undefined && writeQueueSize !== undefined) return bytesWritten - writeQueueSize
  return transport.bytesWritten - socket.writableLength
}
