// Answers against Node's parser (llhttp) as a client: whatever we accept, it accepts with the same meaning: status, fields,
// body, trailers, and whether the connection can be used again. What it accepts beyond, we refuse.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Random } from '../support/random.ts'
import { checkResponse } from './codec-oracles.ts'

/** Mostly right, with what parsers disagree about mixed in. */
function mostly(right: readonly string[], wrong: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: fc.constantFrom(...wrong) },
  )
}

const crlf = mostly(['\r\n'], ['\n', '\r', '\r\r\n', '\r\n\r\n'])
const sp = mostly([' '], ['  ', '\t', ''])
const version = mostly(
  ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
  ['HTTP/1.2', 'http/1.1', 'HTTP/2.0', ''],
)
const status = mostly(
  ['200', '201', '204', '205', '206', '301', '304', '404', '500', '599'],
  ['000', '099', '600', '1000', '20', 'abc', '100', '101'],
)
const reason = mostly(['OK', '', 'Not Found', '\xe4 \t', '200'], ['\0', 'a\rb', '\x7f'])
const field = mostly(
  [
    ...['X-A: b', 'X-A:b', 'X-A:', 'X-A:  \t c \t', 'X_A: b', 'X-A: \xe4', '!#$%&: x', 'Set-Cookie: a=b'],
    ...[
      'Connection: keep-alive',
      'Connection: close',
      'Connection: a, Close',
      'Connection: x',
      'Keep-Alive: timeout=5',
    ],
    ...['Upgrade: h2c', 'Trailer: x', 'Date: now', 'Content-Type: text/html'],
  ],
  [
    'X-A : b',
    ' X-A: b',
    '\tfolded',
    'X-\xe4: b',
    'X-A: \x00',
    'X-A: a\rb',
    ': x',
    'X',
    'Connection: \xa0close',
  ],
)
const framing = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom<readonly [string, string]>(
      ['', ''],
      ['', 'until the end'],
      ['Content-Length: 5', 'hello'],
      ['Content-Length: 0', ''],
      ['Content-Length: 05', 'hello'],
      ['content-length:\t5\t', 'hello'],
      ['Content-Length: 5', 'hel'],
      ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
      ['transfer-encoding: CHUNKED', '5;a=b\r\nhello\r\n00\r\nX: y\r\nZ:\r\n\r\n'],
      ['Transfer-Encoding: chunked', 'a;b="c;d"\r\n0123456789\r\n0\r\n\r\n'],
      ['Transfer-Encoding: chunked', '5\r\nhello\r\n'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<readonly [string, string]>(
      ['Content-Length: +5', 'hello'],
      ['Content-Length: 5,5', 'hello'],
      ['Content-Length: 0x5', 'hello'],
      ['Content-Length: 5\r\nContent-Length: 6', 'hello'],
      ['Content-Length: ', 'hello'],
      ['Transfer-Encoding: chunked', '5 \r\nhello\r\n0\r\n\r\n'],
      ['Transfer-Encoding: chunked', '5\nhello\n0\n\n'],
      ['Transfer-Encoding: chunked', '0\r\nContent-Length: 5\r\n\r\n'],
      ['Transfer-Encoding: gzip, chunked', '5\r\nhello\r\n0\r\n\r\n'],
      ['Transfer-Encoding: gzip', 'hello'],
      ['Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'],
      ['Transfer-Encoding : chunked', '0\r\n\r\n'],
    ),
  },
)
const before = fc.array(
  mostly(
    ['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n', 'HTTP/1.1 199 \r\n\r\n'],
    ['HTTP/1.0 103 \r\n\r\n', 'HTTP/1.1 101 \r\n\r\n', '\r\n', 'HTTP/1.1 103 \r\nConnection: close\r\n\r\n'],
  ),
  { maxLength: 2 },
)
const after = mostly(['', ''], ['x', '\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'])
const answer = fc
  .tuple(
    before,
    version,
    sp,
    status,
    sp,
    reason,
    crlf,
    fc.array(fc.tuple(field, crlf), { maxLength: 3 }),
    framing,
    crlf,
    after,
  )
  .map(
    ([informed, v, s1, code, s2, phrase, e1, fields, [frame, body], e2, rest]) =>
      `${informed.join('')}${v}${s1}${code}${s2}${phrase}${e1}${fields.map(([f, e]) => f + e).join('')}${frame === '' ? '' : `${frame}\r\n`}${e2}${body}${rest}`,
  )

describe('answers beside llhttp', () => {
  it('are accepted only if it accepts them with the same meaning', { timeout: 60_000 }, async () => {
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(
        answer,
        fc.constantFrom('GET', 'HEAD', 'POST'),
        fc.nat(),
        async (text, method, seed) => {
          accepted += await checkResponse(Buffer.from(text, 'latin1'), new Random(seed), method)
        },
      ),
      { numRuns: 3000 },
    )
    // The inputs must not be so wrong that nothing is compared.
    expect(accepted).toBeGreaterThan(1000)
  })
})
