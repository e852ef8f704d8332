// What an attacking or broken origin answers over HTTP/1.1, and what a client gets of it: nothing but 502, a part that
// can't be taken for the whole, or exactly these bytes.

/** Bytes in place of an answer; the client gets 502, and the connection to the origin is closed. */
export type BadHead = readonly [name: string, bytes: string, from?: string]

const OK = 'HTTP/1.1 200 OK\r\n'
const END = 'Content-Length: 2\r\n\r\nok'

const status = (line: string): string => `${line}\r\n${END}`
const field = (line: string): string => `${OK}${line}\r\n${END}`
const length = (value: string): string => `${OK}Content-Length:${value}\r\n\r\nok`
const encoding = (value: string): string => `${OK}Transfer-Encoding:${value}\r\n\r\n2\r\nok\r\n0\r\n\r\n`

const STATUS_LINES: readonly BadHead[] = [
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['HTTP/0.9: a page without a head', '<html>hello</html>\r\n'],
  ['the banner of another protocol', 'SSH-2.0-OpenSSH_10.0\r\n'],
  ['ICY', status('ICY 200 OK')],
  ['a request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['SETTINGS of HTTP/2', '\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64'],
  ['a TLS alert', '\x15\x03\x03\0\x02\x02\x28'],
  ['a PROXY header', `PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n${OK}${END}`],
  ['an empty line before', `\r\n${OK}${END}`],
  ['a bare LF before', `\n${OK}${END}`],
  ['a space before', ` ${OK}${END}`],
  ['HTTP/1.2', status('HTTP/1.2 200 OK')],
  ['HTTP/2.0', status('HTTP/2.0 200 OK')],
  ['HTTP/0.9 by name', status('HTTP/0.9 200 OK')],
  ['HTTP/11.1', status('HTTP/11.1 200 OK')],
  ['http in lower case', status('http/1.1 200 OK')],
  ['two spaces before the status', status('HTTP/1.1  200 OK')],
  ['a tab before the status', status('HTTP/1.1\t200 OK')],
  ['no space before the status', status('HTTP/1.1200 OK')],
  ['no status', status('HTTP/1.1 OK')],
  ['nothing after the version', status('HTTP/1.1')],
  ['status 000', status('HTTP/1.1 000 OK'), 'ERR_HTTP_INVALID_STATUS_CODE ends Node'],
  ['status 099', status('HTTP/1.1 099 OK')],
  ['status 99', status('HTTP/1.1 99 OK')],
  ['status 600', status('HTTP/1.1 600 OK')],
  ['status 999', status('HTTP/1.1 999 OK')],
  ['status 1000', status('HTTP/1.1 1000 OK')],
  ['status 20', status('HTTP/1.1 20 OK')],
  ['status 2000', status('HTTP/1.1 2000 OK')],
  ['status abc', status('HTTP/1.1 abc OK')],
  ['status 2x0', status('HTTP/1.1 2x0 OK')],
  ['status +20', status('HTTP/1.1 +20 OK')],
  ['status -20', status('HTTP/1.1 -20 OK')],
  ['status 200.0', status('HTTP/1.1 200.0 OK')],
  ['no space after the status', status('HTTP/1.1 200')],
  ['a tab after the status', status('HTTP/1.1 200\tOK')],
  ['a bare LF after the line', `HTTP/1.1 200 OK\n${END}`],
  ['a bare CR after the line', `HTTP/1.1 200 OK\r${END}`],
  ['NUL in the reason', status('HTTP/1.1 200 O\0K')],
  ['an escape sequence in the reason', status('HTTP/1.1 200 \x1b[2J')],
]

const FIELDS: readonly BadHead[] = [
  ['a bare LF after a field', `${OK}X: a\n${END}`, 'response splitting'],
  ['a bare CR in a value', field('X: a\rSet-Cookie: b=c'), 'response splitting'],
  ['a bare LF in a value', field('X: a\nSet-Cookie: b=c'), 'response splitting'],
  ['NUL in a value', field('X: a\0b')],
  ['a control character in a value', field('X: a\x08b')],
  ['DEL in a value', field('X: a\x7fb')],
  ['obs-fold', field('X: a\r\n b')],
  ['obs-fold of Content-Length', `${OK}Content-Length:\r\n 2\r\n\r\nok`],
  ['a folded first field', `${OK} X: a\r\n${END}`],
  ['a space before the colon', field('X : a')],
  ['a space before the colon of Content-Length', `${OK}Content-Length : 2\r\n\r\nok`],
  [
    'a tab before the colon of Transfer-Encoding',
    `${OK}Transfer-Encoding\t: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ],
  ['no name', field(': a')],
  ['no colon', field('X')],
  ['a name that is no token', field('X(: a')],
  ['a name above ASCII', field('X\xe4: a')],
  ['NUL in a name', field('X\0: a')],
  ['a bare LF at the end of the head', `${OK}Content-Length: 2\r\n\nok`],
  ['a bare CR at the end of the head', `${OK}Content-Length: 2\r\n\rok`],
  ['a head over 32 KB', field(`X: ${'a'.repeat(33_000)}`)],
  ['a head without end', `${OK}X: ${'a'.repeat(100_000)}`],
  ['a reason over 32 KB', status(`HTTP/1.1 200 ${'a'.repeat(33_000)}`)],
  ['more than 100 fields', `${OK}${'X: a\r\n'.repeat(100)}${END}`],
  ['ten thousand fields', `${OK}${'a:\r\n'.repeat(10_000)}${END}`],
]

const FRAMING: readonly BadHead[] = [
  ['two unequal Content-Lengths', length(' 2\r\nContent-Length: 3')],
  ['two equal Content-Lengths', length(' 2\r\ncontent-length: 2')],
  ['a list for a Content-Length', length(' 2, 2')],
  ['a plus', length(' +2')],
  ['a minus', length(' -2')],
  ['0x', length(' 0x2')],
  ['an exponent', length(' 2e0')],
  ['a fraction', length(' 2.0')],
  ['an empty Content-Length', length('')],
  ['a no-break space', length(' \xa02')],
  ['a length with a parameter', length(' 2;a=b')],
  ['a length of 2^53', length(' 9007199254740992')],
  ['a length of 2^64 + 2', length(' 18446744073709551618')],
  ['Content-Length and Transfer-Encoding', encoding(' chunked\r\nContent-Length: 2')],
  ['Transfer-Encoding and Content-Length', length(' 2\r\nTransfer-Encoding: chunked')],
  ['gzip, chunked', encoding(' gzip, chunked')],
  ['chunked, identity', encoding(' chunked, identity')],
  ['chunked, chunked', encoding(' chunked, chunked')],
  ['identity', encoding(' identity')],
  ['xchunked', encoding(' xchunked')],
  ['chunked with a parameter', encoding(' chunked;a=b')],
  ['a no-break space before chunked', encoding(' \xa0chunked')],
  ['an empty Transfer-Encoding', encoding('')],
  ['two Transfer-Encodings', encoding(' chunked\r\nTransfer-Encoding: chunked')],
  ['Transfer-Encoding in HTTP/1.0', encoding(' chunked').replace('1.1', '1.0')],
]

const INFORMATION: readonly BadHead[] = [
  ['101 unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['101 to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  [
    'a flood of 103',
    `${'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n'.repeat(1000)}${OK}${END}`,
    'upstream 1xx floods',
  ],
  ['a flood of 100', `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)}${OK}${END}`, 'upstream 1xx floods'],
  ['103 in HTTP/1.0', `HTTP/1.0 103 Early Hints\r\n\r\n${OK}${END}`],
  ['a body after 103', `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello${OK}${END}`],
  ['a broken 103', `HTTP/1.1 103 Early Hints\r\nLink: a\rb\r\n\r\n${OK}${END}`],
]

/** By what they are about. */
export const BAD_HEADS: readonly (readonly [about: string, heads: readonly BadHead[]])[] = [
  ['the status line', STATUS_LINES],
  ['a field', FIELDS],
  ['framing', FRAMING],
  ['informational responses', INFORMATION],
]

/** A head that is good, what follows it that is not, and what of that reaches the client, in its framing. */
export type BadBody = readonly [name: string, body: string, reached: string, from?: string]

/** After a head with `Transfer-Encoding: chunked`. */
export const BAD_CHUNKS: readonly BadBody[] = [
  ['no chunk size', '\r\nhello\r\n0\r\n\r\n', ''],
  ['a chunk size with a sign', '+5\r\nhello\r\n0\r\n\r\n', ''],
  ['a chunk size with 0x', '0x5\r\nhello\r\n0\r\n\r\n', ''],
  ['a chunk size with a space', '5 \r\nhello\r\n0\r\n\r\n', ''],
  ['a chunk size that overflows', 'fffffffffffffffff\r\nhello', ''],
  ['a bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n', ''],
  ['a bare CR after a chunk size', '5\rhello\r\n0\r\n\r\n', ''],
  ['a chunk that is too long', '4\r\nhello\r\n0\r\n\r\n', '4\r\nhell\r\n'],
  ['a bare LF after a chunk', '5\r\nhello\n0\r\n\r\n', '5\r\nhello\r\n'],
  ['another head for a chunk', 'HTTP/1.1 200 OK\r\n\r\n', ''],
  ['an extension with a bare LF', '5;a\nb\r\nhello\r\n0\r\n\r\n', ''],
  ['an extension without end', `5;${'a'.repeat(10_000)}`, ''],
  ['extensions of many chunks', '1;a\r\nx\r\n'.repeat(2100), '1\r\nx\r\n'.repeat(2048), 'CVE-2023-39326'],
  ['Content-Length in the trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n', '5\r\nhello\r\n'],
  ['Set-Cookie in the trailers', '5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n', '5\r\nhello\r\n'],
  [
    'a trailer with a bare LF',
    '5\r\nhello\r\n0\r\nX: a\n\r\n',
    '5\r\nhello\r\n',
    'ERR_HTTP_TRAILER_INVALID ends Node',
  ],
  ['a trailer with NUL', '5\r\nhello\r\n0\r\nX: \0\r\n\r\n', '5\r\nhello\r\n', 'ERR_INVALID_CHAR ends Node'],
  ['a folded trailer', '5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n', '5\r\nhello\r\n'],
  ['a thousand trailers', `5\r\nhello\r\n0\r\n${'X: a\r\n'.repeat(1000)}\r\n`, '5\r\nhello\r\n'],
]

/**
 * Answers that are right, or that one can make the best of: the method of the request, the answer, and exactly what the
 * client gets, without Date; at last whether the connection to the origin is used again.
 */
export type Answer = readonly [
  name: string,
  method: string,
  bytes: string,
  answered: string,
  reused: boolean,
  from?: string,
]

const answered = (body: string, fields = ''): string =>
  `${OK}${fields}content-length: ${body.length}\r\n\r\n${body}`
const chunked = (chunks: string, fields = ''): string =>
  `${OK}${fields}transfer-encoding: chunked\r\n\r\n${chunks}`
const SECOND = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled'

export const ANSWERS: readonly Answer[] = [
  ['a length', 'GET', `${OK}${END}`, answered('ok'), true],
  ['zeros before a length', 'GET', length(' 0002'), answered('ok'), true],
  ['no body', 'GET', `${OK}Content-Length: 0\r\n\r\n`, answered(''), true],
  ['chunks', 'GET', encoding(' CHUNKED'), chunked('2\r\nok\r\n0\r\n\r\n'), true],
  [
    'chunk extensions, which are taken off',
    'GET',
    `${OK}Transfer-Encoding: chunked\r\n\r\n2;a="\\"";b\r\nok\r\n000;c\r\n\r\n`,
    chunked('2\r\nok\r\n0\r\n\r\n'),
    true,
  ],
  [
    'trailers',
    'GET',
    `${OK}Trailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: \t1 \r\n\r\n`,
    chunked('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n', 'Trailer: x-sum\r\n'),
    true,
  ],
  ['bytes after the end', 'GET', `${OK}${END}${SECOND}`, answered('ok'), false, 'response queue poisoning'],
  ['one byte after the end', 'GET', `${OK}${END}\n`, answered('ok'), false],
  [
    'bytes after the last chunk',
    'GET',
    encoding(' chunked') + SECOND,
    chunked('2\r\nok\r\n0\r\n\r\n'),
    false,
  ],
  ['a body after HEAD', 'HEAD', `${OK}${END}`, `${OK}content-length: 2\r\n\r\n`, false],
  [
    'an answer after HEAD',
    'HEAD',
    `${OK}Content-Length: 2\r\n\r\n${SECOND}`,
    `${OK}content-length: 2\r\n\r\n`,
    false,
  ],
  ['chunks after HEAD', 'HEAD', encoding(' chunked'), `${OK}\r\n`, false],
  ['an answer to HEAD', 'HEAD', `${OK}Content-Length: 2\r\n\r\n`, `${OK}content-length: 2\r\n\r\n`, true],
  ['an answer to HEAD without a length', 'HEAD', `${OK}\r\n`, `${OK}\r\n`, true],
  [
    'a body after 204',
    'GET',
    `HTTP/1.1 204 No Content\r\n\r\n${SECOND}`,
    'HTTP/1.1 204 No Content\r\n\r\n',
    false,
  ],
  ['204 with a length', 'GET', `HTTP/1.1 204 No Content\r\n${END}`, 'HTTP/1.1 204 No Content\r\n\r\n', false],
  [
    '204 with a length of 0',
    'GET',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    false,
  ],
  [
    '204 with chunks',
    'GET',
    'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    false,
  ],
  [
    'a body after 304',
    'GET',
    `HTTP/1.1 304 Not Modified\r\n${END}`,
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n',
    false,
  ],
  [
    '304 with the length of what was not sent',
    'GET',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n',
    true,
  ],
  ['an answer that says close', 'GET', `${OK}Connection: close\r\n${END}`, answered('ok'), false],
  ['HTTP/1.0', 'GET', `HTTP/1.0 200 OK\r\n${END}`, answered('ok'), false],
  [
    'HTTP/1.0 that is kept',
    'GET',
    `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${END}`,
    answered('ok'),
    true,
  ],
  ['a keep-alive that ends at once', 'GET', `${OK}Keep-Alive: timeout=1\r\n${END}`, answered('ok'), false],
  [
    'fields that are about the connection',
    'GET',
    `${OK}Connection: hop, keep-alive\r\nHop: 1\r\nKeep-Alive: timeout=60\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTE: gzip\r\nX: y\r\n${END}`,
    answered('ok', 'X: y\r\n'),
    true,
  ],
  [
    'Connection that names framing',
    'GET',
    `${OK}Connection: content-length, transfer-encoding\r\n${END}`,
    answered('ok'),
    true,
  ],
  [
    'Connection that names what protects the client',
    'GET',
    `${OK}Connection: set-cookie, content-security-policy\r\nSet-Cookie: a=b\r\nContent-Security-Policy: x\r\n${END}`,
    answered('ok', 'Set-Cookie: a=b\r\nContent-Security-Policy: x\r\n'),
    true,
  ],
  [
    'fields of one name, in their order',
    'GET',
    `${OK}Set-Cookie: a=b, c\r\nx: 1\r\nset-cookie: d=e\r\n${END}`,
    answered('ok', 'Set-Cookie: a=b, c\r\nx: 1\r\nset-cookie: d=e\r\n'),
    true,
  ],
  [
    'an encoded line end in Location',
    'GET',
    `${OK}Location: /%0d%0aSet-Cookie:%20a=b\r\n${END}`,
    answered('ok', 'Location: /%0d%0aSet-Cookie:%20a=b\r\n'),
    true,
    'response splitting',
  ],
  [
    "a reason of its own, which is nobody else's",
    'GET',
    `HTTP/1.1 200 \xe4<b>\t\r\n${END}`,
    answered('ok'),
    true,
  ],
  ['status 599', 'GET', `HTTP/1.1 599 \r\n${END}`, `HTTP/1.1 599 \r\ncontent-length: 2\r\n\r\nok`, true],
  [
    '103, then the answer',
    'GET',
    `HTTP/1.1 103 x\r\nLink: <a>\r\nConnection: x\r\nX: hop\r\n\r\n${OK}${END}`,
    `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${answered('ok')}`,
    true,
  ],
  ['100 unasked', 'GET', `HTTP/1.1 100 Continue\r\n\r\n${OK}${END}`, answered('ok'), true],
  [
    '100 twice',
    'GET',
    `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2)}${OK}${END}`,
    answered('ok'),
    true,
    'double 100',
  ],
  [
    '103 that says close',
    'GET',
    `HTTP/1.1 103 x\r\nConnection: close\r\n\r\n${OK}${END}`,
    `HTTP/1.1 103 Early Hints\r\n\r\n${answered('ok')}`,
    false,
  ],
]
