// Writes an answer to a stream of HTTP/2: its head, and the body that follows (RFC 9113, section 8.1).
import { SluiceError } from '../../core/index.ts'
import type { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import type { HeaderList } from '../headers.ts'
import { checkResponse } from '../outgoing.ts'
import type { RequestRecord } from '../request-record.ts'
import type { HttpResponse, Tunnel } from '../response.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import { Http2OutgoingBody, type OutgoingOwner } from './outgoing-body.ts'
import { frame, headBlock, informationBlock, outgoingFields, trailerBlock } from './outgoing-fields.ts'
import type { Http2Stream } from './stream.ts'
import type { Traffic } from './traffic.ts'

/** What is answered. */
export interface Answered {
  readonly method: string
  readonly upgrade: string | undefined
  readonly record: RequestRecord | undefined
}

/** The exchange that an answer is part of. */
export interface AnswerOwner {
  /** A body is to come, perhaps made from that of the request. */
  answerStreams(): void
  /** The client has enough for now, or takes more again. */
  answerWaits(waiting: boolean): void
  /** Called once: without an error when all is written, with it if the body broke off. */
  answerEnds(error?: unknown): void
}

export class Http2Answer implements OutgoingOwner {
  readonly #stream: Http2Stream
  readonly #encoder: HpackEncoder
  readonly #traffic: Traffic
  readonly #owner: AnswerOwner
  #outgoing: Http2OutgoingBody | undefined
  #sent = 0

  constructor(stream: Http2Stream, encoder: HpackEncoder, traffic: Traffic, owner: AnswerOwner) {
    this.#stream = stream
    this.#encoder = encoder
    this.#traffic = traffic
    this.#owner = owner
  }

  /** Bytes of the body that were written. */
  get sent(): number {
    return this.#sent
  }

  /** An informational response, unless the answer has begun. */
  inform(status: number, fields: readonly string[]): void {
    if (this.#stream.headSent || this.#stream.closed) return
    this.#stream.sendHead(informationBlock(this.#encoder, status, fields), false, false)
  }

  /**
   * @param request undefined if it could not be read
   * @returns what takes the stream over
   * @throws {SluiceError} `HTTP_RESPONSE_INVALID`, `HTTP_BODY_USED`, `HTTP_UPGRADE_REFUSED`, before anything is sent
   */
  write(response: HttpResponse, request: Answered | undefined): Tunnel | undefined {
    checkResponse(response, request?.upgrade)
    const { status, body, tunnel } = response
    if (request?.upgrade !== undefined && tunnel === undefined && status < 300) {
      const what = `a request for a tunnel was answered ${status}, which would mean that there is one`
      throw new SluiceError('HTTP_UPGRADE_REFUSED', what)
    }
    const fields = outgoingFields(response)
    const { ends, length, told } =
      tunnel === undefined ? frame(fields.declared, response, request?.method) : TUNNEL
    if (!ends && body.used) {
      throw new SluiceError('HTTP_BODY_USED', 'the body of the response has been read already')
    }
    request?.record?.answer(status)
    if (ends || tunnel !== undefined) body.discard()
    else if (!body.inMemory && status < 300) this.#owner.answerStreams()
    const stream = this.#stream
    if (stream.closed) return undefined
    stream.sendHead(headBlock(this.#encoder, status, fields, told), ends)
    if (tunnel !== undefined) return tunnel
    if (ends) {
      this.#owner.answerEnds()
    } else if (body.inMemory && (length ?? 0) <= PIECE) {
      this.#writeWhole(body, length ?? 0)
    } else {
      // Where the length is known and none are announced, there are no trailers.
      const trailers = length === undefined || fields.announcesTrailers
      this.#outgoing = new Http2OutgoingBody(stream, length, trailers, this)
      this.#outgoing.begin(body)
    }
    return undefined
  }

  #writeWhole(body: Body, length: number): void {
    this.bodySends(length)
    const { latin1, whole = '' } = body
    body.markUsed()
    if (latin1 !== undefined) this.#stream.sendWhole(latin1)
    else this.#stream.write(typeof whole === 'string' ? Buffer.from(whole) : whole, true)
    this.#owner.answerEnds()
  }

  drained(): void {
    this.#outgoing?.drained()
  }

  /** The stream is gone, or cut: the rest is not wanted. */
  cancel(): void {
    this.#outgoing?.cancel()
  }

  bodySends(count: number): void {
    this.#sent += count
    this.#traffic.sent(count)
  }

  trailerBlock(trailers: HeaderList): string {
    return trailerBlock(this.#encoder, trailers)
  }

  bodyWaits(waiting: boolean): void {
    this.#owner.answerWaits(waiting)
  }

  bodyEnds(error?: unknown): void {
    this.#owner.answerEnds(error)
  }
}

/** What follows the head of a tunnel is no body. */
const TUNNEL = { ends: false, length: undefined, told: undefined }
