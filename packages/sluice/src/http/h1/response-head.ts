// The head of a response as text, with framing that is made here (RFC 9112, sections 4 and 6).
import { httpDate } from '../date.ts'
import { equalsIgnoringCase } from '../grammar.ts'
import { checkResponse, invalidResponse, lengthOf } from '../outgoing.ts'
import type { HttpResponse } from '../response.ts'
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
  const { status, headers, body } = response
  let text = statusLine(status)
  // Set while the lines are gone through.
  let declared = undefined as string | undefined
  let close = !context.keepAlive
  let dated = false

  text += headers.linesWithout((name, start, end, _added, list, index) => {
    // The lengths of the few names that are not sent as they are.
    switch (end - start) {
      case 4:
        if (equalsIgnoringCase(name, start, end, 'date')) dated = true
        return false
      case 7:
        return equalsIgnoringCase(name, start, end, 'upgrade')
      case 10:
        if (equalsIgnoringCase(name, start, end, 'connection')) {
          if (CLOSES.test(list.valueAt(index))) close = true
          return true
        }
        return equalsIgnoringCase(name, start, end, 'keep-alive')
      case 14:
        if (!equalsIgnoringCase(name, start, end, 'content-length')) return false
        if (declared !== undefined) throw invalidResponse('it has more than one Content-Length')
        declared = list.valueAt(index)
        return true
      case 16:
        return equalsIgnoringCase(name, start, end, 'proxy-connection')
      case 17:
        return equalsIgnoringCase(name, start, end, 'transfer-encoding')
      default:
        return false
    }
  })
  if (!dated) text += `date: ${httpDate()}\r\n`

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

function statusLine(status: number): string {
  let line = statusLines.get(status)
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
    statusLines.set(status, line)
  }
  return line
}
