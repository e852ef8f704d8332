// What of the classes of attacks is harmless, or right, and is forwarded: what the client sends, and exactly which bytes
// the origin gets. Framing is always the proxy's own; targets and hosts stay as they came, so that the proxy and the origin
// can't read them differently.
import { forwarded, identity } from '../support/proxy.ts'

/** What is sent, what the origin gets, and where it is known from. */
export type Forward = readonly [name: string, bytes: string, forwarded: string, from?: string | undefined]

/** What follows each on its connection. */
export const AFTER = 'GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
export const AFTER_FORWARDED: string = forwarded('GET', '/after')

const HOST = 'Host: a\r\n'
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n'
const chunked = { framing: 'transfer-encoding: chunked\r\n', body: CHUNKS }
const length = { framing: 'content-length: 5\r\n', body: 'hello' }

/** A body gets the same framing on every method: a request without it would become two. */
const METHODS: readonly Forward[] = [
  'GET',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PURGE',
  'get',
].flatMap(method => [
  [
    `${method} in chunks`,
    `${method} /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
    forwarded(method, '/x', chunked),
    'CVE-2026-29057, GHSA-ggv3-7p47-pfv8',
  ],
  [
    `${method} with a length`,
    `${method} /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
    forwarded(method, '/x', length),
  ],
])

const FRAMING: readonly Forward[] = [
  ...METHODS,
  [
    'a POST without a body',
    `POST / HTTP/1.1\r\n${HOST}\r\n`,
    forwarded('POST', '/', { framing: 'content-length: 0\r\n' }),
  ],
  ['a length of 0 for GET', `GET / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, forwarded('GET', '/')],
  [
    'zeros before a length',
    `PUT / HTTP/1.1\r\n${HOST}Content-Length: 005\r\n\r\nhello`,
    forwarded('PUT', '/', length),
  ],
  [
    'tabs around a length',
    `PUT / HTTP/1.1\r\n${HOST}Content-Length:\t5 \t\r\n\r\nhello`,
    forwarded('PUT', '/', length),
  ],
  [
    'chunked in capitals',
    `PUT / HTTP/1.1\r\n${HOST}TRANSFER-ENCODING: CHUNKED\r\n\r\n${CHUNKS}`,
    forwarded('PUT', '/', chunked),
  ],
  [
    'chunk extensions, which mean nothing to anyone',
    `PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5;a;b="0\\"\\\\"\r\nhello\r\n0;c=d\r\n\r\n`,
    forwarded('PUT', '/', chunked),
  ],
  [
    'chunk sizes with zeros in front',
    `PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n000\r\n\r\n`,
    forwarded('PUT', '/', chunked),
  ],
  [
    'trailers',
    `PUT / HTTP/1.1\r\n${HOST}Trailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum:  1 \r\n\r\n`,
    forwarded('PUT', '/', {
      fields: 'Trailer: x-sum\r\n',
      framing: 'transfer-encoding: chunked\r\n',
      body: '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    }),
  ],
  [
    'a content type that parsers take for another, whose body stays as it is',
    `PUT / HTTP/1.1\r\n${HOST}Content-Type: application/json ; x\r\nContent-Length: 5\r\n\r\n{"a" `,
    forwarded('PUT', '/', {
      fields: 'Content-Type: application/json ; x\r\n',
      framing: 'content-length: 5\r\n',
      body: '{"a" ',
    }),
    'GHSA-v2v2-hph8-q5xp',
  ],
  [
    'a body that looks like the end of chunks and a request',
    `PUT / HTTP/1.1\r\n${HOST}Content-Length: 44\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: abcdef`,
    forwarded('PUT', '/', {
      framing: 'content-length: 44\r\n',
      body: '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: abcdef',
    }),
    'CL.TE without the TE',
  ],
]

const CONNECTION: readonly Forward[] = [
  [
    'Connection names Transfer-Encoding',
    `POST / HTTP/1.1\r\n${HOST}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
    forwarded('POST', '/', chunked),
  ],
  [
    'Connection names Transfer-Encoding and upgrade',
    `POST / HTTP/1.1\r\n${HOST}Connection: Transfer-Encoding, upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
    forwarded('POST', '/', chunked),
  ],
  [
    'Connection names Content-Length',
    `POST / HTTP/1.1\r\n${HOST}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello`,
    forwarded('POST', '/', length),
  ],
  [
    'Connection asks for an upgrade of a request with a body',
    `POST / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello`,
    forwarded('POST', '/', length),
  ],
  [
    'Connection asks for an upgrade to nothing',
    `GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'Upgrade without Connection',
    `GET / HTTP/1.1\r\n${HOST}Upgrade: websocket\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'a choice of protocols to upgrade to',
    `GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: h2c, websocket\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  ['Connection names Host', `GET / HTTP/1.1\r\n${HOST}Connection: host\r\n\r\n`, forwarded('GET', '/')],
  [
    'Connection names a field of its own',
    `GET / HTTP/1.1\r\n${HOST}Connection: hop, a-b\r\nHop: 1\r\nhop: 2\r\nA-B: 3\r\nEnd: 4\r\n\r\n`,
    forwarded('GET', '/', { fields: 'End: 4\r\n' }),
  ],
  [
    'Connection names the fields with which a client proves who it is',
    `GET / HTTP/1.1\r\n${HOST}Connection: authorization, Cookie, X-Auth-User\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nX-Auth-User: u\r\n\r\n`,
    forwarded('GET', '/', { fields: 'Authorization: Basic eA==\r\nCookie: a=b\r\nX-Auth-User: u\r\n' }),
    'CVE-2025-54576 and its kin',
  ],
  [
    'Connection names what the proxy adds',
    `GET / HTTP/1.1\r\n${HOST}Connection: x-forwarded-for, x-forwarded-proto, x-forwarded-host, forwarded, via\r\n\r\n`,
    forwarded('GET', '/'),
    'CVE-2022-31813, CVE-2024-45410',
  ],
  [
    'fields that are about the connection',
    `GET / HTTP/1.1\r\n${HOST}Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, deflate;q=0.5\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'TE for trailers',
    `GET / HTTP/1.1\r\n${HOST}Connection: TE\r\nTE: gzip, trailers;q=1\r\n\r\n`,
    forwarded('GET', '/', { framing: 'te: trailers\r\nconnection: te\r\n' }),
  ],
]

const HTTP10: readonly Forward[] = [
  [
    'a request that is kept',
    `GET /x HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`,
    forwarded('GET', '/x', { version: '1.0' }),
  ],
  [
    'a length that is kept',
    `POST /x HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello`,
    forwarded('POST', '/x', { ...length, version: '1.0' }),
  ],
  [
    'an expectation, which HTTP/1.0 does not have',
    `POST /x HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    forwarded('POST', '/x', { ...length, version: '1.0' }),
  ],
]

/** Targets that matchers, decoders and origins are known to read differently. They stay as they came. */
const PATHS: readonly (readonly [name: string, path: string, from?: string])[] = [
  ['two slashes', '//'],
  ['two slashes before a name', '//evil.example/x'],
  ['dots', '/a/./b/../c'],
  ['dots at the beginning', '/../../etc/passwd'],
  ['dots after a prefix', '/api../x', 'Traefik 3.7.3'],
  ['a dot after a prefix', '/api./x', 'Traefik 3.7.3'],
  ['encoded dots', '/a/%2e%2e/%2E/b'],
  ['an encoded slash', '/a%2fb%2F..%2f'],
  ['an encoded backslash', '/a%5c..%5Cb'],
  ['an encoded NUL', '/a%00.html'],
  ['an encoded CR LF', '/a%0d%0aSet-Cookie:%20b'],
  ['an encoded %', '/%25%32%65%2525'],
  ['an encoded question mark and fragment', '/a%3fb%23c'],
  ['encoded letters', '/%61dmin', 'CVE-2026-27587'],
  ['overlong UTF-8', '/%c0%ae%c0%ae/%e0%80%af'],
  ['path parameters', '/a;b=c/..;/d;'],
  ['an empty query', '/a?'],
  ['queries in a query', '/a?b?c=/../d&e=%'],
  ['characters that browsers leave as they are', '/a|b^c[d]?e={"'.replace('"', "'")],
  ['capital letters', '/ADMIN'],
  ['an at sign and a colon', '/@a:80/'],
]

const TARGETS: readonly Forward[] = [
  ...PATHS.map(
    ([name, path, from]): Forward => [
      name,
      `GET ${path} HTTP/1.1\r\n${HOST}\r\n`,
      forwarded('GET', path),
      from,
    ],
  ),
  ['a URL', `GET http://a/x?y HTTP/1.1\r\n${HOST}\r\n`, forwarded('GET', '/x?y')],
  ['a URL without a path', `GET http://a HTTP/1.1\r\n${HOST}\r\n`, forwarded('GET', '/')],
  [
    'a URL without a path and with a query',
    `GET http://a?x HTTP/1.1\r\n${HOST}\r\n`,
    forwarded('GET', '/?x'),
  ],
  ['a URL with dots', `GET http://a/../x HTTP/1.1\r\n${HOST}\r\n`, forwarded('GET', '/../x')],
  ['a URL with two slashes', `GET http://a//b HTTP/1.1\r\n${HOST}\r\n`, forwarded('GET', '//b')],
  [
    'a URL with a URL for a path',
    `GET http://a/http://b/ HTTP/1.1\r\n${HOST}\r\n`,
    forwarded('GET', '/http://b/'),
  ],
  ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, forwarded('OPTIONS', '*')],
  [
    'OPTIONS of a URL without a path',
    `OPTIONS http://a HTTP/1.1\r\n${HOST}\r\n`,
    forwarded('OPTIONS', '*'),
    'RFC 9112, 3.2.4',
  ],
]

const HOSTS: readonly Forward[] = [
  'A.Example',
  'a.',
  'a:80',
  'a:8080',
  'a:',
  '[::1]',
  '[::1]:80',
  '127.0.0.1',
  'a_b',
].map(host => [host, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, forwarded('GET', '/', { host })])

const IDENTITY: readonly Forward[] = [
  [
    'X-Forwarded-* of a stranger',
    `GET / HTTP/1.1\r\n${HOST}X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nx-forwarded-host: b\r\nX-FORWARDED-PORT: 443\r\nX-Forwarded-Prefix: /admin\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Client-Cert: x\r\nX-Forwarded: for=1\r\n\r\n`,
    forwarded('GET', '/'),
    'CVE-2026-3635',
  ],
  [
    'Forwarded and Via of a stranger',
    `GET / HTTP/1.1\r\n${HOST}Forwarded: for=10.0.0.1;proto=https\r\nVia: 1.1 me\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'other names for the address of a client',
    `GET / HTTP/1.1\r\n${HOST}X-Real-IP: 10.0.0.1\r\nX-Client-IP: 10.0.0.1\r\nTrue-Client-IP: 10.0.0.1\r\nX-Cluster-Client-Ip: 10.0.0.1\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'the same names with underscores',
    `GET / HTTP/1.1\r\n${HOST}X_Forwarded_For: 10.0.0.1\r\nX-Forwarded_Proto: https\r\nRemote_User: admin\r\nCONTENT_LENGTH: 5\r\n_: 1\r\n\r\n`,
    forwarded('GET', '/'),
    'CVE-2026-39858, CVE-2026-52845',
  ],
  [
    'the same names with other signs that CGI takes for dashes',
    `GET / HTTP/1.1\r\n${HOST}X.Forwarded.For: 10.0.0.1\r\nX-Forwarded+Proto: https\r\nRemote!User: admin\r\n!#$%&'*+.^|~: x\r\n\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'the field that CGI makes a proxy of',
    `GET / HTTP/1.1\r\n${HOST}Proxy: http://evil/\r\n\r\n`,
    forwarded('GET', '/'),
    'CVE-2016-5385 (httpoxy)',
  ],
  [
    'many of them, one by one',
    `GET / HTTP/1.1\r\n${HOST}${'X-Forwarded-For: 10.0.0.1\r\n'.repeat(90)}\r\n`,
    forwarded('GET', '/'),
  ],
  [
    'a trusted name that Connection is to take off, sent as well',
    `GET / HTTP/1.1\r\n${HOST}Connection: x-forwarded-for\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n`,
    forwarded('GET', '/'),
  ],
]

/** By what they are about. The client's connection, and the origin's, can be used again after each of them. */
export const FORWARDED: readonly (readonly [about: string, forwards: readonly Forward[]])[] = [
  ['framing', FRAMING],
  ['Connection', CONNECTION],
  ['HTTP/1.0', HTTP10],
  ['the target', TARGETS],
  ['Host', HOSTS],
  ['who the client is', IDENTITY],
]

/** What ends the client's connection. */
export const LAST: readonly Forward[] = [
  [
    'HTTP/1.0 without Host',
    'GET /x HTTP/1.0\r\n\r\n',
    `GET /x HTTP/1.1\r\nhost: ORIGIN\r\n${identity(null, '1.0')}\r\n`,
  ],
  [
    'HTTP/1.0 with a body that would end with the connection',
    `POST /x HTTP/1.0\r\n${HOST}\r\nGET /smuggled HTTP/1.0\r\n\r\n`,
    forwarded('POST', '/x', { framing: 'content-length: 0\r\n', version: '1.0' }),
    'CVE-2026-2835',
  ],
  [
    'Connection: close, and more',
    `GET /x HTTP/1.1\r\n${HOST}Connection: a, close\r\n\r\nGET /smuggled HTTP/1.1\r\n${HOST}\r\n`,
    forwarded('GET', '/x'),
  ],
]
