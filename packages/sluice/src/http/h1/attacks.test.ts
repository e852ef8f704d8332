// What is refused on HTTP/1.1 connections, each with its status, its code in the log, and an orderly end that lets the
// client read the answer. The service must never see a request that was smuggled behind one of these.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { exchange, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { text } from '../response.ts'

const logs = captureLogs()
const seen: string[] = []

/** What follows each attack on its connection. It must never be taken for a request. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n'
const POST = 'POST /body HTTP/1.1\r\nHost: a\r\n'
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`
const CHUNK = '5\r\nhello\r\n0\r\n\r\n'

type Attack = readonly [name: string, bytes: string, status: number, code: string]

const LINES: readonly Attack[] = [
  ['a bare LF after the line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a bare CR after the line', 'GET / HTTP/1.1\rHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['HTTP/0.9', 'GET /x\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['HTTP/0.9 with a bare LF (llhttp #877)', 'GET /x\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a tab for a space', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a space after the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a space before the method', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a method that is no token', 'G(T / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['NUL in the target', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  [
    'a byte above ASCII in the target',
    'GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n',
    400,
    'HTTP_REQUEST_LINE_MALFORMED',
  ],
  ['a lower-case protocol', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a version with more digits', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['two empty lines before', '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'HTTP_REQUEST_LINE_MALFORMED'],
  [
    'a PROXY header where none is expected',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    400,
    'HTTP_REQUEST_LINE_MALFORMED',
  ],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505, 'HTTP_VERSION_UNSUPPORTED'],
  ['HTTP/2.0 that is not the preface', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505, 'HTTP_VERSION_UNSUPPORTED'],
  ['a broken preface', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', 505, 'HTTP_VERSION_UNSUPPORTED'],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 501, 'HTTP_METHOD_UNSUPPORTED'],
  [
    'CONNECT with a body',
    'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello',
    501,
    'HTTP_METHOD_UNSUPPORTED',
  ],
]

const TARGETS: readonly Attack[] = [
  ['a target without a slash', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['an authority as target of GET', 'GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['* for GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a quote in the path', 'GET /" HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a backslash in the path', 'GET /..\\ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a lone % in the path', 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a % at the end of the path', 'GET /%4?1 HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['a user in the target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  ['no host in the target', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_TARGET_MALFORMED'],
  [
    'a target over the limit',
    `GET /${'a'.repeat(16_384)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
    'HTTP_TARGET_TOO_LONG',
  ],
  ['a line without end', `GET /${'a'.repeat(20_000)}`, 414, 'HTTP_TARGET_TOO_LONG'],
]

const FIELDS: readonly Attack[] = [
  ['a bare LF in a field', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 400, 'HTTP_FIELD_MALFORMED'],
  ['a bare CR in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n', 400, 'HTTP_FIELD_MALFORMED'],
  ['a bare LF at the end of the head', `${GET}\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['a bare CR at the end of the head', `${GET}\rX`, 400, 'HTTP_FIELD_MALFORMED'],
  ['NUL in a value', `${GET}X: a\0b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['DEL in a value', `${GET}X: a\x7f\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['obs-fold with a space', `${GET}X: a\r\n b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['obs-fold with a tab', `${GET}X: a\r\n\tb\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['a folded first field', 'GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n', 400, 'HTTP_FIELD_MALFORMED'],
  ['a space before the colon', `${GET}X : b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  [
    'a tab before the colon of Transfer-Encoding',
    `${POST}Transfer-Encoding\t: chunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_FIELD_MALFORMED',
  ],
  ['no name', `${GET}: b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['no colon', `${GET}X\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['a name that is no token', `${GET}X(: b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  ['a name above ASCII', `${GET}X\xe4: b\r\n\r\n`, 400, 'HTTP_FIELD_MALFORMED'],
  [
    'a vertical tab before the value',
    `${POST}Transfer-Encoding:\x0bchunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_FIELD_MALFORMED',
  ],
  ['more than 100 fields', `${GET}${'X: b\r\n'.repeat(100)}\r\n`, 431, 'HTTP_HEAD_TOO_LARGE'],
  ['a head over 32 KB', `${GET}X: ${'b'.repeat(33_000)}\r\n\r\n`, 431, 'HTTP_HEAD_TOO_LARGE'],
  ['a head without end', `${GET}X: ${'b'.repeat(40_000)}`, 431, 'HTTP_HEAD_TOO_LARGE'],
]

const HOSTS: readonly Attack[] = [
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['two Hosts', `${GET}Host: b\r\n\r\n`, 400, 'HTTP_HOST_INVALID'],
  ['two equal Hosts', `${GET}hOST: a\r\n\r\n`, 400, 'HTTP_HOST_INVALID'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['a list for a Host', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['a user in Host', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['a path in Host', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['a port that is none', 'GET / HTTP/1.1\r\nHost: a:x\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['a port over 65535', 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['an IPv6 Host without brackets', 'GET / HTTP/1.1\r\nHost: ::1\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['an IPv6 Host that is none', 'GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  ['Host that contradicts the target', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
  [
    'a port that contradicts the target',
    'GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n',
    400,
    'HTTP_HOST_INVALID',
  ],
  ['two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'HTTP_HOST_INVALID'],
]

const FRAMING: readonly Attack[] = [
  [
    'CL.TE',
    `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_LENGTH_INVALID',
  ],
  [
    'TE.CL',
    `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${CHUNK}`,
    400,
    'HTTP_LENGTH_INVALID',
  ],
  [
    'two Content-Lengths',
    `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    400,
    'HTTP_LENGTH_INVALID',
  ],
  [
    'two equal Content-Lengths',
    `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    400,
    'HTTP_LENGTH_INVALID',
  ],
  ['a list for a Content-Length', `${POST}Content-Length: 5, 5\r\n\r\nhello`, 400, 'HTTP_LENGTH_INVALID'],
  ['a plus', `${POST}Content-Length: +5\r\n\r\nhello`, 400, 'HTTP_LENGTH_INVALID'],
  ['a minus', `${POST}Content-Length: -5\r\n\r\nhello`, 400, 'HTTP_LENGTH_INVALID'],
  ['0x', `${POST}Content-Length: 0x5\r\n\r\nhello`, 400, 'HTTP_LENGTH_INVALID'],
  ['an exponent', `${POST}Content-Length: 5e0\r\n\r\nhello`, 400, 'HTTP_LENGTH_INVALID'],
  ['an empty Content-Length', `${POST}Content-Length:\r\n\r\n`, 400, 'HTTP_LENGTH_INVALID'],
  ['a Content-Length of 2^53', `${POST}Content-Length: 9007199254740992\r\n\r\n`, 400, 'HTTP_LENGTH_INVALID'],
  [
    'a Content-Length of 2^64 + 5',
    `${POST}Content-Length: 18446744073709551621\r\n\r\nhello`,
    400,
    'HTTP_LENGTH_INVALID',
  ],
  [
    'chunked, identity',
    `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  ['identity', `${POST}Transfer-Encoding: identity\r\n\r\nhello`, 400, 'HTTP_TRANSFER_ENCODING_INVALID'],
  ['xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n${CHUNK}`, 400, 'HTTP_TRANSFER_ENCODING_INVALID'],
  [
    'chunked twice',
    `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'chunked with a parameter',
    `${POST}Transfer-Encoding: chunked;a=b\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'quoted chunked',
    `${POST}Transfer-Encoding: "chunked"\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'an empty Transfer-Encoding',
    `${POST}Transfer-Encoding:\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'an empty member before chunked',
    `${POST}Transfer-Encoding: , chunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'two Transfer-Encodings',
    `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'gzip, chunked',
    `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNK}`,
    501,
    'HTTP_TRANSFER_ENCODING_UNSUPPORTED',
  ],
  [
    'Transfer-Encoding in HTTP/1.0',
    `POST /body HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}`,
    400,
    'HTTP_TRANSFER_ENCODING_INVALID',
  ],
  [
    'another expectation',
    `${POST}Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello`,
    417,
    'HTTP_EXPECTATION_FAILED',
  ],
]

/** The head is good, so the service is asked; it fails as it reads, and the connection ends with the answer. */
const BODIES: readonly Attack[] = [
  ['a bare LF after a chunk size', `${CHUNKED}5\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['a chunk size with a sign', `${CHUNKED}+5\r\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['a chunk size with 0x', `${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['a chunk size with a space', `${CHUNKED}5 \r\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['a chunk size that overflows', `${CHUNKED}FFFFFFFFFFFFFFFB\r\nhello\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['a chunk that is too long', `${CHUNKED}4\r\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['an extension with a bare LF', `${CHUNKED}5;\nxx\r\nhello\r\n0\r\n\r\n`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['extensions without end', `${CHUNKED}5;${'a'.repeat(10_000)}`, 400, 'HTTP_CHUNK_MALFORMED'],
  ['Host in the trailers', `${CHUNKED}0\r\nHost: b\r\n\r\n`, 400, 'HTTP_TRAILER_FORBIDDEN'],
  [
    'Content-Length in the trailers',
    `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`,
    400,
    'HTTP_TRAILER_FORBIDDEN',
  ],
  ['a body over the limit', `${POST}Content-Length: 200001\r\n\r\n`, 413, 'HTTP_BODY_TOO_LARGE'],
  ['chunks over the limit', `${CHUNKED}30D41\r\n${'a'.repeat(1000)}`, 413, 'HTTP_BODY_TOO_LARGE'],
]

let port: number
beforeEach(async () => {
  ;({ port } = await startHttp(
    async request => {
      seen.push(request.target)
      await request.body.bytes()
      return text('fooled')
    },
    { bodyLimit: 200_000 },
  ))
})
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
  seen.length = 0
})

describe.each([
  ['the request line', LINES],
  ['the target', TARGETS],
  ['a field', FIELDS],
  ['Host', HOSTS],
  ['framing', FRAMING],
  ['the body', BODIES],
])('attacks on %s', (part, attacks) => {
  it.each(attacks)('%s', async (_name, bytes, status, code) => {
    const answer = await exchange(port, bytes + SMUGGLED)
    expect(answer.statuses).toEqual([status])
    expect(answer.received).toContain(`\r\nconnection: close\r\n`)
    expect(answer.received).toMatch(new RegExp(`\\r\\n\\r\\n${status} [\\w ]+: ${code}\\n$`))
    expect(answer.ended).toBe(true)
    expect(answer.failed).toBeUndefined()
    expect(seen).toEqual(part === 'the body' && !bytes.includes('200001') ? ['/body'] : [])
    expect(logs.map(line => line.code)).toEqual([code])
  })
})
