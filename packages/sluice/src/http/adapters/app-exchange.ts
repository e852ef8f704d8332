// One request to an application of Node, and its answer: what its request and its response find behind their socket.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isSluiceError, SluiceError } from '../../core/index.ts'
import { Body, type BodySource } from '../body.ts'
import { logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { checkTrailers } from '../trailers.ts'
import { AnswerBody, type AnswerWriter, type WriteCallback } from './answer-body.ts'
import { appRequest, RequestFeed, rawFields } from './app-request.ts'
import { appResponse, fieldsIn, mayReuse, type ResponseSocket, trailersOf } from './app-response.ts'
import { StandInSocket } from './stand-in-socket.ts'

/** A `(request, response)` function, as `http.createServer` takes it: a framework's application, or any function. */
export type NodeRequestListener = (request: IncomingMessage, response: ServerResponse) => unknown

interface Head {
  readonly status: number
  readonly headers: HeaderList
  readonly bodiless: boolean
}

export class AppExchange extends StandInSocket implements AnswerWriter, ResponseSocket {
  readonly #request: HttpRequest
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  readonly #feed: RequestFeed
  readonly #body: AnswerBody = new AnswerBody(this)
  #head: Head | undefined
  /** Something of the answer is to go out. */
  #due = false
  #answered = false
  #finished = false
  #reason: unknown
  #resolve: ((response: HttpResponse) => void) | undefined
  #reject: ((error: unknown) => void) | undefined
  /** How the socket is known to the response that it is assigned to. */
  _httpMessage: unknown = null

  constructor(request: HttpRequest) {
    super(request)
    this.#request = request
    const version = request.version === '2' ? '2.0' : request.version
    this.#message = appRequest(request, this, version, rawFields(request))
    this.#feed = new RequestFeed(this.#message, request, error => this.#onFed(error))
    this.#response = appResponse(this.#message, this)
    this.#response.on('prefinish', () => this.#onWritten())
    this.#response.on('finish', () => this.#onFinish())
    request.whenGone(() => this.#onGone())
  }

  /** Asks the application. An answer that it makes at once is given back at once. */
  ask(listener: NodeRequestListener): HttpResponse | Promise<HttpResponse> {
    try {
      const result = listener(this.#message, this.#response) as Partial<Promise<unknown>> | undefined
      if (typeof result?.then === 'function') result.then(undefined, error => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
    if (this.destroyed) throw this.#reason
    if (this.#due && this.#feed.over) return this.#answer()
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      if (this.#due) this.#answerSoon()
    })
  }

  get needsDrain(): boolean {
    return this.#body.needsDrain
  }

  takeHead(status: number, headers: HeaderList, bodiless: boolean): void {
    this.#head ??= { status, headers, bodiless }
  }

  /** The request wants more of its body. */
  override resume(): this {
    this.#feed.resume()
    return this
  }

  override pause(): this {
    return this
  }

  // The types of Node have it as a property, which an accessor can't override in their eyes.
  static {
    Object.defineProperty(AppExchange.prototype, 'writableLength', {
      get(this: AppExchange) {
        return this.#body.length
      },
    })
  }

  override write(
    data: unknown,
    encoding?: BufferEncoding | WriteCallback | null,
    callback?: WriteCallback,
  ): boolean {
    const called = typeof encoding === 'function' ? encoding : callback
    if (this.destroyed) {
      if (called !== undefined) process.nextTick(called, this.#reason)
      return false
    }
    this.moved()
    if (this.#head === undefined) {
      this.#inform(String(data))
    } else {
      this.#isDue()
      if (!this.#head.bodiless) {
        return this.#body.write(
          bytesOf(data, typeof encoding === 'string' ? encoding : 'utf8', called),
          called,
        )
      }
    }
    if (called !== undefined) process.nextTick(called)
    return true
  }

  drained(): void {
    this.#response.emit('drain')
  }

  cancelled(): void {
    this.destroy()
  }

  override _read(): void {}

  /** The application has ended the socket itself, which ends the answer as it is. */
  override _final(callback: (error?: Error | null) => void): void {
    callback()
    this.destroy()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#finished) this.#breakOff(error)
    super._destroy(null, callback)
  }

  protected override onTimeout(): void {
    const message = this.#message
    this.emit('timeout')
    const request = !message.complete && message.emit('timeout', this)
    const response = this.#response.emit('timeout', this)
    if (!request && !response) this.destroy()
  }

  #breakOff(error: unknown): void {
    this.#reason ??= error ?? new SluiceError('INTERNAL', 'the application destroyed its answer')
    if (this.#answered) this.#body.fail(this.#reason)
    else this.#reject?.(this.#reason)
    this.#answered = true
    this.#feed.cancel()
    // As the platform's servers do. Nothing happens if it is what began this.
    this.#message.destroy(aborted(this.#reason))
  }

  #onGone(): void {
    if (this.#finished) return
    this.#reason = new SluiceError('DOWNSTREAM_CLOSED', 'the client went before the answer was complete')
    this.destroy()
  }

  #fail(error: unknown): void {
    if (this.#body.ended) {
      logFailure(this.#request.connection, error, 'an application failed after its answer')
      return
    }
    this.#reason ??= error
    this.destroy()
  }

  /** The body of the request has come to its end, or broke off. */
  #onFed(error: unknown): void {
    this.moved()
    if (error !== undefined && this.#body.ended) this.#message.destroy(aborted(error))
    else if (error !== undefined) this.#fail(error)
    else if (this.#finished) this.destroy()
  }

  /** Before the head of the answer come informational ones. */
  #inform(text: string): void {
    const [, status] = /^HTTP\/1\.1 (1\d\d) [^\r\n]*\r\n/.exec(text) ?? []
    if (status === undefined) {
      this.#fail(
        new SluiceError('HTTP_RESPONSE_INVALID', 'the application wrote to the socket past its response'),
      )
    } else if (status === '100') {
      // Whoever reads the body sends it.
      this.#feed.resume()
    } else {
      this.#request.inform(Number(status), fieldsIn(text.slice(text.indexOf('\n') + 1)))
    }
  }

  #isDue(): void {
    if (this.#due) return
    this.#due = true
    if (this.#resolve !== undefined) this.#answerSoon()
  }

  /**
   * What is written in the same turn goes out with the head. A body that nobody has begun to read by then is thrown away,
   * and applications that read it after all begin a turn later.
   */
  #answerSoon(): void {
    const answer = (): void => {
      if (!this.#answered) this.#resolve?.(this.#answer())
    }
    if (this.#feed.unread) setImmediate(answer)
    else queueMicrotask(answer)
  }

  #answer(): HttpResponse {
    this.#answered = true
    const { status, headers, bodiless } = this.#head as Head
    if (bodiless) return { status, headers, body: Body.of(NOTHING) }
    const whole = this.#body.takeWhole()
    return { status, headers, body: whole === undefined ? Body.of(this.#body) : Body.from(whole) }
  }

  /** The application has ended its answer. */
  #onWritten(): void {
    if (this.destroyed) return
    this.#isDue()
    try {
      const trailers = trailersOf(this.#response)
      if (trailers !== undefined) checkTrailers(trailers)
      this.#body.end(trailers)
    } catch (cause) {
      const what = isSluiceError(cause) ? cause.message : 'the trailers can not be sent'
      this.#fail(new SluiceError('HTTP_RESPONSE_INVALID', what, { cause }))
    }
  }

  #onFinish(): void {
    this.#finished = true
    this.#feed.leave()
    // The response closes now. While the body of the request is still being read, its socket has to stay.
    if (this.#feed.active) process.nextTick(() => this.emit('close'))
    else this.destroy()
  }
}

function bytesOf(data: unknown, encoding: BufferEncoding, callback: WriteCallback | undefined): Buffer {
  if (typeof data === 'string') return Buffer.from(data, encoding)
  const { buffer, byteOffset, byteLength } = data as Uint8Array<ArrayBuffer>
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  return mayReuse(callback) ? Buffer.from(bytes) : bytes
}

/** What the platform says to a request whose client has gone. */
function aborted(cause: unknown): Error {
  return Object.assign(new Error('aborted', { cause }), { code: 'ECONNRESET' })
}

/** A body that is not there, of a length that nobody knows: what answers to HEAD have. */
const NOTHING: BodySource = {
  start: sink => queueMicrotask(() => sink.end()),
  pause: () => {},
  resume: () => {},
  cancel: () => {},
}
