// The head of a response as text, with framing that is made here (RFC 9112, sections 4 and 6).
import { httpDate } from '../date.ts'
import { equalsIgnoringCase } from '../grammar.ts'
import type { HeaderList } from '../headers.ts'
import { inOnePiece } from '../one-piece.ts'
import { checkResponse, invalidResponse, lengthOf } from '../outgoing.ts'
import type { HttpResponse } from '../response.ts'
import type { Section } from '../section.ts'
import { isBodiless, reasonPhrase } from '../status.ts'

/** What the request and the connection ask of the response. */
export interface ResponseContext {
  readonly method: string
  readonly version: '1.0' | '1.1'
  /** Whether the connection can be used again, as far as the request goes. */
  readonly keepAlive: boolean
  /** The protocol that the request asked to change to. */
  readonly upgrade?: string | undefined
}

export interface ResponseHead {
  readonly text: string
  /** How the end of the body is told: there is none, a length, chunks, or the end of the connection. */
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  /** Bytes of the body where `framing` is `length`. */
  readonly length: number
  readonly keepAlive: boolean
}

const CLOSES = /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i

const statusLines = new Map<number, string>()

/**
 * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
 */
export function responseHead(response: HttpResponse, context: ResponseContext): ResponseHead {
  checkResponse(response, context.upgrade)
  const { section, added } = response.headers
  const written = writtenFields(response.headers)
  const { known } = written
  if (known?.isFor(response, context) === true) return known.head
  const head = makeHead(response, context, written)
  // It says when it was made, unless the service does.
  if (section.mayRepeat && added.length === 0 && written.dated && response.status !== 101) {
    written.known = new KnownHead({ ...head, text: inOnePiece(head.text) }, response, context)
  }
  return head
}

/** A head that was made before, and what it depends on beside the fields. */
class KnownHead {
  readonly head: ResponseHead
  readonly #status: number
  readonly #length: number | undefined
  readonly #context: ResponseContext

  constructor(head: ResponseHead, response: HttpResponse, context: ResponseContext) {
    this.head = head
    this.#status = response.status
    this.#length = response.body.length
    this.#context = context
  }

  isFor({ status, body }: HttpResponse, { keepAlive, method, version }: ResponseContext): boolean {
    const known = this.#context
    return (
      status === this.#status &&
      body.length === this.#length &&
      keepAlive === known.keepAlive &&
      version === known.version &&
      (method === 'HEAD') === (known.method === 'HEAD')
    )
  }
}

function makeHead(response: HttpResponse, context: ResponseContext, written: WrittenFields): ResponseHead {
  const { status, body } = response
  const { declared } = written
  let close = !context.keepAlive || written.closes
  let text = statusLine(status) + written.lines
  if (!written.dated) text += `date: ${httpDate()}\r\n`

  if (status === 101) {
    text += `connection: upgrade\r\nupgrade: ${context.upgrade}\r\n\r\n`
    return { text, framing: 'none', length: 0, keepAlive: false }
  }
  const length = lengthOf(declared, body.length, context.method === 'HEAD' || isBodiless(status))
  let framing: ResponseHead['framing']
  if (context.method === 'HEAD' || isBodiless(status)) {
    framing = 'none'
    // The answer to a HEAD is empty either way; that GET's would be empty is said only if it was declared.
    const told = declared !== undefined || (status !== 304 && body.length !== 0)
    if (told && length !== undefined && status !== 204) {
      text += `content-length: ${length}\r\n`
    }
  } else if (length !== undefined) {
    framing = 'length'
    text += `content-length: ${length}\r\n`
  } else if (context.version === '1.1') {
    framing = 'chunked'
    text += 'transfer-encoding: chunked\r\n'
  } else {
    framing = 'close'
    close = true
  }
  if (close) text += 'connection: close\r\n'
  else if (context.version === '1.0') text += 'connection: keep-alive\r\n'
  return { text: `${text}\r\n`, framing, length: length ?? 0, keepAlive: !close }
}

/** Fields as they are written, and what those say that are not. */
class WrittenFields {
  lines = ''
  /** Content-Length. */
  declared: string | undefined
  /** Whether the connection is to be closed. */
  closes = false
  dated = false
  /** The last head that was made of these fields alone. */
  known: KnownHead | undefined

  /** @throws {SluiceError} `HTTP_RESPONSE_INVALID` */
  static of(section: Section): WrittenFields {
    const written = new WrittenFields()
    written.lines = section.lines((text, start, end, index) => {
      const kind = kindOf(text, start, end)
      return kind !== PLAIN && !written.#keeps(kind, section.value(index))
    })
    return written
  }

  /**
   * The same with fields that were added: name, value, name, value …
   *
   * @throws {SluiceError} `HTTP_RESPONSE_INVALID`
   */
  with(added: readonly string[]): WrittenFields {
    const written = new WrittenFields()
    let { lines } = this
    written.declared = this.declared
    written.closes = this.closes
    written.dated = this.dated
    for (let at = 0; at < added.length; at += 2) {
      const name = added[at] as string
      const value = added[at + 1] as string
      if (written.#keeps(kindOf(name, 0, name.length), value)) lines += `${name}: ${value}\r\n`
    }
    written.lines = lines
    return written
  }

  /** Whether a field is sent as it is. */
  #keeps(kind: number, value: string): boolean {
    switch (kind) {
      case PLAIN:
        return true
      case DATE:
        this.dated = true
        return true
      case LENGTH:
        if (this.declared !== undefined) throw invalidResponse('it has more than one Content-Length')
        this.declared = value
        return false
      case CONNECTION:
        if (CLOSES.test(value)) this.closes = true
        return false
      default:
        return false
    }
  }
}

const PLAIN = 0
const UNSENT = 1
const DATE = 2
const LENGTH = 3
const CONNECTION = 4

function kindOf(text: string, start: number, end: number): number {
  // The lengths of the few names that are not sent as they are.
  switch (end - start) {
    case 4:
      return equalsIgnoringCase(text, start, end, 'date') ? DATE : PLAIN
    case 7:
      return equalsIgnoringCase(text, start, end, 'upgrade') ? UNSENT : PLAIN
    case 10:
      if (equalsIgnoringCase(text, start, end, 'connection')) return CONNECTION
      return equalsIgnoringCase(text, start, end, 'keep-alive') ? UNSENT : PLAIN
    case 14:
      return equalsIgnoringCase(text, start, end, 'content-length') ? LENGTH : PLAIN
    case 16:
      return equalsIgnoringCase(text, start, end, 'proxy-connection') ? UNSENT : PLAIN
    case 17:
      return equalsIgnoringCase(text, start, end, 'transfer-encoding') ? UNSENT : PLAIN
    default:
      return PLAIN
  }
}

/** @throws {SluiceError} `HTTP_RESPONSE_INVALID` */
function writtenFields({ section, added }: HeaderList): WrittenFields {
  const known = section.memo
  const written = known instanceof WrittenFields ? known : WrittenFields.of(section)
  if (section.mayRepeat) section.memo = written
  return added.length === 0 ? written : written.with(added)
}

function statusLine(status: number): string {
  let line = statusLines.get(status)
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
    statusLines.set(status, line)
  }
  return line
}
