// A socket in memory: a test gives it bytes in pieces of its choice, and takes what was written when it likes.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

export class MemorySocket extends Duplex {
  /** What was taken. */
  readonly taken: Buffer[] = []
  bytesWritten = 0
  /** Whether what is written is taken at once. */
  takesAtOnce = true
  #waiting: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
    this.on('error', () => undefined)
  }

  /** It has all that HTTP asks of a socket. */
  get asSocket(): Socket {
    return this as unknown as Socket
  }

  /** Bytes from the peer. */
  give(bytes: Buffer): void {
    if (!this.readableEnded && !this.destroyed) this.push(bytes)
  }

  /** The peer ends its side. */
  giveEnd(): void {
    if (!this.readableEnded && !this.destroyed) this.push(null)
  }

  /** The peer takes what waits. */
  takeWritten(): void {
    const done = this.#waiting
    this.#waiting = undefined
    done?.()
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy()
    else this.end(() => this.destroy())
  }

  resetAndDestroy(): this {
    return this.destroy()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.bytesWritten += chunk.length
    this.taken.push(chunk)
    if (this.takesAtOnce) done()
    else this.#waiting = done
  }
}
