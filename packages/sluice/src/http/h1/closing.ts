// The end of an HTTP/1.1 connection (RFC 9112, section 9.6): what was written is sent, the client may read it and is
// listened to meanwhile, as bytes that are unread at the end would make it a reset, which can take the answer away.
import type { Socket } from 'node:net'

/** After the last byte was written: how long, and for how many bytes, the client is listened to. */
export const LINGER = 5000
const LINGER_BYTES = 1024 * 1024

export class Closing {
  readonly #socket: Socket
  #lingered = 0

  /**
   * @param ended whether the client has ended its side
   * @param onSent called when all is sent and the client, which has not ended, gets the time to read it
   */
  constructor(socket: Socket, ended: boolean, onSent: () => void) {
    this.#socket = socket
    if (ended) {
      socket.end(() => socket.destroy())
    } else {
      socket.end(onSent)
      socket.resume()
    }
  }

  /** Bytes came that nobody will look at. */
  ignore(count: number): void {
    this.#lingered += count
    if (this.#lingered > LINGER_BYTES) this.#socket.pause()
  }
}
