// Sluice's HTTP/1.1 parser and decoder alone, fed with bytes in pieces, in the same shapes as node-http.ts has.
import { errorCode } from '../../src/core/index.ts'
import { BodyDecoder } from '../../src/http/h1/body-decoder.ts'
import { type RequestHead, RequestHeadParser } from '../../src/http/h1/request-head.ts'
import { type ResponseHead, ResponseHeadParser } from '../../src/http/h1/response-head-parser.ts'
import type { HeaderList } from '../../src/http/index.ts'
import type { Pairs, ReadRequest, ReadResponse } from './node-http.ts'

export const headLimits = { head: 16_000, fields: 100, target: 8000 }
const bodyLimits = { body: 1_000_000, trailers: { bytes: 16_000, line: 0, fields: 100 } }

export interface OwnRequests {
  readonly requests: readonly (ReadRequest & { readonly keepAlive: boolean })[]
  /** Why the rest was refused. */
  readonly code: string | undefined
  /** Whether it ends inside a message. */
  readonly incomplete: boolean
}

export interface OwnResponse {
  readonly informed: readonly number[]
  /** The final answer, once it is complete. */
  readonly response: ReadResponse | undefined
  /** The status of the head of the final answer, once that is complete. */
  readonly status: number | undefined
  readonly reusable: boolean
  readonly code: string | undefined
  /** How many bytes follow the end of the answer. */
  readonly rest: number
  /** What a 101 would change to. */
  readonly upgrade: string | undefined
}

/** The requests in bytes that come in pieces, up to the first that is refused, or that is the last by what it says. */
export function ownRequests(pieces: readonly Buffer[]): OwnRequests {
  const requests: (ReadRequest & { keepAlive: boolean })[] = []
  const parser = new RequestHeadParser(headLimits)
  let begun: { head: RequestHead; decoder: BodyDecoder } | undefined
  let body = ''
  const data = (bytes: Buffer): boolean => {
    body += bytes.toString('latin1')
    return true
  }
  try {
    for (const piece of pieces) {
      let at = 0
      while (at < piece.length) {
        if (begun === undefined) {
          const head = parser.read(piece, at)
          at = parser.end
          if (head === undefined) break
          begun = { head, decoder: new BodyDecoder(head.bodyLength, bodyLimits) }
        } else {
          at = begun.decoder.push(piece, at, data)
        }
        if (!begun.decoder.done) continue
        const { method, target, version, headers, keepAlive } = begun.head
        const trailers = pairsOf(begun.decoder.trailers)
        requests.push({ method, target, version, fields: pairsOf(headers), body, trailers, keepAlive })
        begun = undefined
        body = ''
        if (!keepAlive) return { requests, code: undefined, incomplete: false }
      }
    }
  } catch (error) {
    return { requests, code: errorCode(error) ?? String(error), incomplete: false }
  }
  return { requests, code: undefined, incomplete: parser.begun || begun !== undefined }
}

/** The answer to a request with a method, in bytes that come in pieces; `ends` if the connection ends after them. */
export function ownResponse(pieces: readonly Buffer[], method: string, ends: boolean): OwnResponse {
  const informed: number[] = []
  const parser = new ResponseHeadParser(headLimits)
  let head: ResponseHead | undefined
  let decoder: BodyDecoder | undefined
  let rest = 0
  let body = ''
  const data = (bytes: Buffer): boolean => {
    body += bytes.toString('latin1')
    return true
  }
  let code: string | undefined
  try {
    for (const piece of pieces) {
      let at = 0
      while (at < piece.length) {
        if (decoder === undefined) {
          head = parser.read(piece, at, method)
          at = parser.end
          if (head === undefined) break
          if (head.status < 200 && head.status !== 101) informed.push(head.status)
          else decoder = new BodyDecoder(head.bodyLength, bodyLimits)
        } else if (decoder.done) {
          rest += piece.length - at
          break
        } else {
          at = decoder.push(piece, at, data)
        }
      }
    }
    if (ends) decoder?.end()
  } catch (error) {
    code = errorCode(error) ?? String(error)
  }
  const complete = head !== undefined && decoder?.done === true
  return {
    informed,
    response: complete
      ? {
          status: head?.status ?? 0,
          version: head?.version ?? '',
          fields: pairsOf(head?.headers),
          body,
          trailers: pairsOf(decoder?.trailers),
        }
      : undefined,
    status: decoder === undefined ? undefined : head?.status,
    reusable: complete && head?.keepAlive === true,
    code,
    rest,
    upgrade: head?.upgrade,
  }
}

function pairsOf(fields: HeaderList | undefined): Pairs {
  return fields === undefined ? [] : [...fields]
}
