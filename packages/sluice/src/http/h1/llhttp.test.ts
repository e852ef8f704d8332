// Against the parser of Node (llhttp), for the methods that it knows: whatever we accept, it accepts with the same meaning.
// What it accepts beyond, we refuse: that is the point.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NODE_METHODS, requestsByNode } from '../../../test/support/node-http.ts'
import { ownRequests } from '../../../test/support/own-codec.ts'

/** Mostly right, with what parsers disagree about mixed in. */
function mostly(right: readonly string[], wrong: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: fc.constantFrom(...wrong) },
  )
}

const sp = mostly([' '], ['  ', '\t', ''])
const crlf = mostly(['\r\n'], ['\n', '\r', '\r\r\n', '\r\n\r\n'])
const method = mostly(NODE_METHODS, ['GE T', ''])
const target = mostly(
  [
    '/',
    '/a?b=c',
    '/a|b',
    '/%41',
    '/a?q={}[]\\^`',
    'http://a/x',
    'http://A:80',
    '//x',
    '/a;b=c,d/..',
    '/?100%',
  ],
  ['*', '/#', '/a b', 'a', '/\xe4', '/"'],
)
const version = mostly(
  ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
  ['HTTP/1.2', 'http/1.1', 'HTTP/2.0', ''],
)
const host = mostly(['Host: a\r\n', 'hOST:\ta:80 \r\n'], ['', 'Host: b\r\n', 'Host: a\r\nHost: a\r\n'])
const extra = mostly(
  [
    'X-A: b',
    'X-A:b',
    'X-A:',
    'X-A:  \t c \t',
    'X_A: b',
    'X-A: \xe4',
    'Connection: keep-alive',
    'Connection: a, b',
  ].concat([
    'Cookie: a=b',
    'Expect: 100-continue',
    'Upgrade-Insecure-Requests: 1',
    'Keep-Alive: 1',
    'TE: trailers',
    '!#$%&: x',
  ]),
  ['X-A : b', ' X-A: b', '\tfolded', 'X-\xe4: b', 'X-A: \x00', 'X-A: a\rb', 'Connection: close', ': x', 'X'],
)
const goodFraming = fc.constantFrom<readonly [string, string]>(
  ['', ''],
  ['', ''],
  ['', ''],
  ['Content-Length: 5', 'hello'],
  ['Content-Length: 0', ''],
  ['Content-Length: 05', 'hello'],
  ['content-length:\t5\t', 'hello'],
  ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ['transfer-encoding: CHUNKED', '5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n'],
  ['Transfer-Encoding: chunked', 'a;b="c;d"\r\n0123456789\r\n0\r\n\r\n'],
)
const badFraming = fc.constantFrom<readonly [string, string]>(
  ['Content-Length: +5', 'hello'],
  ['Content-Length: 5,5', 'hello'],
  ['Content-Length: 0x5', 'hello'],
  ['Content-Length: ', 'hello'],
  ['Transfer-Encoding: chunked', '5 \r\nhello\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked', '5\nhello\n0\n\n'],
  ['Transfer-Encoding: chunked', '0\r\nContent-Length: 5\r\n\r\n'],
  ['Transfer-Encoding: gzip, chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'],
  ['Transfer-Encoding : chunked', '0\r\n\r\n'],
  ['Transfer-Encoding: xchunked', '0\r\n\r\n'],
)
const framing = fc.oneof({ weight: 15, arbitrary: goodFraming }, { weight: 1, arbitrary: badFraming })
const request = fc
  .tuple(
    method,
    sp,
    target,
    sp,
    version,
    crlf,
    fc.array(fc.tuple(extra, crlf), { maxLength: 3 }),
    framing,
    crlf,
    host,
  )
  .map(
    ([m, s1, t, s2, v, e1, fields, [frame, body], e2, h]) =>
      `${m}${s1}${t}${s2}${v}${e1}${h}${fields.map(([f, e]) => f + e).join('')}${frame === '' ? '' : `${frame}\r\n`}${e2}${body}`,
  )
  // An upgrade or an unfinished expectation would make node:http stop parsing.
  .filter(text => !/^upgrade:/im.test(text))

describe('beside llhttp', () => {
  it('accepts nothing that llhttp refuses or understands otherwise', { timeout: 60_000 }, async () => {
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async requests => {
        const bytes = Buffer.from(requests.join(''), 'latin1')
        const own = ownRequests([bytes])
        // What was cut out of a body can look like a method that llhttp does not know.
        const unknown = own.requests.findIndex(({ method }) => !NODE_METHODS.includes(method))
        const messages = own.requests.slice(0, unknown < 0 ? undefined : unknown)
        if (messages.length === 0) return
        accepted += messages.length
        const others = await requestsByNode(bytes)
        const expected = messages.map(({ keepAlive: _, ...message }) => message)
        expect(others.slice(0, messages.length), `ours ended with ${own.code}`).toEqual(expected)
      }),
      { numRuns: 3000, seed: 9112 },
    )
    // The inputs must not be so wrong that nothing is compared.
    expect(accepted).toBeGreaterThan(150)
  })
})
