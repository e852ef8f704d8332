// The fields of an HTTP/2 request that are no pseudo-header fields, and trailers (RFC 9113, sections 8.1 and 8.2).
import { SluiceError } from '../../core/index.ts'
import { decimal } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'
import { LONGEST_REPEATED, type Section, SectionWriter } from '../section.ts'
import {
  COOKIE,
  EXPECT,
  HOST,
  isPseudo,
  isRegular,
  kindOf,
  LENGTH,
  malformed,
  PLAIN,
  TE,
  unfit,
  WEBSOCKET_KEY,
} from './field-kinds.ts'
import type { HpackField } from './hpack/field.ts'

/** What the fields say; they themselves are field lines of HTTP/1.1. */
export interface RegularFields {
  readonly section: Section
  readonly host: string | undefined
  /** From Content-Length; undefined without it. */
  readonly length: number | undefined
  readonly expectsContinue: boolean
}

/**
 * Reads the fields of one session's requests. Clients send the same ones again and again, and HPACK tells of most by an
 * index: where all are the same objects as last time, so is what they say (−11 % of a proxied request with h2load).
 */
export class RegularFieldsReader {
  #last: readonly HpackField[] = []
  #from = 0
  #read: RegularFields | undefined

  /**
   * @param from where in `received` they begin
   * @param isTunnel whether the request is for one
   * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HOST_INVALID`, `HTTP_LENGTH_INVALID`, `HTTP_EXPECTATION_FAILED`
   */
  read(received: readonly HpackField[], from: number, isTunnel: boolean): RegularFields {
    if (isTunnel) return readRegularFields(received, from, true)
    if (this.#read !== undefined && this.#isSame(received, from)) {
      this.#read.section.mayRepeat = this.#read.section.text.length <= LONGEST_REPEATED
      return this.#read
    }
    this.#read = undefined
    const read = readRegularFields(received, from, false)
    this.#last = received
    this.#from = from
    this.#read = read
    return read
  }

  #isSame(received: readonly HpackField[], from: number): boolean {
    const last = this.#last
    const shift = this.#from - from
    if (last.length !== received.length + shift) return false
    for (let at = received.length - 1; at >= from; at--) {
      if (received[at] !== last[at + shift]) return false
    }
    return true
  }
}

function readRegularFields(received: readonly HpackField[], from: number, isTunnel: boolean): RegularFields {
  const fields = new SectionWriter()
  let host: string | undefined
  let length: number | undefined
  let cookie: string | undefined
  let expectsContinue = false
  for (let at = from; at < received.length; at++) {
    const field = received[at] as HpackField
    const { value } = field
    const kind = kindOf(field)
    switch (kind) {
      case PLAIN:
        break
      case HOST:
        if (host !== undefined) throw new SluiceError('HTTP_HOST_INVALID', 'there is more than one Host')
        host = value
        break
      case LENGTH:
        if (length !== undefined) throw badLength('there is more than one Content-Length')
        length = decimal(value)
        if (length < 0) throw badLength('Content-Length is not one number below 2^53')
        break
      case COOKIE:
        // Crumbs become one again (RFC 9113, 8.2.3).
        cookie = cookie === undefined ? value : `${cookie}; ${value}`
        continue
      case EXPECT:
        if (value.toLowerCase() !== '100-continue') {
          throw new SluiceError(
            'HTTP_EXPECTATION_FAILED',
            'Expect asks for something other than 100-continue',
          )
        }
        expectsContinue = true
        break
      case TE:
        if (value.toLowerCase() !== 'trailers') throw malformed('te is something other than trailers')
        break
      case WEBSOCKET_KEY:
        // Has no meaning for a tunnel (RFC 8441, 5), and would have one for whoever opens a WebSocket over HTTP/1.1.
        if (isTunnel) continue
        break
      default:
        if (isPseudo(kind)) throw malformed('a pseudo-header field follows a field')
        throw unfit(field)
    }
    fields.add(field.name, value, field.line)
  }
  if (cookie !== undefined) fields.add('cookie', cookie)
  return { section: fields.section(), host, length, expectsContinue }
}

/**
 * The fields after a body, as they came.
 *
 * @param overflowed whether there were more, which were not kept
 * @throws {SluiceError} `HTTP_FIELD_MALFORMED`, `HTTP_HEAD_TOO_LARGE`
 */
export function readHttp2Trailers(
  received: readonly HpackField[],
  limits: HttpLimits,
  overflowed: boolean = false,
): HeaderList {
  if (overflowed) throw tooLarge(limits)
  const fields = new SectionWriter()
  for (const field of received) {
    if (!isRegular(kindOf(field))) throw unfit(field)
    fields.add(field.name, field.value, field.line)
  }
  checkSize(fields.text.length, received.length, limits)
  return new HeaderList(fields.section())
}

/** @throws {SluiceError} `HTTP_HEAD_TOO_LARGE` */
export function checkSize(bytes: number, fields: number, limits: HttpLimits): void {
  if (bytes > limits.head || fields > limits.fields) throw tooLarge(limits)
}

export function tooLarge(limits: HttpLimits): SluiceError {
  return new SluiceError(
    'HTTP_HEAD_TOO_LARGE',
    `the fields are more than ${limits.fields}, or longer than ${limits.head} bytes`,
  )
}

function badLength(what: string): SluiceError {
  return new SluiceError('HTTP_LENGTH_INVALID', what)
}
