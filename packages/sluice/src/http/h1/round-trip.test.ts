// What is serialized parses back: heads of requests and responses, whatever fields they have, with the framing that was
// meant and no other.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCode } from '../../core/index.ts'
import { Body } from '../body.ts'
import type { UpstreamRequest } from '../client/upstream.ts'
import { HeaderList } from '../headers.ts'
import { CHUNKED, UNTIL_CLOSE } from './body-decoder.ts'
import { requestHead } from './client-request.ts'
import { RequestHeadParser } from './request-head.ts'
import { responseHead } from './response-head.ts'
import { type ResponseHead, ResponseHeadParser } from './response-head-parser.ts'

const limits = { head: 100_000, fields: 1000, target: 10_000 }
const TOKEN = [..."!#$%&'*+-.^_`|~09azAZ"]
const name = fc
  .array(fc.constantFrom(...TOKEN), { minLength: 1, maxLength: 12 })
  .map(characters => `x-${characters.join('')}`)
const inner = [...' \t!"#,:;=azAZ09\\~\x80\xa0\xe4\xff']
const value = fc
  .array(fc.constantFrom(...inner), { maxLength: 30 })
  .map(characters => characters.join('').replaceAll(/^[ \t]+|[ \t]+$/g, ''))
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 })

/** A body of which nothing comes. */
function bodyOf(length: number | undefined): Body {
  const nothing = (): void => undefined
  return Body.of({ start: nothing, pause: nothing, resume: nothing, cancel: nothing }, length)
}

interface Parser<Head> {
  readonly end: number
  read(bytes: Buffer, from: number): Head | undefined
}

/** Cuts bytes where it is told, and gives them to a parser one after the other: the head, and where the last read ended. */
function read<Head>(
  parser: Parser<Head>,
  text: string,
  cuts: readonly number[],
): [head: Head | undefined, end: number] {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map(cut => cut % bytes.length))].sort((one, other) => one - other)
  let start = 0
  for (const end of [...ends.filter(one => one > 0), bytes.length]) {
    const piece = bytes.subarray(start, end)
    const head = parser.read(piece, 0)
    if (head !== undefined) return [head, start + parser.end]
    start = end
  }
  return [undefined, -1]
}

const cuts = fc.array(fc.nat(), { maxLength: 6 })

describe('the head of a request', () => {
  it('parses back', () => {
    const request = fc.record({
      method: fc.constantFrom('GET', 'HEAD', 'POST', 'PURGE', "!#$%&'*+-.^_`|~"),
      target: fc.constantFrom('/', '/a/../b;c?d=%&{}', '//', '/%00%2e'),
      authority: fc.constantFrom('a', 'a.b:8080', '[::1]:443', 'A_B.'),
      fields,
      length: fc.constantFrom(undefined, 0, 1, 5, Number.MAX_SAFE_INTEGER),
      expectsContinue: fc.boolean(),
      upgrade: fc.constantFrom(undefined, 'websocket'),
      trailers: fc.boolean(),
    })
    fc.assert(
      fc.property(request, cuts, (given, at) => {
        const headers = new HeaderList(given.fields)
        if (given.trailers) headers.append('te', 'trailers')
        const upgrade = given.length === 0 ? given.upgrade : undefined
        const upstream: UpstreamRequest = {
          ...given,
          scheme: 'http',
          headers,
          body: given.length === 0 ? Body.empty : bodyOf(given.length),
          upgrade,
          client: undefined,
        }
        const text = requestHead(upstream)
        const parser = new RequestHeadParser(limits)
        const [head, end] = read(parser, text, at)
        expect(end).toBe(text.length)
        expect(head).toMatchObject({
          method: given.method,
          target: given.target,
          version: '1.1',
          authority: given.authority,
          bodyLength: given.length ?? CHUNKED,
          keepAlive: true,
          expectsContinue: given.expectsContinue && given.length !== 0 && upgrade === undefined,
          upgrade,
        })
        expect([...(head?.headers ?? [])].filter(([each]) => each.startsWith('x-'))).toEqual(given.fields)
      }),
    )
  })
})

describe('the head of a response', () => {
  it('parses back', () => {
    const response = fc.record({
      status: fc.constantFrom(200, 203, 204, 205, 206, 301, 304, 404, 418, 500, 599),
      fields,
      length: fc.constantFrom(undefined, 0, 1, 5, Number.MAX_SAFE_INTEGER),
      method: fc.constantFrom('GET', 'HEAD', 'POST'),
      version: fc.constantFrom('1.0' as const, '1.1' as const),
      keepAlive: fc.boolean(),
    })
    fc.assert(
      fc.property(response, cuts, (given, at) => {
        const headers = new HeaderList(given.fields)
        const body = bodyOf(given.length)
        const made = responseHead({ status: given.status, headers, body }, given)
        const parser = new ResponseHeadParser(limits)
        const [head, end] = read(toMethod(parser, given.method), made.text, at)
        expect(end).toBe(made.text.length)
        expect(head?.status).toBe(given.status)
        // After 205 with a body, which must not have one, no client of ours goes on.
        if (given.status !== 205) expect(head?.keepAlive).toBe(made.keepAlive)
        const lengths = { none: 0, length: made.length, chunked: CHUNKED, close: UNTIL_CLOSE }
        expect(head?.bodyLength).toBe(lengths[made.framing])
        expect(made.keepAlive && made.framing === 'close').toBe(false)
        expect([...(head?.headers ?? [])].filter(([each]) => each.startsWith('x-'))).toEqual(given.fields)
      }),
    )
  })
})

describe('heads one after the other on a connection', () => {
  // Few of each, so that fields are repeated, come back later, and differ in a byte.
  const lines = fc.constantFrom(
    'GET / HTTP/1.1',
    'GET /a HTTP/1.1',
    'POST / HTTP/1.1',
    'HEAD / HTTP/1.0',
    'OPTIONS * HTTP/1.1',
    'GET http://a/ HTTP/1.1',
    'GET http://b/ HTTP/1.1',
    'CONNECT a HTTP/1.1',
  )
  const requestFields = fc.constantFrom(
    'Host: a\r\n',
    'Host: b\r\n',
    'host: a\r\n',
    'Host: a\r\nContent-Length: 5\r\n',
    'Host: a\r\nContent-Length: 6\r\n',
    'Host: a\r\nConnection: close\r\n',
    'Host: a\r\nConnection: upgrade\r\nUpgrade: x\r\n',
    'Host: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n',
    'Host: a\r\nX: \x01\r\n',
    '',
  )
  const statuses = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204 ',
    'HTTP/1.1 304 X',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 100 ',
  )
  const responseFields = fc.constantFrom(
    'Content-Length: 5\r\n',
    'Content-Length: 6\r\n',
    'Connection: close\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Keep-Alive: timeout=5\r\n',
    '',
  )
  const split = fc.nat({ max: 200 })

  /** What a head says, or why it was refused. */
  function outcome<Head extends { headers: HeaderList }>(
    parser: Parser<Head>,
    text: string,
    cut: number,
  ): unknown {
    try {
      const [head, end] = read(parser, text, [cut])
      return { ...head, headers: [...(head?.headers ?? [])], end }
    } catch (error) {
      return errorCode(error)
    }
  }

  it('are requests as if each were the first', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(lines, requestFields, split), { minLength: 3, maxLength: 12 }), heads => {
        const parser = new RequestHeadParser(limits)
        for (const [line, fieldLines, cut] of heads) {
          const text = `${line}\r\n${fieldLines}\r\n`
          const seen = outcome(parser, text, cut)
          expect(seen).toEqual(outcome(new RequestHeadParser(limits), text, cut))
          // A connection ends with a head that is refused.
          if (typeof seen === 'string') return
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('are responses as if each were the first', () => {
    const method = fc.constantFrom('GET', 'HEAD', 'POST')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(statuses, responseFields, method, split), { minLength: 3, maxLength: 12 }),
        heads => {
          const parser = new ResponseHeadParser(limits)
          for (const [line, fieldLines, asked, cut] of heads) {
            const text = `${line}\r\n${fieldLines}\r\n`
            const seen = outcome(toMethod(parser, asked), text, cut)
            expect(seen).toEqual(outcome(toMethod(new ResponseHeadParser(limits), asked), text, cut))
            if (typeof seen === 'string') return
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

/** A parser of the answers to requests with one method. */
function toMethod(parser: ResponseHeadParser, method: string): Parser<ResponseHead> {
  return {
    read: (bytes, from) => parser.read(bytes, from, method),
    get end() {
      return parser.end
    },
  }
}
