// The head and the trailers of a response of an HTTP/2 upstream (RFC 9113, section 8.3.2), checked again after nghttp2:
// what becomes of it may be HTTP/1.1, where a line end in a value would be another field.
import { SluiceError } from '../../core/index.ts'
import { INFORMATION_LIMIT, type UpstreamLimits } from '../client/limits.ts'
import { HeaderList } from '../headers.ts'
import { isBodiless } from '../status.ts'
import { checkTrailers } from '../trailers.ts'

export interface Http2ResponseHead {
  readonly status: number
  readonly headers: HeaderList
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
}

/** What a field costs beside its name and its value, as a line of HTTP/1.1. */
const LINE = 4

const STATUS = /^[1-5]\d\d$/
const LENGTH = /^\d{1,16}$/

/**
 * @param raw name, value, name, value … as they came
 * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`
 */
export function readResponseHead(raw: readonly string[], limits: UpstreamLimits): Http2ResponseHead {
  const [pseudo, status = ''] = raw
  if (pseudo !== ':status') throw malformed('its answer does not begin with :status')
  if (!STATUS.test(status)) throw malformed(`the status ${JSON.stringify(status)} is none`)
  const headers = new HeaderList()
  let length: string | undefined
  let left = limits.head
  if (raw.length / 2 - 1 > limits.fields) {
    throw malformed(`the head of its answer has more than ${limits.fields} fields`)
  }
  for (let at = 2; at < raw.length; at += 2) {
    const name = raw[at] as string
    const value = raw[at + 1] as string
    left -= name.length + value.length + LINE
    if (left < 0) throw malformed(`the head of its answer is longer than ${limits.head} bytes`)
    switch (name) {
      case 'content-length':
        if (length !== undefined) throw malformed('there is more than one Content-Length')
        length = value
        break
      case 'connection':
      case 'keep-alive':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'upgrade':
        throw malformed(`its answer has the field ${name}, which does not exist in HTTP/2`)
      default:
    }
    appendField(headers, name, value)
  }
  return { status: Number(status), headers, length: lengthOf(length) }
}

/**
 * An informational response.
 *
 * @param ended whether it ends the stream, which it must not
 * @param count how many there were, with this one
 * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`
 */
export function readInformation(
  raw: readonly string[],
  limits: UpstreamLimits,
  ended: boolean,
  count: number,
): Http2ResponseHead {
  if (count > INFORMATION_LIMIT) {
    throw malformed(`it sent more than ${INFORMATION_LIMIT} informational responses`)
  }
  const head = readResponseHead(raw, limits)
  if (head.status >= 200 || head.status === 101 || ended) {
    throw malformed(`its answer ends with ${head.status}, or goes on after it`)
  }
  return head
}

/**
 * How long the body of a response is; undefined if only its end will tell.
 *
 * @param ended whether nothing follows the head
 * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`
 */
export function bodyLength(
  { status, length }: Http2ResponseHead,
  method: string,
  ended: boolean,
): number | undefined {
  if (status < 200) throw malformed(`it ended its answer with status ${status}`)
  if (method === 'HEAD' || isBodiless(status)) return 0
  if (!ended) return length
  if (length !== undefined && length > 0) throw malformed('its answer has a Content-Length, and no body')
  return 0
}

/**
 * @param raw name, value, name, value … as they came
 * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`
 */
export function readResponseTrailers(raw: readonly string[], limits: UpstreamLimits): HeaderList {
  const trailers = new HeaderList()
  let left = limits.head
  if (raw.length / 2 > limits.fields) throw malformed(`its trailers are more than ${limits.fields} fields`)
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string
    const value = raw[at + 1] as string
    left -= name.length + value.length + LINE
    if (left < 0) throw malformed(`its trailers are longer than ${limits.head} bytes`)
    appendField(trailers, name, value)
  }
  try {
    checkTrailers(trailers)
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : 'its trailers are forbidden', cause)
  }
  return trailers
}

export function malformed(what: string, cause?: unknown): SluiceError {
  return new SluiceError('HTTP_UPSTREAM_MALFORMED', what, cause === undefined ? undefined : { cause })
}

function appendField(headers: HeaderList, name: string, value: string): void {
  // A colon, which begins pseudo-header fields, can't be part of a name.
  if (name !== name.toLowerCase()) throw malformed('a field name is not in lower case')
  try {
    headers.append(name, value)
  } catch (cause) {
    throw malformed('a field has a name or value that HTTP does not allow', cause)
  }
}

function lengthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const length = Number(text)
  if (!LENGTH.test(text) || length > Number.MAX_SAFE_INTEGER) {
    throw malformed('Content-Length is not one number below 2^53')
  }
  return length
}
