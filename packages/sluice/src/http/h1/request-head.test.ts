import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCode } from '../../core/index.ts'
import { type RequestHead, RequestHeadParser } from './request-head.ts'

const limits = { head: 2048, fields: 10, target: 200 }

/** The head and how many bytes it took, or the code of what is wrong, from any pieces. */
function parse(pieces: readonly Buffer[]): { head: RequestHead; consumed: number } | string | undefined {
  const parser = new RequestHeadParser(limits)
  let before = 0
  try {
    for (const piece of pieces) {
      const head = parser.read(piece, 0)
      if (head !== undefined) return { head, consumed: before + parser.end }
      before += piece.length
    }
  } catch (error) {
    return errorCode(error)
  }
  return undefined
}

function parseText(text: string): RequestHead | string | undefined {
  const result = parse([Buffer.from(text, 'latin1')])
  return typeof result === 'object' ? result.head : result
}

const GET = 'GET / HTTP/1.1\r\n'
const HOST = 'Host: example.com\r\n'

describe('RequestHeadParser', () => {
  it('reads a request', () => {
    const head = parseText(
      'POST /a?b HTTP/1.1\r\nHost: example.com:80\r\nX-A:  \t1 2 \t\r\nContent-Length: 5\r\n\r\n',
    )
    expect(head).toMatchObject({
      method: 'POST',
      target: '/a?b',
      version: '1.1',
      authority: 'example.com:80',
      bodyLength: 5,
      keepAlive: true,
      expectsContinue: false,
    })
    expect([...(head as RequestHead).headers]).toEqual([
      ['Host', 'example.com:80'],
      ['X-A', '1 2'],
      ['Content-Length', '5'],
    ])
  })

  it.each([
    ['HTTP/1.0 has no Host and closes', 'GET / HTTP/1.0\r\n\r\n', { authority: undefined, keepAlive: false }],
    ['HTTP/1.0 with keep-alive', 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', { keepAlive: true }],
    ['HTTP/1.1 with close', `${GET}${HOST}Connection: x, Close\r\n\r\n`, { keepAlive: false }],
    [
      'close in one of two fields',
      `${GET}${HOST}Connection: close\r\nConnection: keep-alive\r\n\r\n`,
      { keepAlive: false },
    ],
    ['chunked', `${GET}${HOST}Transfer-Encoding: Chunked\r\n\r\n`, { bodyLength: -1 }],
    ['an expectation', `${GET}${HOST}Expect: 100-Continue\r\n\r\n`, { expectsContinue: true }],
    ['an expectation of HTTP/1.0', 'GET / HTTP/1.0\r\nExpect: other\r\n\r\n', { expectsContinue: false }],
    ['an absolute target', `GET http://example.com/a HTTP/1.1\r\n${HOST}\r\n`, { authority: 'example.com' }],
    ['an absolute target, as the same Host', `GET http://EXAMPLE.com:80 HTTP/1.1\r\n${HOST}\r\n`, {}],
    ['an absolute target of HTTP/1.0', 'GET https://a.b/ HTTP/1.0\r\n\r\n', { authority: 'a.b' }],
    ['the asterisk', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, { target: '*' }],
    ['an IPv6 Host', `${GET}Host: [::1]:8080\r\n\r\n`, { authority: '[::1]:8080' }],
    ['one empty line before', `\r\n${GET}${HOST}\r\n`, { method: 'GET', target: '/' }],
    ['an unusual method', `M-SEARCH / HTTP/1.1\r\n${HOST}\r\n`, { method: 'M-SEARCH' }],
    [
      'what browsers leave as it is',
      `GET /a|b?c[]={d}&e=100% HTTP/1.1\r\n${HOST}\r\n`,
      { target: '/a|b?c[]={d}&e=100%' },
    ],
    ['obs-text in a value', `${GET}${HOST}X: \xe4\r\n\r\n`, {}],
    ['an empty value', `${GET}${HOST}X:\r\nY: \t\r\n\r\n`, {}],
  ])('takes %s', (_name, text, expected) => {
    expect(parseText(text)).toMatchObject(expected)
  })

  it('gives the same for every split', () => {
    const line = fc.constantFrom(
      GET,
      'GET  / HTTP/1.1\r\n',
      'POST /x?y HTTP/1.0\r\n',
      'GET / HTTP/1.1\n',
      '\r\nGET / HTTP/1.1\r\n',
    )
    const field = fc.constantFrom(
      HOST,
      'A: b\r\n',
      'A : b\r\n',
      'Content-Length: 12\r\n',
      'Transfer-Encoding: chunked\r\n',
      'A: b\n',
      ' folded\r\n',
      `B: ${'x'.repeat(700)}\r\n`,
      'C: \x01\r\n',
      'D: \r \n',
    )
    const end = fc.constantFrom('\r\n', '\r\nGET /next', '')
    const input = fc.tuple(line, fc.array(field, { maxLength: 12 }), end)
    fc.assert(
      fc.property(input, fc.array(fc.nat(3000)), ([first, fields, last], cuts) => {
        const bytes = Buffer.from(first + fields.join('') + last, 'latin1')
        const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
        const pieces = places.slice(1).map((place, index) => bytes.subarray(places[index], place))
        const single = Array.from(bytes, (_byte, index) => bytes.subarray(index, index + 1))
        const whole = describeResult(parse([bytes]))
        expect(describeResult(parse(pieces))).toEqual(whole)
        expect(describeResult(parse(single))).toEqual(whole)
      }),
      { numRuns: 1500 },
    )
  })

  it('looks at each byte once, however they come', () => {
    const parser = new RequestHeadParser({ head: 4_000_000, fields: 10, target: 200 })
    parser.read(Buffer.from(`${GET}A: `), 0)
    const one = Buffer.from('x')
    const began = performance.now()
    for (let count = 0; count < 1_000_000; count++) parser.read(one, 0)
    // A second look at all of it for each byte would take hours.
    expect(performance.now() - began).toBeLessThan(5000)
  })
})

function describeResult(result: ReturnType<typeof parse>): unknown {
  if (typeof result !== 'object') return result
  const { head, consumed } = result
  return { ...head, headers: [...head.headers], consumed }
}
