// Streams of node:http2 as a client has them: how they are opened and listened to, how their ends are told apart, how they are
// reset.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  constants,
} from 'node:http2'
import { addAbortSignal, Readable } from 'node:stream'
import { errorCode } from '../../core/index.ts'
import type { UpstreamRequest } from '../client/upstream.ts'
import { joinedFields, requestFields } from './client-fields.ts'

/**
 * The platform resets a stream with CANCEL when it is destroyed with an error of its own class for aborts, which is not
 * public: one is made here. With `close` it would end the stream in order before it resets it, and a request that was
 * cut off would pass for a whole one (Node 22 to 26, Bun 1.4).
 */
const CANCELLED: Error = abortError()

const END_STREAM = constants.NGHTTP2_FLAG_END_STREAM

const isBun = process.versions.bun !== undefined

/** Opens a stream by sending the head of a request. */
export function openStream(
  session: ClientHttp2Session,
  request: UpstreamRequest,
  options: ClientSessionRequestOptions,
): ClientHttp2Stream {
  const fields = requestFields(request)
  try {
    return session.request(fields, options)
  } catch (error) {
    if (errorCode(error) !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
    return session.request(joinedFields(fields), options)
  }
}

/** Who hears what happens on a stream. */
export interface StreamOwner {
  /**
   * A field section that is neither of the other two, with a status below 200 or without one.
   *
   * @param ended whether it has END_STREAM
   * @param raw name, value, name, value …
   */
  onInformation(ended: boolean, raw: readonly string[]): void
  onResponse(ended: boolean, raw: readonly string[]): void
  onTrailers(raw: readonly string[]): void
  /** END_STREAM has come. There may still be bytes to be read. */
  onEndStream(): void
  onData(chunk: Buffer): void
  /** All bytes have been read, be it that END_STREAM has come or not. */
  onEnd(): void
  /** Bytes that were written have gone out. */
  onDrain(): void
  /** All bytes that were written have gone out, and trailers can follow. */
  onTrailersWanted(): void
  /** `onClose` follows. */
  onError(error: Error): void
  onClose(): void
}

const OWNER = Symbol('owner')

type OwnedStream = ClientHttp2Stream & { [OWNER]?: StreamOwner | undefined }

/**
 * Has an owner hear what happens on a stream. The listeners are the same for all streams, and the owner is let go of at
 * the end: the platform's streams outlive their end until the garbage of a long time is collected, and what hangs on
 * them with them.
 */
export function own(stream: ClientHttp2Stream, owner: StreamOwner): void {
  const owned: OwnedStream = stream
  owned[OWNER] = owner
  stream.push = push
  stream.on('headers', onInformation)
  stream.on('response', onResponse)
  stream.on('trailers', onTrailers)
  stream.on('end', onEnd)
  stream.on('error', onError)
  stream.on('close', onClose)
}

/** Has `onData` called from now on. */
export function read(stream: ClientHttp2Stream): void {
  stream.on('data', onData)
}

/** Has `onDrain` called from now on, and `onTrailersWanted` if the stream waits for trailers. */
export function write(stream: ClientHttp2Stream, withTrailers: boolean): void {
  stream.on('drain', onDrain)
  if (withTrailers) stream.on('wantTrailers', onTrailersWanted)
}

function onInformation(this: OwnedStream, _fields: unknown, flags: number, raw: readonly string[]): void {
  this[OWNER]?.onInformation((flags & END_STREAM) !== 0, raw)
}

function onResponse(this: OwnedStream, _fields: unknown, flags: number, raw: readonly string[]): void {
  this[OWNER]?.onResponse((flags & END_STREAM) !== 0, raw)
}

function onTrailers(this: OwnedStream, _fields: unknown, _flags: number, raw: readonly string[]): void {
  this[OWNER]?.onTrailers(raw)
}

function onData(this: OwnedStream, chunk: Buffer): void {
  this[OWNER]?.onData(chunk)
}

function onEnd(this: OwnedStream): void {
  this[OWNER]?.onEnd()
}

function onDrain(this: OwnedStream): void {
  this[OWNER]?.onDrain()
}

function onTrailersWanted(this: OwnedStream): void {
  this[OWNER]?.onTrailersWanted()
}

function onError(this: OwnedStream, error: Error): void {
  this[OWNER]?.onError(error)
}

function onClose(this: OwnedStream): void {
  const owner = this[OWNER]
  this[OWNER] = undefined
  owner?.onClose()
}

/**
 * Where all ends come by. A stream that the peer resets with NO_ERROR ends as well (Node 22 to 26), but it is closed
 * before: only an end that comes while the stream is open is END_STREAM.
 */
function push(this: OwnedStream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed && !this.destroyed && this.rstCode === 0) this[OWNER]?.onEndStream()
  return Readable.prototype.push.call(this, chunk, encoding)
}

/** Whether a stream was reset whose end came as END_STREAM does: Bun 1.4 tells only afterwards. */
export function wasReset(stream: ClientHttp2Stream | undefined): boolean {
  return isBun && stream?.destroyed === true
}

/** RST_STREAM with CANCEL, at once; nothing if the stream is closed. */
export function resetStream(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) stream.destroy(CANCELLED)
}

function abortError(): Error {
  const aborted = new Readable()
  aborted.on('error', () => undefined)
  addAbortSignal(AbortSignal.abort(), aborted)
  return aborted.errored ?? new Error('cancelled')
}
