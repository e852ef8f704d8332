import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCode } from '../../core/index.ts'
import { HeaderList } from '../headers.ts'
import { BodyDecoder } from './body-decoder.ts'
import { lastChunk } from './outgoing-body.ts'

const limits = { body: 100_000, trailers: { bytes: 1000, line: 0, fields: 5 } }

interface Decoded {
  readonly body: string
  readonly trailers: readonly (readonly [string, string])[]
  readonly done: boolean
  readonly rest: string
  readonly error?: string
}

function decode(length: number, pieces: readonly Buffer[]): Decoded {
  let body = ''
  let rest = ''
  let error: string | undefined
  const decoder = new BodyDecoder(length, limits)
  try {
    for (const piece of pieces) {
      // Stops after each piece of data, as a paused reader would have it.
      let at = 0
      while (at < piece.length && !decoder.done) {
        at = decoder.push(piece, at, data => {
          body += data.toString('latin1')
          return body.length % 2 === 0
        })
      }
      rest += piece.toString('latin1', at)
    }
  } catch (thrown) {
    error = errorCode(thrown)
  }
  return { body, trailers: [...(decoder.trailers ?? [])], done: decoder.done, rest, ...(error && { error }) }
}

const chunked = (text: string): Decoded => decode(-1, [Buffer.from(text, 'latin1')])

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place))
}

describe('BodyDecoder', () => {
  it('takes as many bytes as were announced', () => {
    expect(decode(5, [Buffer.from('hel'), Buffer.from('loGET')])).toMatchObject({
      body: 'hello',
      done: true,
      rest: 'GET',
    })
    expect(decode(5, [Buffer.from('hel')])).toMatchObject({ body: 'hel', done: false })
    expect(decode(0, [Buffer.from('GET')])).toMatchObject({ body: '', done: true, rest: 'GET' })
  })

  it('takes chunks, extensions and trailers', () => {
    const text = '5\r\nhello\r\n0B;a;b=c;d="e\\"; f"\r\n, and world\r\n0\r\nX-Sum: 1\r\n\r\nGET'
    expect(chunked(text)).toEqual({
      body: 'hello, and world',
      trailers: [['X-Sum', '1']],
      done: true,
      rest: 'GET',
    })
  })

  it.each([
    ['no size', '\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a plus', '+5\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a minus', '-5\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['0x', '0x5\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a space before', ' 5\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a space after', '5 \r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['an underscore', '1_0\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a size of 2^53', '20000000000000\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a size of 2^64', '10000000000000000\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['zeros without end', `${'0'.repeat(17)}5\r\nhello\r\n`, 'HTTP_CHUNK_MALFORMED'],
    ['a bare LF after the size', '5\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a bare CR after the size', '5\rhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['data longer than the size', '4\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['data shorter than the size', '6\r\nhello\r\n0\r\n\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a bare LF in an extension', '5;a\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['a line end in a quoted extension', '5;a="\r\n"\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['an extension without a name', '5;\r\nhello\r\n', 'HTTP_CHUNK_MALFORMED'],
    ['extensions without end', `5;${'a'.repeat(5000)}\r\nhello\r\n`, 'HTTP_CHUNK_MALFORMED'],
    ['small extensions without end', '1;abcdefgh\r\nx\r\n'.repeat(600), 'HTTP_CHUNK_MALFORMED'],
    ['Host in the trailers', '0\r\nHost: a\r\n\r\n', 'HTTP_TRAILER_FORBIDDEN'],
    ['Content-Length in the trailers', '0\r\ncontent-length: 5\r\n\r\n', 'HTTP_TRAILER_FORBIDDEN'],
    [
      'Transfer-Encoding in the trailers',
      '0\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HTTP_TRAILER_FORBIDDEN',
    ],
    ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n', 'HTTP_FIELD_MALFORMED'],
    ['a bare LF in the trailers', '0\r\nA: b\n\r\n', 'HTTP_FIELD_MALFORMED'],
    ['trailers without end', `0\r\nA: ${'b'.repeat(1000)}\r\n\r\n`, 'HTTP_HEAD_TOO_LARGE'],
    ['too many trailers', `0\r\n${'A: b\r\n'.repeat(6)}\r\n`, 'HTTP_HEAD_TOO_LARGE'],
    ['more than the limit', `${'186A1'}\r\n`, 'HTTP_BODY_TOO_LARGE'],
    [
      'more than the limit in small chunks',
      `c350\r\n${'a'.repeat(50_000)}\r\n`.repeat(3),
      'HTTP_BODY_TOO_LARGE',
    ],
  ])('refuses %s', (_name, text, code) => {
    expect(chunked(text)).toMatchObject({ error: code, done: false })
  })

  it('refuses a length over the limit before it begins', () => {
    expect(() => new BodyDecoder(100_001, limits)).toThrow(
      expect.objectContaining({ code: 'HTTP_BODY_TOO_LARGE' }),
    )
  })

  it('decodes what is encoded, for every split', () => {
    const chunk = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 })
    const trailer = fc.tuple(fc.constantFrom('x-a', 'X-B'), fc.constantFrom('', '1', 'a b'))
    fc.assert(
      fc.property(
        fc.array(chunk),
        fc.array(trailer, { maxLength: 5 }),
        fc.array(fc.nat(500)),
        (parts, trailers, cuts) => {
          const text = parts.map(part => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
          const bytes = Buffer.from(`${text}${lastChunk(new HeaderList(trailers))}next`, 'latin1')
          const expected = { body: parts.join(''), trailers, done: true, rest: 'next' }
          expect(decode(-1, split(bytes, cuts))).toEqual(expected)
          expect(
            decode(
              -1,
              split(
                bytes,
                Array.from(bytes, (_byte, index) => index),
              ),
            ),
          ).toEqual(expected)
        },
      ),
    )
  })

  it('gives the same for every split of bytes of any kind', () => {
    const token = fc.constantFrom(
      '0',
      '5',
      'a',
      '\r\n',
      '\r',
      '\n',
      ';',
      '=',
      '"',
      '\\',
      ' ',
      'hello',
      'X: y',
      '\x00',
      '\xff',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), fc.array(fc.nat(100)), (tokens, cuts) => {
        const bytes = Buffer.from(tokens.join(''), 'latin1')
        const whole = decode(-1, [bytes])
        // After an error nobody looks at the rest.
        const { rest, ...parts } = decode(-1, split(bytes, cuts))
        expect(parts).toEqual({ ...whole, rest: undefined })
        if (whole.error === undefined) expect(rest).toBe(whole.rest)
      }),
      { numRuns: 2000 },
    )
  })
})
