// Closes a connection whose service is done, so that the peer gets every byte that was written to it.
import type { Socket } from 'node:net'
import type { AcceptedConnection } from './connection.ts'

/** How far apart it is looked at how the closing goes on, in ms. */
const CHECK_INTERVAL = 1000
/** Checks until one that has everything and goes on sending is cut. */
const SENDING_CHECKS = 5
/**
 * Checks without progress until one that does not take its last bytes is cut. A slow one may take long to make progress
 * that shows: the kernel asks for more only when a good part of its buffer, some megabytes, has gone out.
 */
const STUCK_CHECKS = 30

/**
 * Ends the connection, and reads and drops what the client still sends: to close with something unread would reset it,
 * and a reset takes away what the client has not read yet (RFC 9112, section 9.6).
 *
 * What was written goes out for as long as the client takes some of it; one that takes nothing for 30 seconds is reset.
 * When all is out, it is closed as soon as the client has ended or is quiet for a second; one that goes on sending is
 * cut after five.
 */
export function closeInOrder(connection: AcceptedConnection, transport: Socket): Promise<void> {
  const { socket } = connection
  return new Promise(resolve => {
    let sending = 0
    let stuck = 0
    let read = transport.bytesRead
    let taken = connection.taken
    const timer = setInterval(() => {
      const isQuiet = transport.bytesRead === read
      read = transport.bytesRead
      if (socket.writableFinished) {
        sending += 1
        if (isQuiet) {
          socket.destroy()
          transport.destroy()
        } else if (sending >= SENDING_CHECKS) connection.reset()
        return
      }
      const before = taken
      taken = connection.taken
      stuck = taken > before ? 0 : stuck + 1
      if (stuck >= STUCK_CHECKS) connection.reset()
    }, CHECK_INTERVAL)
    transport.once('close', () => {
      clearInterval(timer)
      resolve()
    })
    socket.end()
    socket.resume()
  })
}
