// The socket of a request that asks to change the protocol, as an application of Node takes it from the `upgrade` event:
// it writes an HTTP/1.1 head to it, and if that says 101, speaks the other protocol on it.
import { SluiceError } from '../../core/index.ts'
import { isResetTakenForEnd, type Stream } from '../../net/index.ts'
import { Body, type BodySource } from '../body.ts'
import { BodyDecoder } from '../h1/body-decoder.ts'
import { type ResponseHead, ResponseHeadParser } from '../h1/response-head-parser.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { isInformational } from '../status.ts'
import { type Swept, sweep } from '../sweep.ts'
import { AnswerBody, type AnswerWriter } from './answer-body.ts'
import { StandInSocket } from './stand-in-socket.ts'

type Done = (error?: Error | null) => void

/** The head that the application writes, and the trailers of a body that it sends in chunks. */
const HEAD_LIMITS = { head: 32 * 1024, fields: 100 }
const TRAILER_LIMITS = { bytes: HEAD_LIMITS.head, line: 0, fields: HEAD_LIMITS.fields }

const HEAD = 0
/** It answers with something other than 101. */
const BODY = 1
/** It has answered 101. */
const TUNNEL = 2

export class UpgradeSocket extends StandInSocket implements AnswerWriter, Swept {
  readonly #request: HttpRequest
  readonly #idleTimeout: number
  readonly #parser: ResponseHeadParser = new ResponseHeadParser(HEAD_LIMITS)
  readonly #answered = Promise.withResolvers<HttpResponse>()
  readonly #body: AnswerBody = new AnswerBody(this)
  #decoder: BodyDecoder | undefined
  #state = HEAD
  #client: Stream | undefined
  /** What waits for the tunnel to begin. */
  #waiting: (() => void) | undefined
  #wanted = false
  #reason: unknown
  deadline: number = Number.POSITIVE_INFINITY

  constructor(request: HttpRequest, idleTimeout: number) {
    super(request)
    this.#request = request
    this.#idleTimeout = idleTimeout
    request.whenGone(() => this.destroy())
  }

  /** What the application answers. */
  get answer(): Promise<HttpResponse> {
    return this.#answered.promise
  }

  /** The application failed. */
  fail(error: unknown): void {
    this.#reason ??= error
    this.destroy()
  }

  drained(): void {}

  cancelled(): void {
    this.destroy()
  }

  /** Nothing has moved in the tunnel for too long. */
  expire(): void {
    this.destroy()
  }

  override _read(): void {
    this.#wanted = true
    this.#client?.socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.moved()
    try {
      if (this.#state === TUNNEL) this.#send(done, chunk)
      else if (this.#state === BODY) this.#decode(chunk, done)
      else this.#readHead(chunk, done)
    } catch (cause) {
      done()
      const what = 'the application answered a request to upgrade with something that is not HTTP'
      this.fail(new SluiceError('HTTP_RESPONSE_INVALID', what, { cause }))
    }
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    const bytes = chunks.map(({ chunk }) => chunk)
    if (this.#state === TUNNEL) this.#send(done, ...bytes)
    else this._write(Buffer.concat(bytes), 'utf8', done)
  }

  override _final(done: Done): void {
    if (this.#state === TUNNEL) {
      if (this.#client === undefined) this.#waiting = () => this._final(done)
      else this.#client.socket.end(() => done())
      return
    }
    if (this.#decoder?.end() === true) {
      this.#body.write(NO_BYTES, () => done())
      this.#body.end(this.#decoder.trailers)
      return
    }
    done()
    this.destroy()
  }

  override _destroy(_error: Error | null, done: Done): void {
    sweep.delete(this)
    const reason = this.#reason ?? (this.#state === HEAD ? refused() : brokenOff())
    this.#answered.reject(reason)
    this.#body.fail(reason)
    const client = this.#client
    if (client !== undefined && !this.writableFinished) client.reset()
    else if (!this.readableEnded) client?.socket.destroy()
    super._destroy(null, done)
  }

  #readHead(bytes: Buffer, done: Done): void {
    let at = 0
    while (at < bytes.length) {
      const head = this.#parser.read(bytes, at, 'GET')
      if (head === undefined) break
      at = this.#parser.end
      if (head.status >= 200) {
        this.#begin(head, bytes.subarray(at), done)
        return
      }
      if (head.status === 101) {
        this.#switch(head, bytes.subarray(at), done)
        return
      }
      if (isInformational(head.status)) this.#request.inform(head.status, head.headers)
    }
    done()
  }

  /** Anything but 101 is an answer like others. */
  #begin({ status, headers, bodyLength }: ResponseHead, rest: Buffer, done: Done): void {
    this.#state = BODY
    this.#decoder = new BodyDecoder(bodyLength, { body: Number.POSITIVE_INFINITY, trailers: TRAILER_LIMITS })
    // The client's side of the connection has nothing to say any more.
    this.once('finish', () => this.destroy())
    this.#decode(rest, done)
    const whole = this.#body.takeWhole()
    const body = whole === undefined ? Body.of(this.#body) : Body.from(whole)
    this.#answered.resolve({ status, headers, body })
  }

  #decode(bytes: Buffer, done: Done): void {
    const decoder = this.#decoder as BodyDecoder
    let at = 0
    while (at < bytes.length && !decoder.done) {
      at = decoder.push(bytes, at, data => {
        this.#body.write(data)
        return true
      })
    }
    if (at < bytes.length) throw new SluiceError('HTTP_RESPONSE_INVALID', 'there are bytes after its end')
    // It is asked for more when this has been taken.
    this.#body.write(NO_BYTES, () => done())
    if (decoder.done) this.#body.end(decoder.trailers)
  }

  #switch(head: ResponseHead, rest: Buffer, done: Done): void {
    const { upgrade } = this.#request
    if (head.upgrade !== upgrade) {
      throw new SluiceError(
        'HTTP_RESPONSE_INVALID',
        `it changes to ${head.upgrade}, and ${upgrade} was asked for`,
      )
    }
    this.#state = TUNNEL
    if (rest.length > 0) this.#send(done, rest)
    else done()
    const unused = Body.of(new Unused(() => this.#onUnused()))
    this.#answered.resolve({
      status: 101,
      headers: head.headers,
      body: unused,
      tunnel: client => this.#connect(client),
    })
  }

  /** The answer was let go of: either the tunnel begins in the same turn, or never. */
  #onUnused(): void {
    setImmediate(() => {
      if (this.#client === undefined) this.destroy()
    })
  }

  #connect(client: Stream): void {
    this.#client = client
    const { socket } = client
    if (this.destroyed || socket.destroyed) {
      client.reset()
      this.destroy()
      return
    }
    socket.on('error', ignore)
    socket.on('data', (chunk: Buffer) => {
      this.#onMoved()
      if (!this.push(chunk)) socket.pause()
    })
    socket.on('end', () => {
      if (isResetTakenForEnd(socket)) this.destroy()
      else this.push(null)
    })
    socket.on('close', () => {
      // What came before an end in order is still there to be read.
      if (!socket.readableEnded || !this.writableFinished) this.destroy()
    })
    if (socket.readableEnded) this.push(null)
    this.#onMoved()
    sweep.add(this)
    this.#waiting?.()
    if (this.#wanted) socket.resume()
  }

  #send(done: Done, ...chunks: Buffer[]): void {
    const socket = this.#client?.socket
    if (socket === undefined) {
      this.#waiting = () => this.#send(done, ...chunks)
      return
    }
    this.#onMoved()
    const last = chunks.pop()
    if (last === undefined) {
      done()
      return
    }
    socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    // An error is seen by 'close'.
    socket.write(last, () => done())
    socket.uncork()
  }

  #onMoved(): void {
    this.moved()
    this.deadline = sweep.now + this.#idleTimeout
  }
}

/** A body that is not there, and says when nobody wants it. */
class Unused implements BodySource {
  readonly cancel: () => void
  constructor(cancel: () => void) {
    this.cancel = cancel
  }
  start(sink: Parameters<BodySource['start']>[0]): void {
    queueMicrotask(() => sink.end())
  }
  pause(): void {}
  resume(): void {}
}

function refused(): SluiceError {
  return new SluiceError('HTTP_UPGRADE_REFUSED', 'the application closed the connection without an answer')
}

function brokenOff(): SluiceError {
  return new SluiceError('HTTP_RESPONSE_INVALID', 'the application closed the connection inside its answer')
}

const NO_BYTES = Buffer.alloc(0)

function ignore(): void {}
