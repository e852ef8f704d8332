// Waits for a certificate with a client that waits for its handshake, for no longer than the client and its time last.
import type { Socket } from 'node:net'
import { CLIENT_HELLO_LIMIT } from './client-hello/index.ts'
import { handshakeError } from './handshake-error.ts'

/**
 * What a promise gives, unless the client leaves or the time passes before. Whether a client has left shows only to who
 * reads: what it sends meanwhile is read, and goes back to the socket for the handshake.
 *
 * @param timeout in milliseconds; `tooLate` makes the error for when they have passed
 * @throws {SluiceError} `TLS_HANDSHAKE_CLOSED`; what the promise rejects with, and what `tooLate` makes
 */
export function whileConnected<T>(
  socket: Socket,
  awaited: Promise<T>,
  timeout: number,
  tooLate: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const watch = new Watch(socket, timeout, tooLate, reject)
    // A promise that never settles keeps these two for ever: they hold on to the watch, and that to nothing once it is
    // over, or clients could fill the memory with sockets that are long closed.
    awaited.then(
      value => {
        watch.stop()
        resolve(value)
      },
      (error: unknown) => watch.fail(error),
    )
  })
}

class Watch {
  #socket: Socket | undefined
  #chunks: Buffer[] = []
  #length = 0
  readonly #timer: NodeJS.Timeout
  readonly #reject: (error: unknown) => void

  constructor(socket: Socket, timeout: number, tooLate: () => Error, reject: (error: unknown) => void) {
    this.#socket = socket
    this.#reject = reject
    this.#timer = setTimeout(() => this.fail(tooLate()), timeout)
    if (socket.destroyed || socket.readableEnded) {
      this.#onGone()
      return
    }
    socket.on('readable', this.#onReadable)
    socket.on('end', this.#onGone)
    socket.on('close', this.#onGone)
  }

  fail(error: unknown): void {
    this.#chunks = []
    this.stop()
    this.#reject(error)
  }

  /** Takes its hands off the socket, which has all its bytes again. */
  stop(): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    clearTimeout(this.#timer)
    socket.off('readable', this.#onReadable)
    socket.off('end', this.#onGone)
    socket.off('close', this.#onGone)
    if (this.#chunks.length > 0) socket.unshift(Buffer.concat(this.#chunks))
    this.#chunks = []
  }

  readonly #onReadable = (): void => {
    const socket = this.#socket
    if (socket === undefined) return
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      this.#chunks.push(chunk)
      this.#length += chunk.length
    }
    // More than a client has to say before it is answered: the rest may wait where it is, and so may the client.
    if (this.#length > CLIENT_HELLO_LIMIT) socket.off('readable', this.#onReadable)
  }

  readonly #onGone = (): void => this.fail(handshakeError({ code: 'ECONNRESET' }))
}
