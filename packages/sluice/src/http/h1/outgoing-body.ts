// Writes the body of a message to a socket as it comes, with framing and flow control.
import { logger, SluiceError } from '../../core/index.ts'
import type { Body, BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import type { Outbox } from './outbox.ts'

export type OutgoingFraming = 'length' | 'chunked' | 'close'

/** The connection that a body is written to. */
export interface OutgoingOwner {
  /** The error for a body that does not fit what was announced. */
  bodyInvalid(what: string): SluiceError
  /** The socket has enough for now; `drained` is awaited. */
  bodyWaits(): void
  /** Called once: without an error when all is written, with it if the body broke off. */
  bodyEnds(error?: unknown): void
}

export class OutgoingBody implements BodySink {
  /** A socket that does not encrypt may still be writing from it later, and would have to copy what is lent. */
  readonly borrows: boolean
  readonly #out: Outbox
  readonly #framing: OutgoingFraming
  readonly #owner: OutgoingOwner
  /** Bytes that are still missing from the declared length. */
  #left: number
  #source: BodySource | undefined
  #over = false
  #waiting = false
  #sent = 0

  constructor(out: Outbox, framing: OutgoingFraming, length: number, owner: OutgoingOwner) {
    this.#out = out
    this.borrows = out.encrypts
    this.#framing = framing
    this.#left = length
    this.#owner = owner
  }

  /** Bytes of the body that were written. */
  get sent(): number {
    return this.#sent
  }

  /** Whether it waits for the socket to take what was written. */
  get waiting(): boolean {
    return this.#waiting
  }

  /**
   * Writes the head and begins with the body; what comes of it in the same turn goes out in one write with the head.
   */
  begin(head: string, body: Body): void {
    this.#out.write(head)
    this.#source = body.pipe(this)
    if (this.#waiting) this.#source.pause()
  }

  data(chunk: Buffer, lent: boolean = false): void {
    if (this.#over) return
    this.#sent += chunk.length
    let written: boolean
    if (this.#framing === 'chunked') {
      written = this.#out.writeBytes(`${chunk.length.toString(16)}\r\n`, chunk, '\r\n', lent)
    } else {
      if (this.#framing === 'length') {
        this.#left -= chunk.length
        if (this.#left < 0) {
          this.#stop(this.#owner.bodyInvalid('the body is longer than its Content-Length'))
          return
        }
      }
      written = this.#out.writeBytes('', chunk, '', lent)
    }
    if (!written && !this.#waiting) {
      this.#waiting = true
      this.#source?.pause()
      this.#owner.bodyWaits()
    }
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    if (this.#framing === 'length' && this.#left > 0) {
      this.#stop(this.#owner.bodyInvalid(`the body is ${this.#left} bytes shorter than its Content-Length`))
      return
    }
    this.#over = true
    if (this.#framing === 'chunked') this.#out.write(lastChunk(trailers))
    this.#owner.bodyEnds()
  }

  fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#owner.bodyEnds(error ?? new SluiceError('INTERNAL', 'a body broke off'))
  }

  /** The socket has taken what was written. */
  drained(): void {
    if (!this.#waiting) return
    this.#waiting = false
    try {
      this.#source?.resume()
    } catch (error) {
      this.fail(error)
    }
  }

  /** The connection is gone: the rest is not wanted. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#cancelSource()
  }

  #cancelSource(): void {
    try {
      this.#source?.cancel()
    } catch (error) {
      logger('http').error({ error }, 'a body failed while it was cancelled')
    }
  }

  #stop(error: SluiceError): void {
    this.#over = true
    this.#cancelSource()
    this.#owner.bodyEnds(error)
  }
}

/** One write for the head and a body that is in memory. */
export function writeWhole(out: Outbox, head: string, body: Body): void {
  const { latin1 } = body
  if (latin1 !== undefined) {
    out.write(head + latin1)
    return
  }
  const { whole = '', length = 0 } = body
  const bytes = Buffer.allocUnsafe(head.length + length)
  bytes.write(head, 0, 'latin1')
  if (typeof whole === 'string') bytes.write(whole, head.length, 'utf8')
  else whole.copy(bytes, head.length)
  out.hold().write(bytes)
}

/** The end of a chunked body, with trailers (RFC 9112, 7.1.2). */
export function lastChunk(trailers: HeaderList | undefined): string {
  let text = '0\r\n'
  if (trailers !== undefined) {
    for (const [name, value] of trailers) text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}
