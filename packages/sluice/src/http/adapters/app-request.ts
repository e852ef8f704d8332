// A request as an application of Node takes it: a real `http.IncomingMessage`, made without bytes and a parser.
import { IncomingMessage } from 'node:http'
import type { BodySink, BodySource } from '../body.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpRequest } from '../request.ts'
import type { StandInSocket } from './stand-in-socket.ts'

/** What the platform's parser calls to set fields, or once the message is complete, trailers. Node 22 to 26, Bun 1.4. */
interface FieldTaker {
  _addHeaderLines(raw: readonly string[], count: number): void
}

/**
 * The head of a request.
 *
 * @param version as the application shall see it: `1.1`, `2.0`
 * @param raw name, value, name, value … of its fields
 */
export function appRequest(
  request: HttpRequest,
  socket: StandInSocket,
  version: string,
  raw: readonly string[],
): IncomingMessage {
  // It wants a socket of the system; it reads no more of it than what the stand-in has.
  const message = new IncomingMessage(socket as unknown as ConstructorParameters<typeof IncomingMessage>[0])
  message.method = request.method
  message.url = request.target
  message.httpVersion = version
  message.httpVersionMajor = version === '2.0' ? 2 : 1
  message.httpVersionMinor = version === '1.1' ? 1 : 0
  ;(message as unknown as FieldTaker)._addHeaderLines(raw, raw.length)
  return message
}

/**
 * The fields of a request, flat. Over HTTP/2 the host may be in `:authority` alone, and a body needs no field that says
 * that it is there: applications look for `host`, and parsers of bodies for a length or `transfer-encoding`.
 */
export function rawFields({ headers, authority, version, body }: HttpRequest): string[] {
  const raw: string[] = []
  let named = false
  for (let index = 0, size = headers.size; index < size; index++) {
    const name = headers.nameAt(index)
    named ||= name.length === 4 && name.toLowerCase() === 'host'
    raw.push(name, headers.valueAt(index))
  }
  if (!named && authority !== undefined) raw.unshift('host', authority)
  if (version === '2' && body.length === undefined) raw.push('transfer-encoding', 'chunked')
  return raw
}

/** Feeds the body of a request to the application, as far as it reads. */
export class RequestFeed implements BodySink {
  readonly #message: IncomingMessage
  readonly #request: HttpRequest
  /** Called when its end has come, or it can't be completed. */
  readonly #onOver: (error?: unknown) => void
  #source: BodySource | undefined
  #started = false
  #over = false

  constructor(message: IncomingMessage, request: HttpRequest, onOver: (error?: unknown) => void) {
    this.#message = message
    this.#request = request
    this.#onOver = onOver
    if (request.body.length === 0) {
      this.#over = true
      message.complete = true
      message.push(null)
    }
  }

  /** Whether nothing is to come any more. */
  get over(): boolean {
    return this.#over
  }

  /** Whether the application reads it and its end has not come. */
  get active(): boolean {
    return this.#started && !this.#over
  }

  /** Whether there is a body, and nobody has begun to read it. */
  get unread(): boolean {
    return !this.#started && !this.#over
  }

  /** The application wants more. */
  resume(): void {
    if (this.#over) return
    if (this.#started) {
      this.#source?.resume()
      return
    }
    this.#started = true
    try {
      this.#source = this.#request.body.pipe(this)
    } catch (error) {
      this.fail(error)
    }
  }

  /** The application will read no more. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    if (this.#started) this.#source?.cancel()
    else this.#request.body.discard()
  }

  /** The answer is complete: what nobody has begun to read is not wanted, and the message ends and closes. */
  leave(): void {
    if (this.active) return
    const message = this.#message
    if (!this.#over) {
      this.cancel()
      message.complete = true
      message.push(null)
    }
    // As the platform does. It costs some turns, so only where somebody would notice.
    if (message.listenerCount('close') > 0 || message.listenerCount('end') > 0) message.resume()
  }

  data(chunk: Buffer): void {
    if (!this.#over && !this.#message.push(chunk)) this.#source?.pause()
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    this.#over = true
    const message = this.#message
    message.complete = true
    if (trailers !== undefined) {
      const raw = [...trailers].flat()
      ;(message as unknown as FieldTaker)._addHeaderLines(raw, raw.length)
    }
    message.push(null)
    this.#onOver()
  }

  fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#onOver(error)
  }
}
