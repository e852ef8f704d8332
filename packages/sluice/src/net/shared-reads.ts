// Reads connected sockets into one buffer that all of them share, instead of 64 KiB allocated for each read.
import type { OnReadOpts, Socket } from 'node:net'

/**
 * Takes bytes that are good only until it returns: what must outlast the call is copied. Answers whether more may come;
 * after false, `socket.resume()` goes on.
 */
export type Take = (bytes: Buffer) => boolean

/**
 * Bytes read at once. Two system calls and one turn of the event loop are paid for each, so that bulk gets cheaper with
 * its size; a client that reads slowly has as much waiting in memory. TLS writes no more than 160 KiB at once.
 */
const SIZE = 96 * 1024

/** Whether the platform does it: Bun allocates well enough, and has its own idea of `onread`. */
export const canShareReads: boolean = process.versions.bun === undefined

let shared: Buffer | undefined

/**
 * How one socket's reads are taken: by `take`, once that is set, and by the socket's own stream, as a copy, until then.
 * To be given as `onread` to the platform's `connect`, which knows it only for sockets that it connects.
 */
export class SharedReads implements OnReadOpts {
  readonly buffer: Buffer
  /** The platform calls it without `this`. */
  readonly callback: (length: number) => boolean
  socket: Socket | undefined
  take: Take | undefined

  constructor() {
    shared ??= Buffer.allocUnsafeSlow(SIZE)
    const buffer = shared
    this.buffer = buffer
    this.callback = length => {
      const bytes = buffer.subarray(0, length)
      return this.take === undefined ? this.socket?.push(Buffer.from(bytes)) === true : this.take(bytes)
    }
  }
}
