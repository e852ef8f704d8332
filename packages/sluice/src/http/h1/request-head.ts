// The head of a request: its line (RFC 9112, section 3), and what its fields say about framing and the connection
// (sections 6 and 9). Anything that two readers could understand differently is refused.
import { SluiceError } from '../../core/index.ts'
import { isAuthority, sameAuthority } from '../authority.ts'
import { decimal, equalsIgnoringCase, membersOf, minorVersion, skip, TOKEN } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { Section } from '../section.ts'
import { checkTarget } from '../target.ts'
import { type SectionLimits, SectionParser } from './section-parser.ts'

/** What a head says about the message and the connection. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly authority: string | undefined
  readonly headers: HeaderList
  /** How long the body is; -1 if it is chunked. */
  readonly bodyLength: number
  /** Whether the client wants to use the connection again. */
  readonly keepAlive: boolean
  /** Whether it waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean
  /** The protocol that it asks to change to, in lower case. */
  readonly upgrade: string | undefined
}

export interface RequestHeadLimits {
  /** Bytes of the head. */
  readonly head: number
  /** How many fields. */
  readonly fields: number
  /** Bytes of the target. */
  readonly target: number
}

/** A method and a version are short: with the target's limit they give the line's. */
const LINE_BESIDE_TARGET = 64

/** Idle connections keep a head with a target up to this length. */
const LONG = 1024

const SP = 0x20

/** Reads heads of requests one after the other. */
export class RequestHeadParser {
  readonly #section: SectionParser
  readonly #targetLimit: number
  #methodLength = 0
  #targetLength = 0
  #minor = 1
  /** The first of the heads that have the fields which may come again. In HTTP/1.1 they say all but method and target. */
  #first: RequestHead | undefined
  #fields: Section | undefined

  constructor(limits: RequestHeadLimits) {
    const section: SectionLimits = {
      bytes: limits.head,
      line: limits.target + LINE_BESIDE_TARGET,
      fields: limits.fields,
    }
    this.#targetLimit = limits.target
    this.#section = new SectionParser(section, 'request', (bytes, start, end) =>
      this.#readLine(bytes, start, end),
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
   * @returns the head, which ends at `end`, if it is complete
   * @throws {SluiceError} what is wrong with the line or a field; `HTTP_HOST_INVALID`, `HTTP_LENGTH_INVALID`,
   *   `HTTP_TRANSFER_ENCODING_INVALID`, `HTTP_TRANSFER_ENCODING_UNSUPPORTED`, `HTTP_EXPECTATION_FAILED`, `HTTP_METHOD_UNSUPPORTED`, `HTTP_TARGET_MALFORMED`
   */
  read(chunk: Buffer, from: number): RequestHead | undefined {
    const section = this.#section
    const fields = section.read(chunk, from)
    if (fields === undefined) return undefined
    const line = section.startLine(chunk, from)
    section.reset()
    const targetStart = this.#methodLength + 1
    const method = methodOf(line, this.#methodLength)
    const target = line.slice(targetStart, targetStart + this.#targetLength)
    const version = this.#minor === 1 ? '1.1' : '1.0'
    if (method === 'CONNECT') {
      throw new SluiceError('HTTP_METHOD_UNSUPPORTED', 'CONNECT asks for a tunnel; there are none here')
    }
    const first = this.#first
    if (first !== undefined && this.#fields === fields && version === '1.1') {
      return withFieldsOf(first, method, target, fields)
    }
    const head = readFields(method, target, version, fields)
    const isFirst = fields.mayRepeat && version === '1.1' && target.length <= LONG
    this.#first = isFirst ? head : undefined
    this.#fields = isFirst ? fields : undefined
    return head
  }

  #readLine(bytes: Buffer, start: number, end: number): void {
    let at = skip(bytes, start, end, TOKEN)
    if (at === start || bytes[at] !== SP) throw malformed('does not begin with a method and one space')
    this.#methodLength = at - start
    const targetStart = ++at
    while (at < end && bytes[at] !== SP) at++
    this.#targetLength = at - targetStart
    if (at === end) throw malformed('has no version after the target')
    if (at === targetStart) throw malformed('has no target')
    if (this.#targetLength > this.#targetLimit) {
      throw new SluiceError(
        'HTTP_TARGET_TOO_LONG',
        `the target is longer than the limit of ${this.#targetLimit} bytes`,
      )
    }
    this.#minor = readVersion(bytes, at + 1, end)
  }
}

/** `HTTP/1.1` or `HTTP/1.0`: eight bytes up to the end of the line. */
function readVersion(bytes: Buffer, start: number, end: number): number {
  const minor = end - start === 8 ? minorVersion(bytes, start) : -1
  if (minor >= 0) return minor
  const text = bytes.toString('latin1', start, end)
  if (!/^HTTP\/\d\.\d$/.test(text)) throw malformed('does not end with a version')
  throw new SluiceError('HTTP_VERSION_UNSUPPORTED', `the version is ${text}; 1.0, 1.1 and 2 are spoken here`)
}

/** The method as a string that exists already, where it is one of the usual. */
function methodOf(line: string, length: number): string {
  const method = line.slice(0, length)
  switch (method) {
    case 'GET':
      return 'GET'
    case 'POST':
      return 'POST'
    case 'HEAD':
      return 'HEAD'
    default:
      return method
  }
}

/** A head of HTTP/1.1 with the same fields as an earlier one. */
function withFieldsOf(first: RequestHead, method: string, target: string, fields: Section): RequestHead {
  const { authority } = first
  if (method !== first.method || target !== first.target) authorityOf(method, target, '1.1', authority)
  return {
    method,
    target,
    version: '1.1',
    authority,
    headers: new HeaderList(fields),
    bodyLength: first.bodyLength,
    keepAlive: first.keepAlive,
    expectsContinue: first.expectsContinue,
    upgrade: first.upgrade,
  }
}

function readFields(method: string, target: string, version: '1.0' | '1.1', fields: Section): RequestHead {
  const { offsets, text } = fields
  let host: string | undefined
  let contentLength: string | undefined
  let transferEncoding: string | undefined
  let connection = ''
  let expect: string | undefined
  let upgrade: string | undefined

  for (let at = 0; at < offsets.length; at += 4) {
    const start = offsets[at] as number
    const end = offsets[at + 1] as number
    const value = at + 2
    // Only names of these lengths matter here, which most others don't have.
    switch (end - start) {
      case 4:
        if (equalsIgnoringCase(text, start, end, 'host')) {
          if (host !== undefined) throw badHost('there is more than one Host')
          host = slice(text, offsets, value)
        }
        break
      case 6:
        if (equalsIgnoringCase(text, start, end, 'expect')) {
          expect =
            expect === undefined ? slice(text, offsets, value) : `${expect},${slice(text, offsets, value)}`
        }
        break
      case 7:
        if (equalsIgnoringCase(text, start, end, 'upgrade')) {
          upgrade =
            upgrade === undefined ? slice(text, offsets, value) : `${upgrade},${slice(text, offsets, value)}`
        }
        break
      case 10:
        if (equalsIgnoringCase(text, start, end, 'connection')) {
          connection =
            connection === '' ? slice(text, offsets, value) : `${connection},${slice(text, offsets, value)}`
        }
        break
      case 14:
        if (equalsIgnoringCase(text, start, end, 'content-length')) {
          if (contentLength !== undefined) throw badLength('there is more than one Content-Length')
          contentLength = slice(text, offsets, value)
        }
        break
      case 17:
        if (equalsIgnoringCase(text, start, end, 'transfer-encoding')) {
          if (transferEncoding !== undefined) throw badEncoding('there is more than one Transfer-Encoding')
          transferEncoding = slice(text, offsets, value)
        }
        break
      default:
    }
  }

  const bodyLength = bodyLengthOf(version, contentLength, transferEncoding)
  return {
    method,
    target,
    version,
    authority: authorityOf(method, target, version, host),
    headers: new HeaderList(fields),
    bodyLength,
    keepAlive: keepsAlive(version, connection),
    expectsContinue: expectsContinue(version, expect),
    upgrade: upgrade === undefined ? undefined : upgradeOf(version, connection, upgrade, bodyLength),
  }
}

function slice(text: string, offsets: readonly number[], at: number): string {
  return text.slice(offsets[at], offsets[at + 1])
}

function authorityOf(
  method: string,
  target: string,
  version: '1.0' | '1.1',
  host: string | undefined,
): string | undefined {
  const absolute = checkTarget(method, target)
  if (host === undefined) {
    if (version === '1.1') throw badHost('there is no Host')
    return absolute?.authority
  }
  if (!isAuthority(host)) throw badHost('Host is not a name or address with an optional port')
  if (absolute !== undefined && !sameAuthority(absolute.authority, host, absolute.scheme)) {
    throw badHost('Host contradicts the target')
  }
  return host
}

/** RFC 9112, 6.3: Transfer-Encoding, or Content-Length, or no body; never both, never in doubt. */
function bodyLengthOf(
  version: '1.0' | '1.1',
  contentLength: string | undefined,
  transferEncoding: string | undefined,
): number {
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) throw badLength('Content-Length and Transfer-Encoding are both there')
    if (version === '1.0') throw badEncoding('Transfer-Encoding does not exist in HTTP/1.0')
    if (equalsIgnoringCase(transferEncoding, 0, transferEncoding.length, 'chunked')) return -1
    const codings = membersOf(transferEncoding)
    if (codings.indexOf('chunked') === codings.length - 1 && !codings.includes('')) {
      throw new SluiceError(
        'HTTP_TRANSFER_ENCODING_UNSUPPORTED',
        'Transfer-Encoding names a coding beside chunked',
      )
    }
    throw badEncoding('Transfer-Encoding is not exactly one final chunked')
  }
  if (contentLength === undefined) return 0
  const length = decimal(contentLength)
  if (length < 0) throw badLength('Content-Length is not one number below 2^53')
  return length
}

/** RFC 9112, 9.3. */
function keepsAlive(version: '1.0' | '1.1', connection: string): boolean {
  if (connection === '') return version === '1.1'
  const options = connection.toLowerCase()
  if (options === 'keep-alive') return true
  if (options === 'close') return false
  const list = membersOf(options)
  return !list.includes('close') && (version === '1.1' || list.includes('keep-alive'))
}

/**
 * RFC 9110, 7.8. A choice of protocols, one that Connection does not name, and one behind a body are no request to
 * change that could be granted: a server may ignore it.
 */
function upgradeOf(
  version: '1.0' | '1.1',
  connection: string,
  upgrade: string,
  bodyLength: number,
): string | undefined {
  if (version === '1.0' || bodyLength !== 0 || !/^[\w!#$%&'*+.^`|~/-]+$/.test(upgrade)) return undefined
  return /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i.test(connection) ? upgrade.toLowerCase() : undefined
}

/** RFC 9110, 10.1.1: unknown expectations get 417; HTTP/1.0 has none. */
function expectsContinue(version: '1.0' | '1.1', expect: string | undefined): boolean {
  if (expect === undefined || version === '1.0') return false
  if (equalsIgnoringCase(expect, 0, expect.length, '100-continue')) return true
  throw new SluiceError('HTTP_EXPECTATION_FAILED', 'Expect asks for something other than 100-continue')
}

function malformed(what: string): SluiceError {
  return new SluiceError('HTTP_REQUEST_LINE_MALFORMED', `the request line ${what}`)
}

function badHost(what: string): SluiceError {
  return new SluiceError('HTTP_HOST_INVALID', what)
}

function badLength(what: string): SluiceError {
  return new SluiceError('HTTP_LENGTH_INVALID', what)
}

function badEncoding(what: string): SluiceError {
  return new SluiceError('HTTP_TRANSFER_ENCODING_INVALID', what)
}
