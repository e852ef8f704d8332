// What is serialized parses back: heads of requests and responses, whatever fields they have, with the framing that was
// meant and no other.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Body } from '../body.ts'
import type { UpstreamRequest } from '../client/upstream.ts'
import { HeaderList } from '../headers.ts'
import { CHUNKED, UNTIL_CLOSE } from './body-decoder.ts'
import { requestHead } from './client-request.ts'
import { RequestHeadParser } from './request-head.ts'
import { responseHead } from './response-head.ts'
import { ResponseHeadParser } from './response-head-parser.ts'

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

/** Cuts bytes where it is told, and gives them to a parser one after the other; where the last push has ended. */
function push(
  parser: { push(bytes: Buffer, from: number): number },
  text: string,
  cuts: readonly number[],
): number {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map(cut => cut % bytes.length))].sort((one, other) => one - other)
  let start = 0
  for (const end of [...ends.filter(one => one > 0), bytes.length]) {
    const piece = bytes.subarray(start, end)
    const at = parser.push(piece, 0)
    if (at >= 0) return start + at
    start = end
  }
  return -1
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
        expect(push(parser, text, at)).toBe(text.length)
        const head = parser.take()
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
        expect([...head.headers].filter(([each]) => each.startsWith('x-'))).toEqual(given.fields)
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
        expect(push(parser, made.text, at)).toBe(made.text.length)
        const head = parser.take(given.method)
        expect(head.status).toBe(given.status)
        // After 205 with a body, which must not have one, no client of ours goes on.
        if (given.status !== 205) expect(head.keepAlive).toBe(made.keepAlive)
        const lengths = { none: 0, length: made.length, chunked: CHUNKED, close: UNTIL_CLOSE }
        expect(head.bodyLength).toBe(lengths[made.framing])
        expect(made.keepAlive && made.framing === 'close').toBe(false)
        expect([...head.headers].filter(([each]) => each.startsWith('x-'))).toEqual(given.fields)
      }),
    )
  })
})
