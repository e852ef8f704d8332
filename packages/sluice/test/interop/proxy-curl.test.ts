// curl as a client of the reverse proxy, in every version of HTTP, with an origin on Node behind it.
import { truncateSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { configureLogging } from 'sluice'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CurlAnswer, curl, curlEach, curlOk, sha256 } from '../support/curl.ts'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { type NodeOrigin, startNodeOrigin } from '../support/node-origin.ts'
import { pattern, patternHash } from '../support/pattern.ts'
import { temporaryFolder } from '../support/peers.ts'

configureLogging({ directives: 'off' })

const SIZE = 2_000_003
const folder = temporaryFolder()
const upload = `${folder.path}/upload`
const zeros = `${folder.path}/zeros`

const KINDS = ['http', 'https', 'h2c', 'h2'] as const
type Kind = (typeof KINDS)[number]

let origin: NodeOrigin
const edges = new Map<Kind, Edge>()

beforeAll(async () => {
  writeFileSync(upload, Buffer.concat([...pattern(SIZE)]))
  writeFileSync(zeros, '')
  truncateSync(zeros, 2_000_000)
  origin = await startNodeOrigin()
  for (const kind of KINDS) {
    edges.set(kind, await startEdge(origin.urls[kind], { tls: { ca: origin.ca } }))
  }
})

afterAll(async () => {
  await stopEdges()
  origin?.stop()
  folder.remove()
})

interface Client {
  readonly client: string
  readonly flags: readonly string[]
  readonly at: 'plain' | 'secure'
  readonly version: string
}

const CLIENTS: readonly Client[] = [
  { client: 'HTTP/1.0', flags: ['--http1.0'], at: 'plain', version: '1.0' },
  { client: 'HTTP/1.1', flags: ['--http1.1'], at: 'plain', version: '1.1' },
  { client: 'HTTP/2 by prior knowledge', flags: ['--http2-prior-knowledge'], at: 'plain', version: '2' },
  { client: 'an upgrade to h2c, not taken', flags: ['--http2'], at: 'plain', version: '1.1' },
  { client: 'HTTP/1.0 and TLS', flags: ['--http1.0'], at: 'secure', version: '1.0' },
  { client: 'HTTP/1.1 and TLS', flags: ['--http1.1'], at: 'secure', version: '1.1' },
  { client: 'HTTP/2 and TLS', flags: ['--http2'], at: 'secure', version: '2' },
]

/** Every client with origins in clear; with those that speak TLS, one of each version. */
const ALL = KINDS.flatMap(kind => {
  const some = kind === 'http' || kind === 'h2c' ? CLIENTS : [CLIENTS[1], CLIENTS.at(-1)]
  return some.flatMap(client => (client === undefined ? [] : [{ kind, ...client }]))
})

function said({ body }: CurlAnswer) {
  return JSON.parse(body.toString())
}

describe.each(ALL)('curl with $client, to an origin at $kind:', ({ kind, flags, at, version }) => {
  const url = (path: string) => `${edges.get(kind)?.[at]}${path}`
  const isHttp2 = kind === 'h2c' || kind === 'h2'
  const get = (path: string, ...args: string[]) => curlOk(...flags, ...args, url(path))

  it('the target, the fields, and who the client is', async () => {
    const target = "/say?q=a%20b&c='[d]'"
    const answer = await get(target, '-g', '-H', 'x-one: 1', '-H', 'X_Two: 2', '-A', 'curl', '-H', 'x-one: 3')
    const { host, protocol } = new URL(url('/'))
    const scheme = protocol.slice(0, -1)
    const { pairs, ...rest } = said(answer)
    expect(answer.version).toBe(version === '1.0' ? '1.1' : version)
    expect(rest).toMatchObject({ method: 'GET', url: target, version: isHttp2 ? '2.0' : '1.1' })
    const lines = pairs.map(([name, value]: [string, string]) => `${name.toLowerCase()}: ${value}`)
    const head = isHttp2
      ? [
          ':method: GET',
          `:scheme: ${kind === 'h2' ? 'https' : 'http'}`,
          `:authority: ${host}`,
          `:path: ${target}`,
        ]
      : [`host: ${host}`]
    expect(lines).toEqual([
      ...head,
      'user-agent: curl',
      'accept: */*',
      'x-one: 1',
      'x-one: 3',
      'x-forwarded-for: 127.0.0.1',
      `x-forwarded-proto: ${scheme}`,
      `x-forwarded-host: ${host}`,
      `forwarded: for=127.0.0.1;host="${host}";proto=${scheme}`,
      `via: ${version} sluice`,
    ])
  })

  it('an upload with its length', async () => {
    const answer = said(await get('/hash', '-T', upload, '-H', 'expect:'))
    expect(answer).toEqual({
      bytes: SIZE,
      sha256: patternHash(SIZE),
      continued: false,
      length: String(SIZE),
      trailers: {},
    })
  })

  it('an upload that comes back while it is sent', async () => {
    const { body } = await get('/echo', '--data-binary', `@${upload}`, '-H', 'expect:')
    expect([body.length, sha256(body)]).toEqual([SIZE, patternHash(SIZE)])
  })

  it.each(['', '&chunked'])('a download (bytes%s)', async how => {
    const { body, status, fields } = await get(`/bytes?n=${SIZE}${how}`)
    expect([status, body.length, sha256(body)]).toEqual([200, SIZE, patternHash(SIZE)])
    expect(fields['content-length']).toBe(how === '' ? String(SIZE) : undefined)
    const isChunked = how !== '' && version === '1.1'
    expect(fields['transfer-encoding']).toBe(isChunked ? 'chunked' : undefined)
  })

  // Over HTTP/2 there is no such body.
  if (!isHttp2)
    it('a body that ends with the connection', async () => {
      const { body, fields } = await get('/until-closed')
      expect([body.toString(), fields['x-old']]).toEqual(['until it is closed', 'yes'])
    })

  it('a body that is compressed', async () => {
    const raw = await get('/gzip', '-H', 'accept-encoding: gzip')
    expect(raw.fields['content-encoding']).toBe('gzip')
    expect(gunzipSync(raw.body).toString()).toBe('made small '.repeat(1000))
    const read = await get('/gzip', '--compressed')
    expect(read.body.toString()).toBe('made small '.repeat(1000))
  })

  it('answers without a body', async () => {
    const head = await get(`/bytes?n=${SIZE}`, '-I')
    expect([head.status, head.fields['content-length']]).toEqual([200, String(SIZE)])
    const none = await get('/status?code=204')
    expect([none.status, none.body.length]).toEqual([204, 0])
    const same = await get('/status?code=304')
    expect([same.status, same.body.length]).toEqual([304, 0])
    const reset = await get('/status?code=205')
    expect([reset.status, reset.body.length]).toEqual([205, 0])
  })

  it('statuses, and fields that come twice', async () => {
    for (const code of [201, 299, 404, 418, 500, 503, 599]) {
      const { status, body } = await get(`/status?code=${code}&body=so`)
      expect([status, body.toString()]).toEqual([code, 'so'])
    }
    const { fields } = await get('/cookies')
    expect(fields['set-cookie']).toBe('a=1; Path=/, b=2; HttpOnly')
  })

  it('many at once', async () => {
    // curl 7.88 can't use a session by prior knowledge again, with any server.
    if (flags.includes('--http2-prior-knowledge')) return
    const urls = Array.from({ length: 24 }, (_, index) => url(`/bytes?n=${100_000 + index}`))
    const answers = await curlEach([...flags, '-Z', '--parallel-max', '8'], urls)
    expect(answers.map(({ status }) => status)).toEqual(urls.map(() => 200))
    expect(answers.map(({ size }) => size).sort()).toEqual(urls.map((_, index) => 100_000 + index).sort())
  })

  it('an origin that breaks off inside the body, as a failure', async () => {
    for (const path of ['/cut?how=end', '/cut?how=reset', '/cut?chunked&how=end', '/cut?chunked&how=reset']) {
      const { code, body } = await curl([...flags, url(path)])
      // 18: not all came; 56: the connection was reset; 92: the stream was.
      const expected = version === '2' ? [92] : [18, 56]
      expect({ path, code, expected: expected.includes(code) }).toMatchObject({ expected: true })
      expect(body.length).toBeLessThanOrEqual(1000)
    }
  })

  it('an origin that ends without an answer', async () => {
    for (const path of ['/drop?how=end', '/drop?how=reset']) {
      const { status, fields } = await get(path, '-X', 'POST', '-H', 'accept: text/plain')
      expect([status, fields['content-type']]).toEqual([502, 'text/plain; charset=utf-8'])
    }
  })

  if (version === '1.0') {
    // What HTTP/1.0 knows nothing of is kept from it.
    it('neither early hints nor trailers', async () => {
      const early = await get('/early')
      expect([early.informed, early.status, early.body.toString()]).toEqual([[], 200, 'late'])
      const { body, trailers } = await get('/trailers')
      expect([body.toString(), trailers]).toEqual(['with trailers', {}])
    })
    return
  }

  it('early hints', async () => {
    const { informed, status, body } = await get('/early')
    expect([informed, status, body.toString()]).toEqual([[103], 200, 'late'])
  })

  it('trailers', async () => {
    const { body, trailers } = await get('/trailers', '-H', 'te: trailers')
    expect([body.toString(), trailers]).toEqual(['with trailers', { 'x-sum': '42', 'x-more': 'yes' }])
  })

  it('an upload in chunks', async () => {
    const answer = said(await get('/hash', '-T', upload, '-H', 'transfer-encoding: chunked', '-H', 'expect:'))
    expect(answer).toEqual({
      bytes: SIZE,
      sha256: patternHash(SIZE),
      continued: false,
      ...(!isHttp2 && { coding: 'chunked' }),
      trailers: {},
    })
  })

  it('an upload that the origin has asked for', async () => {
    const answer = await get('/hash', '--expect100-timeout', '20', '-H', 'expect: 100-continue', '-T', upload)
    expect(answer.informed).toEqual([100])
    expect(said(answer)).toMatchObject({ bytes: SIZE, sha256: patternHash(SIZE), continued: true })
  })

  it.each([417, 413, 401])('an upload that the origin refuses with %i before it has begun', async code => {
    const path = `/refuse?code=${code}&by=${kind}-${at}-${flags.join()}`
    const answer = await get(path, '--expect100-timeout', '20', '-H', 'expect: 100-continue', '-T', upload)
    expect([answer.informed, answer.status, answer.body.toString()]).toEqual([[], code, 'refused'])
    const { received } = await origin.until(({ event, url }) => event === 'closed' && url === path)
    expect(received).toBe(0)
    // Over HTTP/2, curl 7.88 does not wait; what it sends gets no further than here.
    if (version === '1.1') expect(answer.stats.size_upload).toBe(0)
  })

  it('an upload that the origin refuses while it comes', async () => {
    // Slowly: curl 7.88 loses the answer if it is told to stop while it sends over HTTP/2.
    const answer = await get('/refuse?code=413', '-H', 'expect:', '--limit-rate', '200k', '-T', zeros)
    expect([answer.status, answer.body.toString()]).toEqual([413, 'refused'])
  })
})

it('curl is served at the speed that it wants, both ways', async () => {
  const count = 400_000
  writeFileSync(`${folder.path}/slow`, Buffer.concat([...pattern(count)]))
  const transfers = ALL.flatMap(({ kind, flags, at }) => {
    const url = (path: string) => `${edges.get(kind)?.[at]}${path}`
    const slowly = [...flags, '--limit-rate', '400k']
    return [
      curlOk(...slowly, url(`/bytes?n=${count}`)).then(({ body }) => sha256(body)),
      curlOk(...slowly, '-T', `${folder.path}/slow`, url('/hash')).then(answer => said(answer).sha256),
    ]
  })
  expect(await Promise.all(transfers)).toEqual(transfers.map(() => patternHash(count)))
})
