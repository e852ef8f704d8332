// The head of a request that a server of Node has read, read again: its parser takes what RFC 9112 forbids, and a
// middleware may have put something else in its place.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { SluiceError } from '../../core/index.ts'
import { allIn, TOKEN } from '../grammar.ts'
import { type RequestHead, RequestHeadParser } from '../h1/request-head.ts'
import { fieldsOf, type Http2RequestHead, readHttp2Head } from '../h2/request-head.ts'
import { HeaderList } from '../headers.ts'
import type { HttpLimits } from '../limits.ts'

/**
 * @throws {SluiceError} what is wrong with it
 */
export function readHead(request: IncomingMessage, limits: HttpLimits): RequestHead {
  const head = new RequestHeadParser(limits).read(headBytes(request), 0)
  if (head === undefined) throw new SluiceError('INTERNAL', 'a head that was made here is not complete')
  return head
}

/** @throws {SluiceError} what is wrong with it */
export function readHeadOfHttp2(request: Http2ServerRequest, limits: HttpLimits): Http2RequestHead {
  const raw = request.rawHeaders.slice()
  for (let at = 0; at < raw.length; at += 2) {
    if (raw[at] === ':method') raw[at + 1] = request.method
    else if (raw[at] === ':path') raw[at + 1] = request.url
  }
  return readHttp2Head(fieldsOf(raw), limits)
}

/**
 * The head as it may have been on the wire.
 *
 * @throws {SluiceError} `HTTP_REQUEST_LINE_MALFORMED`, `HTTP_FIELD_MALFORMED` if that would be another
 */
export function headBytes({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): Buffer {
  // What is beyond one byte would lose its upper half, and may become a line end.
  if (!allIn(method, TOKEN) || !/^[!-~]+$/.test(url)) {
    throw new SluiceError(
      'HTTP_REQUEST_LINE_MALFORMED',
      'the method or the target has a character that it may not have',
    )
  }
  const headers = new HeaderList()
  try {
    for (let at = 0; at < rawHeaders.length; at += 2) {
      headers.append(rawHeaders[at] as string, rawHeaders[at + 1] as string)
    }
  } catch (cause) {
    throw new SluiceError('HTTP_FIELD_MALFORMED', 'a field has a name or value that HTTP does not allow', {
      cause,
    })
  }
  return Buffer.from(`${method} ${url} HTTP/${httpVersion}\r\n${headers.toLines()}\r\n`, 'latin1')
}

export function schemeOf({ socket }: IncomingMessage | Http2ServerRequest): 'http' | 'https' {
  return 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http'
}
