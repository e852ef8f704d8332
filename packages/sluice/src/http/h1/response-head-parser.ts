// The head of a response from an upstream: its status line (RFC 9112, section 4), and what its fields say about framing
// and the connection (sections 6 and 9). As strict as with requests: what two readers could understand differently is
// refused.
import { SluiceError } from '../../core/index.ts'
import { decimal, equalsIgnoringCase, membersOf, minorVersion } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { Section } from '../section.ts'
import { isBodiless } from '../status.ts'
import { CHUNKED, UNTIL_CLOSE } from './body-decoder.ts'
import { SectionParser } from './section-parser.ts'

export interface ResponseHead {
  readonly status: number
  readonly version: '1.0' | '1.1'
  readonly headers: HeaderList
  /** How long the body is, `CHUNKED`, or `UNTIL_CLOSE`; 0 for messages that never have one. */
  readonly bodyLength: number
  /** Whether the connection can be used again when the message has ended. */
  readonly keepAlive: boolean
  /** The protocol that the connection changes to, in lower case. */
  readonly upgrade: string | undefined
  /** How long the upstream keeps a connection that is idle, in seconds, if it says so. */
  readonly idleHint: number | undefined
}

export interface ResponseHeadLimits {
  /** Bytes of the head. */
  readonly head: number
  /** How many fields. */
  readonly fields: number
}

const SP = 0x20
const ZERO = 0x30
const NINE = 0x39

export class ResponseHeadParser {
  readonly #section: SectionParser
  #status = 0
  #minor = 1
  /** The first of the heads that have the fields which may come again. */
  #first: ResponseHead | undefined
  #fields: Section | undefined

  constructor(limits: ResponseHeadLimits) {
    this.#section = new SectionParser(
      { bytes: limits.head, line: limits.head, fields: limits.fields },
      'response',
      (bytes, start, end) => this.#readLine(bytes, start, end),
    )
  }

  /** Whether a head has begun that is not complete. */
  get begun(): boolean {
    return this.#section.begun
  }

  /** Where the head ended in the chunk that was read last, or else where that ended. */
  get end(): number {
    return this.#section.end
  }

  /**
   * Looks at the bytes of `chunk` from `from` on.
   *
   * @param method of the request that it answers
   * @returns the head, which ends at `end`, if it is complete
   * @throws {SluiceError} `HTTP_UPSTREAM_MALFORMED`, and what is wrong with a field
   */
  read(chunk: Buffer, from: number, method: string): ResponseHead | undefined {
    const fields = this.#section.read(chunk, from)
    if (fields === undefined) return undefined
    const status = this.#status
    const version = this.#minor === 1 ? '1.1' : '1.0'
    this.#section.reset()
    // What follows a head depends on these as well.
    const isUsual = version === '1.1' && method !== 'HEAD'
    const first = this.#first
    if (isUsual && first !== undefined && first.status === status && this.#fields === fields) {
      const headers = new HeaderList(fields)
      const { bodyLength, keepAlive, upgrade, idleHint } = first
      return { status, version, headers, bodyLength, keepAlive, upgrade, idleHint }
    }
    const head = readFields(method, status, version, fields)
    const isFirst = isUsual && fields.mayRepeat
    this.#first = isFirst ? head : undefined
    this.#fields = isFirst ? fields : undefined
    return head
  }

  /** `HTTP/1.1 200 OK`: the space before the reason is there even if the reason is not. */
  #readLine(bytes: Buffer, start: number, end: number): void {
    this.#minor = end - start > 8 && bytes[start + 8] === SP ? minorVersion(bytes, start) : -1
    if (this.#minor < 0) throw malformed('the status line does not begin with HTTP/1.1 or HTTP/1.0')
    let status = 0
    for (let at = start + 9; at < start + 12; at++) {
      const digit = bytes[at] as number
      if (at >= end || digit < ZERO || digit > NINE) throw malformed('the status is not three digits')
      status = status * 10 + digit - ZERO
    }
    if (start + 12 >= end || bytes[start + 12] !== SP) throw malformed('no space follows the status')
    if (status < 100 || status > 599) throw malformed(`the status ${status} is none`)
    this.#status = status
  }
}

function readFields(method: string, status: number, version: '1.0' | '1.1', fields: Section): ResponseHead {
  const { offsets, text } = fields
  let length: string | undefined
  let encoding: string | undefined
  let connection = ''
  let upgrade: string | undefined
  let keepAlive: string | undefined
  for (let at = 0; at < offsets.length; at += 4) {
    const start = offsets[at] as number
    const end = offsets[at + 1] as number
    // Only names of these lengths matter here, which most others don't have.
    switch (end - start) {
      case 7:
        if (equalsIgnoringCase(text, start, end, 'upgrade')) upgrade = joined(upgrade, text, offsets, at)
        break
      case 10:
        if (equalsIgnoringCase(text, start, end, 'connection')) {
          connection = joined(connection === '' ? undefined : connection, text, offsets, at)
        } else if (equalsIgnoringCase(text, start, end, 'keep-alive')) {
          keepAlive = joined(undefined, text, offsets, at)
        }
        break
      case 14:
        if (equalsIgnoringCase(text, start, end, 'content-length')) {
          if (length !== undefined) throw malformed('there is more than one Content-Length')
          length = joined(undefined, text, offsets, at)
        }
        break
      case 17:
        if (equalsIgnoringCase(text, start, end, 'transfer-encoding')) {
          if (encoding !== undefined) throw malformed('there is more than one Transfer-Encoding')
          encoding = joined(undefined, text, offsets, at)
        }
        break
      default:
    }
  }
  if (status < 200 && version === '1.0') throw malformed(`HTTP/1.0 has no status ${status}`)
  const framed = framing(version, length, encoding)
  const bodiless = method === 'HEAD' || isBodiless(status) || status < 200
  // What RFC 9110, 8.6 and RFC 9112, 6.1 forbid: an upstream that announces a body here may send one as well.
  const contradicts =
    ((status === 204 || status < 200) && (length !== undefined || encoding !== undefined)) ||
    (status === 205 && framed !== 0)
  return {
    status,
    version,
    headers: new HeaderList(fields),
    bodyLength: bodiless ? 0 : framed,
    keepAlive: !contradicts && (bodiless || framed !== UNTIL_CLOSE) && keepsAlive(version, connection),
    upgrade: upgrade !== undefined && hasOption(connection, 'upgrade') ? upgrade.toLowerCase() : undefined,
    idleHint: keepAlive === undefined ? undefined : hintIn(keepAlive),
  }
}

function joined(before: string | undefined, text: string, offsets: readonly number[], at: number): string {
  const value = text.slice(offsets[at + 2], offsets[at + 3])
  return before === undefined ? value : `${before},${value}`
}

/** RFC 9112, 6.3: Transfer-Encoding, or Content-Length, or up to the end of the connection; never both, never in doubt. */
function framing(version: '1.0' | '1.1', length: string | undefined, encoding: string | undefined): number {
  if (encoding !== undefined) {
    if (length !== undefined) throw malformed('Content-Length and Transfer-Encoding are both there')
    if (version === '1.0') throw malformed('Transfer-Encoding does not exist in HTTP/1.0')
    if (equalsIgnoringCase(encoding, 0, encoding.length, 'chunked')) return CHUNKED
    throw malformed('Transfer-Encoding is something other than chunked')
  }
  if (length === undefined) return UNTIL_CLOSE
  const value = decimal(length)
  if (value < 0) throw malformed('Content-Length is not one number below 2^53')
  return value
}

/** RFC 9112, 9.3. */
function keepsAlive(version: '1.0' | '1.1', connection: string): boolean {
  if (connection === '') return version === '1.1'
  if (equalsIgnoringCase(connection, 0, connection.length, 'keep-alive')) return true
  return !hasOption(connection, 'close') && (version === '1.1' || hasOption(connection, 'keep-alive'))
}

function hasOption(connection: string, option: string): boolean {
  return connection !== '' && membersOf(connection).includes(option)
}

/** `Keep-Alive: timeout=5`, as Node, Apache and others send it. */
function hintIn(keepAlive: string): number | undefined {
  const [, seconds] = /(?:^|[,\s])timeout=(\d{1,6})(?:[,\s]|$)/i.exec(keepAlive) ?? []
  return seconds === undefined ? undefined : Number(seconds)
}

function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_UPSTREAM_MALFORMED', what)
}
