// The reverse proxy in front of nginx and Caddy, which serve files over HTTP/1.1 and HTTP/2, in clear and with TLS. What
// curl gets through Sluice is what it gets from them when it asks them itself.
import { gunzipSync } from 'node:zlib'
import { configureLogging } from 'sluice'
import type { UpstreamOptions } from 'sluice/proxy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CurlAnswer, curlEach, curlOk, sha256 } from '../support/curl.ts'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { type FileOrigin, makeSite, type Nginx, startCaddy, startNginx } from '../support/file-origins.ts'
import { until } from '../support/sockets.ts'

configureLogging({ directives: 'off' })

const site = makeSite()
let nginx: Nginx
let caddy: FileOrigin

beforeAll(async () => {
  nginx = await startNginx(site)
  caddy = await startCaddy(site)
})

afterAll(async () => {
  await stopEdges()
  await nginx?.stop()
  await caddy?.stop()
  site.remove()
})

interface Way {
  readonly name: string
  readonly to: (origin: FileOrigin) => string
  readonly versions?: UpstreamOptions['versions']
  /** How curl speaks with the origin in the same way. */
  readonly direct: string
  readonly protocol: string
}

const WAYS: readonly Way[] = [
  { name: 'HTTP/1.1', to: origin => origin.h1, direct: '--http1.1', protocol: 'HTTP/1.1' },
  {
    name: 'HTTP/1.1 and TLS',
    to: origin => origin.tls,
    versions: ['1.1'],
    direct: '--http1.1',
    protocol: 'HTTP/1.1',
  },
  {
    name: 'HTTP/2 by prior knowledge',
    to: origin => origin.h2c,
    direct: '--http2-prior-knowledge',
    protocol: 'HTTP/2.0',
  },
  { name: 'HTTP/2 and TLS', to: origin => origin.tls, direct: '--http2', protocol: 'HTTP/2.0' },
]

const ORIGINS = (['nginx', 'Caddy'] as const).flatMap(program => WAYS.map(way => ({ program, ...way })))

const CLIENTS = [
  { client: 'HTTP/1.0', flags: ['--http1.0'], base: (edge: Edge) => edge.plain, version: '1.0' },
  { client: 'HTTP/1.1', flags: ['--http1.1'], base: (edge: Edge) => edge.plain, version: '1.1' },
  { client: 'HTTP/2 and TLS', flags: ['--http2'], base: (edge: Edge) => edge.secure, version: '2' },
] as const

interface Case {
  readonly name: string
  readonly path: string
  readonly args?: readonly string[]
  readonly status: number
  /** What must be so besides, whatever the origin says itself. */
  readonly also?: (answer: CurlAnswer, program: string, version: string) => void
}

const { 'small.txt': small, 'style.css': style, 'noise.bin': noise } = site.files

const CASES: readonly Case[] = [
  {
    name: 'a file',
    path: '/small.txt',
    status: 200,
    also: ({ body, fields }) => {
      expect(body).toEqual(small)
      expect(fields['content-length']).toBe('29')
    },
  },
  {
    name: 'a large file',
    path: '/noise.bin',
    status: 200,
    also: ({ body }) => expect(sha256(body)).toBe(sha256(noise)),
  },
  {
    name: 'an empty file',
    path: '/empty.txt',
    status: 200,
    also: ({ body }) => expect(body).toHaveLength(0),
  },
  {
    name: 'a head alone',
    path: '/noise.bin',
    args: ['-I'],
    status: 200,
    also: ({ fields }) => expect(fields['content-length']).toBe(String(noise.length)),
  },
  {
    name: 'a range',
    path: '/noise.bin',
    args: ['-r', '1000001-2000000'],
    status: 206,
    also: ({ body, fields }) => {
      expect(fields['content-range']).toBe(`bytes 1000001-2000000/${noise.length}`)
      expect(sha256(body)).toBe(sha256(noise.subarray(1_000_001, 2_000_001)))
    },
  },
  {
    name: 'two ranges',
    path: '/small.txt',
    args: ['-r', '0-4,7-9'],
    status: 206,
    also: ({ body, fields }) => {
      expect(fields['content-type']).toMatch(/^multipart\/byteranges; boundary=./)
      expect(body.toString()).toMatch(/bytes 0-4\/29\r\n.*\r\nsmall\r\n--.*bytes 7-9\/29\r\n.*\r\nand\r\n--/s)
    },
  },
  {
    name: 'a range that is not there',
    path: '/small.txt',
    args: ['-r', '999-'],
    status: 416,
    also: ({ fields }) => expect(fields['content-range']).toBe('bytes */29'),
  },
  {
    name: 'a file that gzip has made smaller',
    path: '/style.css',
    args: ['-H', 'accept-encoding: gzip'],
    status: 200,
    also: ({ body, fields }) => {
      expect(fields.vary).toBe('Accept-Encoding')
      if (fields['content-encoding'] === 'gzip') expect(gunzipSync(body)).toEqual(style)
      else expect(body).toEqual(style)
    },
  },
  {
    name: 'nothing new',
    path: '/small.txt',
    args: ['-H', 'if-none-match: *'],
    status: 304,
    also: ({ body, fields }) => {
      expect(body).toHaveLength(0)
      expect(fields.etag).toMatch(/^".+"$/)
    },
  },
  { name: 'no content', path: '/nothing', status: 204 },
  { name: 'another place', path: '/moved', status: 301 },
  {
    name: 'fields',
    path: '/hello',
    args: ['-H', 'x-asked: a "quoted" word, and\tmore'],
    status: 200,
    also: ({ body, fields }) => {
      expect(fields['x-hello']).toBe('a "quoted" word, and\tmore')
      expect(body.toString()).toMatch(/^hello site\.example/)
    },
  },
  { name: 'an error', path: '/missing', status: 404 },
]

describe.each(ORIGINS)('in front of $program over $name', ({ program, to, versions, direct, protocol }) => {
  let edge: Edge
  let origin: FileOrigin
  beforeAll(async () => {
    origin = program === 'nginx' ? nginx : caddy
    edge = await startEdge(to(origin), { ...(versions && { versions }), tls: { ca: origin.ca } })
  })

  /** What the origin says to curl itself. */
  const asked = new Map<string, Promise<CurlAnswer>>()
  function askDirectly({ name, args = [], path }: Case): Promise<CurlAnswer> {
    const url = to(origin).replace(/^h2c:/, 'http:') + path
    const answer = asked.get(name) ?? curlOk(direct, '-H', 'host: site.example', ...args, url)
    asked.set(name, answer)
    return answer
  }

  describe.each(CLIENTS)('a client of $client gets', ({ flags, base, version }) => {
    it.each(CASES)('$name', async one => {
      const { path, args = [], status, also } = one
      const got = await curlOk(...flags, '-H', 'host: site.example', ...args, base(edge) + path)
      expect(got.status).toBe(status)
      expect(got.version).toBe(version === '1.0' ? '1.1' : version)
      also?.(got, program, version)
      const said = await askDirectly(one)
      expect({ ...endToEnd(got), body: withoutBoundary(got) }).toEqual({
        ...endToEnd(said),
        body: withoutBoundary(said),
      })
    })

    it('an answer over the version that was asked for', async () => {
      const { fields } = await curlOk(...flags, `${base(edge)}/hello`)
      expect(fields['x-proto']).toBe(protocol)
    })
  })
})

/** An answer without what belongs to one connection or one moment. */
function endToEnd({ status, fields, trailers }: CurlAnswer): object {
  const kept = Object.entries(fields).filter(
    ([name]) => !['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'].includes(name),
  )
  return {
    status,
    trailers,
    fields: kept.map(([name, value]) => `${name}: ${value.replace(/boundary=.*/, 'boundary')}`).sort(),
  }
}

/** The hash of a body, and of one in several parts without what is between them. */
function withoutBoundary({ body, fields }: CurlAnswer): string {
  const boundary = /boundary=(.*)$/.exec(fields['content-type'] ?? '')?.[1]
  return sha256(boundary === undefined ? body : body.toString('latin1').replaceAll(boundary, 'boundary'))
}

describe('nginx', () => {
  it.each(CLIENTS)('takes uploads of $client whole, with a length and in chunks', async one => {
    const edge = await startEdge(nginx.h1)
    const name = one.version
    const file = `${site.path}/noise.bin`
    const url = `${one.base(edge)}/uploads/${name}`
    const made = await curlOk(...one.flags, '-T', file, url)
    expect([made.status, made.body.length]).toEqual([201, 0])
    expect(sha256(nginx.uploaded(name))).toBe(sha256(noise))
    // HTTP/1.0 knows no chunks.
    if (one.version !== '1.0') {
      const chunked = await curlOk(...one.flags, '-H', 'transfer-encoding: chunked', '-T', file, url)
      expect([chunked.status, chunked.body.length]).toEqual([204, 0])
      expect(sha256(nginx.uploaded(name))).toBe(sha256(noise))
    }
  })

  it.each(CLIENTS)('refuses an upload of $client that is too large, and is heard', async one => {
    const edge = await startEdge(nginx.h1)
    const answer = await curlOk(...one.flags, '-T', `${site.path}/noise.bin`, `${one.base(edge)}/too-large/a`)
    expect(answer.status).toBe(413)
    expect(answer.fields.server).toBe('nginx/1.22.1')
    expect(answer.body.toString()).toContain('413 Request Entity Too Large')
  })

  it('gets all requests on one connection, until it closes that', async () => {
    const edge = await startEdge(nginx.h1)
    const before = nginx.log().length
    for (let round = 0; round < 2; round++) {
      const urls = ['a', 'b', 'c'].map(query => `${edge.secure}/small.txt?${query}`)
      expect((await curlEach(['--http2'], urls)).map(({ connects }) => connects)).toEqual([1, 0, 0])
      await curlOk('--http1.1', `${edge.plain}/noise.bin`)
      await curlOk('--http1.1', '-I', `${edge.plain}/noise.bin`)
      await curlOk('--http1.1', '-T', `${site.path}/small.txt`, `${edge.plain}/uploads/kept`)
      await curlOk('--http1.1', `${edge.plain}/nothing`)
      await curlOk('--http1.1', `${edge.plain}/closes`)
    }
    // It writes a line when it has answered.
    await until(() => nginx.log().length === before + 16)
    const requests = nginx
      .log()
      .slice(before)
      .map(line => line.split(' '))
    const first = requests[0]?.[0]
    const second = requests[8]?.[0]
    expect(requests.map(([connection, number]) => [connection, Number(number)])).toEqual([
      ...Array.from({ length: 8 }, (_, at) => [first, at + 1]),
      ...Array.from({ length: 8 }, (_, at) => [second, at + 1]),
    ])
    expect(second).not.toBe(first)
  })
})
