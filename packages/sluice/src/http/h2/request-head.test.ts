import { describe, expect, it } from 'vitest'
import { httpLimits } from '../limits.ts'
import { RegularFieldsReader, readHttp2Trailers } from './regular-fields.ts'
import { fieldsOf, readHttp2Head } from './request-head.ts'

const limits = httpLimits()
const HEAD = [':method', 'GET', ':scheme', 'https', ':path', '/a?b', ':authority', 'A.example:8443']
const CONNECT = [':method', 'CONNECT', ...HEAD.slice(2)]

const failure = (raw: readonly string[]): unknown => {
  try {
    readHttp2Head(fieldsOf(raw), limits)
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

describe('readHttp2Head', () => {
  it('reads a request, with its fields as lines that came', () => {
    const head = readHttp2Head(
      fieldsOf([...HEAD, 'x-a', '1', 'cookie', 'a', 'x-b', '', 'cookie', 'b']),
      limits,
    )
    expect(head).toMatchObject({ method: 'GET', target: '/a?b', authority: 'A.example:8443', version: '2' })
    expect(head).toMatchObject({ upgrade: undefined, length: undefined, expectsContinue: false })
    expect(head.headers.toLines()).toBe('x-a: 1\r\nx-b: \r\ncookie: a; b\r\n')
    // They came from the client: nothing of it may pass for something that a layer has added.
    expect(head.headers.added).toEqual([])
  })

  it.each<readonly [name: string, code: string, ...raw: string[]]>([
    ['CR in a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\rb'],
    ['LF in a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\nb'],
    ['NUL in a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\0b'],
    ['a control character in a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\x01b'],
    ['a space before a value', 'HTTP_FIELD_MALFORMED', 'x', ' a'],
    ['a tab behind a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\t'],
    ['what has LF as its low byte in a value', 'HTTP_FIELD_MALFORMED', 'x', 'a\u010ab'],
    ['CR LF in a cookie', 'HTTP_FIELD_MALFORMED', 'cookie', 'a\r\nb'],
    ['LF in a name', 'HTTP_FIELD_MALFORMED', 'x\ny', 'a'],
    ['a colon in a name', 'HTTP_FIELD_MALFORMED', 'x:y', 'a'],
    ['a space in a name', 'HTTP_FIELD_MALFORMED', 'x ', 'a'],
    ['upper case in a name', 'HTTP_FIELD_MALFORMED', 'X', 'a'],
    ['no name', 'HTTP_FIELD_MALFORMED', '', 'a'],
    ['a name that no character has', 'HTTP_FIELD_MALFORMED', 'x\u0178', 'a'],
    ['an unknown pseudo-field', 'HTTP_FIELD_MALFORMED', ':x', 'a'],
    ['connection', 'HTTP_FIELD_MALFORMED', 'connection', 'close'],
    ['transfer-encoding', 'HTTP_FIELD_MALFORMED', 'transfer-encoding', 'chunked'],
    ['te', 'HTTP_FIELD_MALFORMED', 'te', 'trailers, gzip'],
    ['a protocol without CONNECT', 'HTTP_FIELD_MALFORMED', ':protocol', 'websocket'],
    ['two lengths', 'HTTP_LENGTH_INVALID', 'content-length', '1', 'content-length', '1'],
    ['a length that is none', 'HTTP_LENGTH_INVALID', 'content-length', '1e3'],
    ['two hosts', 'HTTP_HOST_INVALID', 'host', 'a.example:8443', 'host', 'a.example:8443'],
    ['another host', 'HTTP_HOST_INVALID', 'host', 'b'],
    ['an expectation of something else', 'HTTP_EXPECTATION_FAILED', 'expect', '100-continue', 'expect', 'x'],
    ['fields of 32 KB', 'HTTP_HEAD_TOO_LARGE', 'x', 'a'.repeat(32_768)],
    ['101 fields', 'HTTP_HEAD_TOO_LARGE', ...Array.from({ length: 202 }, () => 'x')],
    ['101 crumbs', 'HTTP_HEAD_TOO_LARGE', ...Array.from({ length: 101 }, () => ['cookie', 'x']).flat()],
  ])('refuses %s', (_name, code, ...raw) => expect(failure([...HEAD, ...raw])).toBe(code))

  it.each<readonly [name: string, at: number, value: string, code: string]>([
    ['a method with a space', 1, 'GET /', 'HTTP_FIELD_MALFORMED'],
    ['no method', 1, '', 'HTTP_FIELD_MALFORMED'],
    ['CONNECT with a path', 1, 'CONNECT', 'HTTP_FIELD_MALFORMED'],
    ['a scheme that is none', 3, 'http://a/?', 'HTTP_FIELD_MALFORMED'],
    ['a path with a line end', 5, '/\r\nx: y', 'HTTP_FIELD_MALFORMED'],
    ['a path with a space', 5, '/ HTTP/1.1', 'HTTP_TARGET_MALFORMED'],
    ['a path with what has LF as its low byte', 5, '/\u010a', 'HTTP_FIELD_MALFORMED'],
    ['a path without its slash', 5, 'a', 'HTTP_TARGET_MALFORMED'],
    ['no path', 5, '', 'HTTP_TARGET_MALFORMED'],
    ['a path that is too long', 5, `/${'a'.repeat(16_384)}`, 'HTTP_TARGET_TOO_LONG'],
    ['an authority with a line end', 7, 'a\r\nb', 'HTTP_FIELD_MALFORMED'],
    ['an authority with a user', 7, 'a@b', 'HTTP_HOST_INVALID'],
    ['an authority of nothing', 7, '', 'HTTP_HOST_INVALID'],
  ])('refuses %s', (_name, at, value, code) => expect(failure(HEAD.with(at, value))).toBe(code))

  it('refuses CONNECT', () =>
    expect(failure([':method', 'CONNECT', ':authority', 'a:1'])).toBe('HTTP_METHOD_UNSUPPORTED'))

  it('reads an extended CONNECT as the request that it stands for', () => {
    const more = [':protocol', 'WebSocket', 'sec-websocket-key', 'x', 'expect', '100-continue', 'x', 'y']
    const head = readHttp2Head(fieldsOf([...CONNECT, ...more]), limits)
    expect(head).toMatchObject({
      method: 'GET',
      upgrade: 'websocket',
      target: '/a?b',
      expectsContinue: false,
    })
    expect(head.headers.has('sec-websocket-key')).toBe(false)
    expect(head.headers.get('x')).toBe('y')
  })

  it.each([
    ['a protocol with a line end', ':protocol', 'a\r\nb'],
    ['a protocol of nothing', ':protocol', ''],
  ])('refuses %s', (_name, ...raw) => expect(failure([...CONNECT, ...raw])).toBe('HTTP_FIELD_MALFORMED'))

  it('refuses a length of what is to be a tunnel', () =>
    expect(failure([...CONNECT, ':protocol', 'a', 'content-length', '1'])).toBe('HTTP_LENGTH_INVALID'))
})

describe('the reader of a session’s fields', () => {
  const reader = new RegularFieldsReader()
  const read = (fields: ReturnType<typeof fieldsOf>) => readHttp2Head(fields, limits, false, reader)
  const paths = ['/a', '/b'].map(path => fieldsOf(HEAD.with(5, path)))
  const shared = fieldsOf(['x-a', '1', 'host', 'a.example:8443', 'content-length', '5'])

  it('says the same of the same fields behind others, in lists of their own', () => {
    const [one, other] = paths.map(path => read([...path, ...shared]))
    expect(one).toMatchObject({ target: '/a', length: 5 })
    expect(other).toMatchObject({ target: '/b', length: 5 })
    one?.headers.delete('x-a')
    one?.headers.append('x-b', '2')
    expect(other?.headers.toLines()).toBe('x-a: 1\r\nhost: a.example:8443\r\ncontent-length: 5\r\n')
    expect(read([...(paths[0] ?? []), ...shared]).headers.size).toBe(3)
  })

  it('tells apart what is one more, one fewer, or another', () => {
    const [path = []] = paths
    expect(read([...path, ...shared, ...fieldsOf(['x-b', '2'])]).headers.size).toBe(4)
    expect(read([...path, ...shared.slice(0, 1)]).headers.size).toBe(1)
    expect(read([...path, ...fieldsOf(['x-a', '2'])]).headers.get('x-a')).toBe('2')
    expect(read(path.slice()).headers.size).toBe(0)
  })

  it('remembers nothing of what is refused', () => {
    const [path = []] = paths
    const refused = [...path, ...fieldsOf(['connection', 'close'])]
    for (let times = 0; times < 2; times++) expect(() => read(refused)).toThrow(/does not exist/)
  })

  it('leaves the key of a WebSocket out of a tunnel only', () => {
    const key = fieldsOf(['sec-websocket-key', 'x'])
    const connect = fieldsOf([...CONNECT, ':protocol', 'websocket'])
    expect(read([...(paths[0] ?? []), ...key]).headers.size).toBe(1)
    expect(read([...connect, ...key]).headers.size).toBe(0)
    expect(read([...(paths[0] ?? []), ...key]).headers.size).toBe(1)
  })
})

describe('readHttp2Trailers', () => {
  it.each([
    ['a line end', 'x', 'a\nb'],
    ['a pseudo-field', ':status', '200'],
    ['a name in upper case', 'X', 'a'],
  ])('refuses %s', (_name, ...raw) => expect(() => readHttp2Trailers(fieldsOf(raw), limits)).toThrow(/field/))

  it('refuses more than a head may have', () => {
    expect(() => readHttp2Trailers(fieldsOf(['x', 'a'.repeat(32_768)]), limits)).toThrow(/32768/)
    expect(() => readHttp2Trailers(fieldsOf(Array.from({ length: 202 }, () => 'x')), limits)).toThrow(/100/)
  })
})
