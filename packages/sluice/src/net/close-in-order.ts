// Closes a connection whose service is done, so that the peer gets every byte that was written to it.
import type { Socket } from 'node:net'
import type { AcceptedConnection } from './connection.ts'

/** Times that it is looked at how the closing goes on, and how far apart, in ms. */
const CHECKS = 5
const CHECK_INTERVAL = 1000

/**
 * Ends the connection, and reads and drops what the client still sends: to close with something unread would reset it,
 * and a reset takes away what the client has not read yet (RFC 9112, section 9.6). Closes when the client has ended or
 * is quiet for a second; a client that still sends, or has not taken its last bytes, is cut after five seconds.
 */
export function closeInOrder(connection: AcceptedConnection, transport: Socket): Promise<void> {
  const { socket } = connection
  return new Promise(resolve => {
    let checks = 0
    let read = transport.bytesRead
    const timer = setInterval(() => {
      checks += 1
      const isQuiet = transport.bytesRead === read
      read = transport.bytesRead
      if (socket.writableFinished && isQuiet) {
        socket.destroy()
        transport.destroy()
      } else if (checks >= CHECKS) connection.reset()
    }, CHECK_INTERVAL)
    transport.once('close', () => {
      clearInterval(timer)
      resolve()
    })
    socket.end()
    socket.resume()
  })
}
