// One request to a server of Node, and the answer of a service to it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import { errorCode, type Service, SluiceError } from '../../core/index.ts'
import type { Connection } from '../../net/index.ts'
import { Body, type BodySink, type BodySource } from '../body.ts'
import { failureAnswer, logFailure } from '../failure.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import { checkResponse, discardBody, invalidResponse, isPromise, lengthOf } from '../outgoing.ts'
import { type HttpRequest, ReceivedRequest, type RequestOwner } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { isBodiless, isInformational } from '../status.ts'
import { type Swept, sweep } from '../sweep.ts'
import { ListenerBody } from './listener-body.ts'
import { readHead, readHeadOfHttp2, schemeOf } from './listener-head.ts'

/** Fields that are about the connection, which is the server's. */
const UNSENT = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** Both kinds of responses have what is needed here, but for the stream of HTTP/2. */
type Response = ServerResponse & { readonly stream?: ServerHttp2Stream }

export class ListenerExchange implements BodySink, RequestOwner, Swept {
  readonly #message: IncomingMessage | Http2ServerRequest
  readonly #response: Response
  readonly #connection: Connection
  readonly #limits: HttpLimits
  #request: ReceivedRequest<Connection> | undefined
  #incoming: ListenerBody | undefined
  #source: BodySource | undefined
  /** Bytes that are missing from the declared length of the answer. */
  #left: number | undefined
  #sent = 0
  /** The answer is complete, or can't be completed. */
  #over = false
  #finished = false
  #waiting = false
  deadline: number = Number.POSITIVE_INFINITY

  constructor(
    message: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    connection: Connection,
    limits: HttpLimits,
  ) {
    this.#message = message
    this.#response = response as Response
    this.#connection = connection
    this.#limits = limits
    // What went wrong is seen by 'close', which always follows.
    message.on('error', ignore)
    response.on('error', ignore)
    response.on('finish', () => this.#onFinish())
    response.on('close', () => this.#onClose())
  }

  /** Reads the request and asks the service. */
  begin(service: Service<HttpRequest, HttpResponse>): void {
    try {
      const request = this.#read()
      const answer = service(request)
      if (isPromise(answer)) answer.then(this.#onAnswer, this.#onFailure)
      else this.#answer(answer)
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #read(): HttpRequest {
    const message = this.#message
    const over2 = isHttp2(message)
    const head = over2 ? readHeadOfHttp2(message, this.#limits) : readHead(message, this.#limits)
    const length = 'bodyLength' in head ? head.bodyLength : (head.length ?? -1)
    let body = Body.empty
    if (length > this.#limits.body) {
      throw new SluiceError(
        'HTTP_BODY_TOO_LARGE',
        `the body is longer than the limit of ${this.#limits.body} bytes`,
      )
    }
    if (length !== 0 && !(over2 && message.stream.endAfterHeaders)) {
      this.#incoming = new ListenerBody(message, this.#limits, () => this.#sendContinue(head.expectsContinue))
      body = Body.of(this.#incoming, length < 0 ? undefined : length)
    }
    // A server gives what can be upgraded to other listeners.
    const request = new ReceivedRequest(
      { ...head, upgrade: undefined },
      schemeOf(message),
      body,
      this.#connection,
      this,
    )
    this.#request = request
    return request
  }

  inform(status: number, headers: HeaderList): void {
    const response = this.#response
    if (this.#over || response.headersSent) return
    if (!isInformational(status)) throw invalidResponse(`${status} is no informational status, 102 to 199`)
    const fields = grouped(headers)
    if (response.stream !== undefined) {
      response.stream.additionalHeaders({ ...fields, ':status': status })
    } else if (this.#message.httpVersion !== '1.0') {
      informOverHttp1(response, status, fields)
    }
  }

  /** The client has taken nothing of the answer for too long. */
  expire(): void {
    const what = `the client took nothing of the answer for ${this.#limits.writeTimeout} ms`
    this.#cut(new SluiceError('HTTP_WRITE_TIMEOUT', what))
  }

  data(chunk: Buffer): void {
    if (this.#over) return
    this.#sent += chunk.length
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        this.#cut(invalidResponse('the body is longer than its Content-Length'))
        return
      }
    }
    if (this.#response.write(chunk) || this.#waiting) return
    this.#waiting = true
    this.#source?.pause()
    this.#watch()
  }

  end(trailers?: HeaderList): void {
    if (this.#over) return
    if (this.#left !== undefined && this.#left > 0) {
      this.#cut(invalidResponse(`the body is ${this.#left} bytes shorter than its Content-Length`))
      return
    }
    if (trailers !== undefined) this.#response.addTrailers(grouped(trailers) as NodeJS.Dict<string>)
    this.#finish()
  }

  fail(error: unknown): void {
    if (!this.#over) this.#cut(error)
  }

  readonly #onAnswer = (response: HttpResponse): void => this.#answer(response)

  readonly #onFailure = (error: unknown): void => {
    if (this.#over) return
    const what = this.#request === undefined ? 'a request was refused' : 'a service failed'
    logFailure(this.#connection, error, what)
    this.#answer(failureAnswer(error, this.#request, this.#limits.development))
  }

  #answer(answer: HttpResponse): void {
    if (this.#over) {
      discardBody(answer)
      return
    }
    try {
      this.#write(answer)
    } catch (error) {
      discardBody(answer)
      if (this.#response.headersSent) {
        this.#cut(error)
        return
      }
      logFailure(this.#connection, error, 'a service answered with something that cannot be sent')
      this.#write(failureAnswer(error, this.#request, this.#limits.development))
    }
  }

  #write(answer: HttpResponse): void {
    checkResponse(answer, undefined)
    const { status, headers, body } = answer
    const response = this.#response
    const bodiless = isBodiless(status) || this.#message.method === 'HEAD'
    const fields = grouped(headers)
    const declared = headers.get('content-length')
    const length = lengthOf(declared, body.length, bodiless)
    if (!bodiless && body.used && body.length !== 0) {
      throw new SluiceError('HTTP_BODY_USED', 'the body of the response has been read already')
    }
    response.statusCode = status
    delete fields['content-length']
    for (const [name, value] of Object.entries(fields)) response.setHeader(name, value)
    if (length !== undefined && status !== 204 && (status !== 304 || declared !== undefined)) {
      response.setHeader('content-length', String(length))
    }
    if (/(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(headers.get('connection') ?? '') && !isHttp2(this.#message)) {
      response.setHeader('connection', 'close')
    }
    this.#request?.record?.answer(status)
    if (bodiless) {
      body.discard()
      this.#finish()
      return
    }
    const whole = body.takeWhole()
    if (whole !== undefined) {
      this.#sent = length ?? 0
      this.#finish(whole)
      return
    }
    this.#left = length
    response.on('drain', () => this.#onDrain())
    this.#source = body.pipe(this)
    // Its head need not wait for the first bytes.
    response.flushHeaders()
  }

  #onDrain(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.deadline = Number.POSITIVE_INFINITY
    try {
      this.#source?.resume()
    } catch (error) {
      this.fail(error)
    }
  }

  #watch(): void {
    this.deadline = sweep.now + this.#limits.writeTimeout
    sweep.add(this)
  }

  /** All has been written; the client has to take it. */
  #finish(last?: string | Buffer): void {
    this.#over = true
    this.#watch()
    if (last === undefined) this.#response.end()
    else this.#response.end(last)
  }

  /** The system has all of it. HTTP/2 says so of streams that were reset as well. */
  #onFinish(): void {
    if (!this.#over || (this.#response.stream?.rstCode ?? 0) !== 0) return
    this.#finished = true
    sweep.delete(this)
    this.#endRecord()
  }

  #onClose(): void {
    sweep.delete(this)
    this.#incoming?.fail()
    if (this.#finished) return
    this.#over = true
    this.#endRecord('DOWNSTREAM_CLOSED')
    this.#request?.abort()
    this.#source?.cancel()
  }

  /** Ends so that the client can't take what it got for the whole. */
  #cut(error: unknown): void {
    logFailure(this.#connection, error, 'an answer was cut')
    this.#over = true
    sweep.delete(this)
    this.#endRecord(errorCode(error))
    this.#source?.cancel()
    const response = this.#response
    if (response.stream !== undefined)
      response.stream.destroy(new SluiceError('INTERNAL', 'the answer was cut'))
    else this.#connection.reset()
  }

  #sendContinue(expected: boolean): void {
    const response = this.#response as ServerResponse & { _sent100?: boolean }
    // A server does it by itself, unless the request came by its event `checkContinue`.
    if (expected && !isHttp2(this.#message) && !response.headersSent && response._sent100 === false)
      response.writeContinue()
  }

  #endRecord(code?: string): void {
    const record = this.#request?.record
    if (record === undefined) return
    record.received = this.#incoming?.received ?? 0
    record.sent = this.#sent
    record.end(code)
  }
}

function isHttp2(message: IncomingMessage | Http2ServerRequest): message is Http2ServerRequest {
  return message.httpVersionMajor === 2
}

/** `writeInformation` came with Node 26; before it, there are the two that are usual. */
function informOverHttp1(
  response: ServerResponse,
  status: number,
  fields: Record<string, string | string[]>,
): void {
  const { writeInformation } = response as { writeInformation?: (status: number, fields: object) => void }
  if (writeInformation !== undefined) writeInformation.call(response, status, fields)
  else if (status === 103 && fields.link !== undefined) response.writeEarlyHints(fields)
  else if (status === 102) response.writeProcessing()
}

/** Fields by name, several of one name in a list. */
function grouped(headers: HeaderList): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null)
  for (let index = 0, size = headers.size; index < size; index++) {
    const name = headers.nameAt(index).toLowerCase()
    if (UNSENT.has(name)) continue
    const value = headers.valueAt(index)
    const before = fields[name]
    fields[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return fields
}

function ignore(): void {}
