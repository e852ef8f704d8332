// Other clients of the reverse proxy: nghttp with trailers, h2load and wrk under load, pipelines, and transfers so large
// that nobody could keep them in memory. SLUICE_LARGE=5000000000 npm run test:interop -- proxy-clients makes those of 5 GB.
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { configureLogging } from 'sluice'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { RawClient } from '../support/http.ts'
import { type NodeOrigin, startNodeOrigin } from '../support/node-origin.ts'
import { pattern, patternHash } from '../support/pattern.ts'
import { runPeer, temporaryFolder } from '../support/peers.ts'
import { closeSockets } from '../support/sockets.ts'

configureLogging({ directives: 'off' })

const SIZE = 1_000_003
const LARGE = Number(process.env.SLUICE_LARGE ?? 200_000_000)
/** How long so much may take, in milliseconds: a tenth of the speed at which it is taken. */
const LIMIT = 30_000 + LARGE / 10_000
/** What may be resident besides while much passes: the garbage of 16 and 64 KiB that is not collected yet. */
const TOLERANCE = 100_000_000

const folder = temporaryFolder()
const upload = `${folder.path}/upload`
const large = `${folder.path}/large`

const KINDS = ['http', 'https', 'h2c', 'h2'] as const
let origin: NodeOrigin
const edges = new Map<string, Edge>()
const edge = (kind: string) => edges.get(kind) as Edge

beforeAll(async () => {
  writeFileSync(upload, Buffer.concat([...pattern(SIZE)]))
  const file = openSync(large, 'w')
  for (const bytes of pattern(LARGE)) writeSync(file, bytes)
  closeSync(file)
  origin = await startNodeOrigin()
  for (const kind of KINDS) {
    edges.set(kind, await startEdge(origin.urls[kind], { tls: { ca: origin.ca } }))
  }
})

afterEach(closeSockets)
afterAll(async () => {
  await stopEdges()
  origin?.stop()
  folder.remove()
})

const BASES = KINDS.flatMap(kind => [
  { kind, way: 'prior knowledge', base: () => edge(kind).plain },
  { kind, way: 'ALPN', base: () => edge(kind).secure },
])

describe.each(BASES)('to an origin at $kind by $way', ({ base }) => {
  it.each(['', '&chunked'])('nghttp gets many answers on one session (bytes%s)', async how => {
    const urls = Array.from({ length: 20 }, (_, index) => `${base()}/bytes?n=${100_000 + index}${how}`)
    const { code, stdout } = await runPeer('nghttp', 'nghttp2-client', ['-s', '-n', ...urls])
    expect(code).toBe(0)
    const answers = [...stdout.matchAll(/ 200 +(\S+) (\/bytes\S+)$/gm)]
    expect(answers.map(([, , path]) => path).sort()).toEqual(urls.map(url => url.slice(base().length)).sort())
  })

  it('nghttp sends a body and trailers, and gets them back', async () => {
    const args = ['-v', '--no-content-length', '--trailer', 'x-sum: 42', '-d', upload, `${base()}/echo`]
    const { stdout } = await runPeer('nghttp', 'nghttp2-client', args)
    expect(stdout).toMatch(/recv \(stream_id=\d+\) :status: 200/)
    expect(stdout).toMatch(/recv \(stream_id=\d+\) x-sum: 42/)
    const { stdout: answer } = await runPeer('nghttp', 'nghttp2-client', [
      ...['--no-content-length', '--trailer', 'x-sum: 42', '-d', upload, `${base()}/hash`],
    ])
    expect(JSON.parse(answer)).toMatchObject({
      bytes: SIZE,
      sha256: patternHash(SIZE),
      trailers: { 'x-sum': '42' },
    })
  })

  it('nghttp sends a body whose length it tells', async () => {
    const { stdout } = await runPeer('nghttp', 'nghttp2-client', ['-d', upload, `${base()}/hash`])
    expect(JSON.parse(stdout)).toMatchObject({ bytes: SIZE, sha256: patternHash(SIZE), length: String(SIZE) })
  })
})

describe.each(BASES.filter(({ kind, way }) => (kind === 'http') === (way === 'ALPN') && kind !== 'https'))(
  'under load, to an origin at $kind by $way',
  ({ base }) => {
    it.each([
      ['HTTP/2', ['-c', '4', '-m', '32']],
      ['HTTP/1.1', ['-c', '8', '--h1']],
    ])('h2load has each request over %s answered', async (_version, args) => {
      const { stdout } = await runPeer('h2load', 'nghttp2-client', ['-n', '1000', ...args, `${base()}/say`])
      expect(stdout).toContain('1000 succeeded, 0 failed, 0 errored, 0 timeout')
      expect(stdout).toContain('1000 2xx, 0 3xx, 0 4xx, 0 5xx')
    })

    it('h2load uploads on many streams', async () => {
      const args = ['-n', '40', '-c', '2', '-m', '20', '-d', upload, `${base()}/hash`]
      const { stdout } = await runPeer('h2load', 'nghttp2-client', args)
      expect(stdout).toContain('40 succeeded, 0 failed, 0 errored, 0 timeout')
      expect(stdout).toContain('40 2xx, 0 3xx, 0 4xx, 0 5xx')
    })

    it('wrk has each request answered', async () => {
      const { stdout } = await runPeer('wrk', 'wrk', [
        '-t',
        '1',
        '-c',
        '16',
        '-d',
        '1',
        `${base()}/bytes?n=20000`,
      ])
      expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(50)
      expect(stdout).not.toMatch(/Socket errors|Non-2xx/)
    })
  },
)

describe.each(KINDS)('to an origin at %s', kind => {
  it('a pipeline is answered in order', async () => {
    const client = await RawClient.connect(Number(new URL(edge(kind).plain).port))
    const bodies = ['', 'a', 'bb', '', 'ccc']
    const requests = bodies.map((body, index) => {
      const chunks = `${body === '' ? '' : `${body.length}\r\n${body}\r\n`}0\r\nx-sum: ${index}\r\n\r\n`
      return index % 2 === 0
        ? `POST /echo?${index} HTTP/1.1\r\nHost: a\r\nContent-Type: x/${index}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
        : `POST /echo?${index} HTTP/1.1\r\nHost: a\r\nContent-Type: x/${index}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`
    })
    const last = 'GET /status?code=404&body=last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    await client.send(requests.join('') + last).over()
    expect(client.statuses).toEqual([200, 200, 200, 200, 200, 404])
    const types = [...client.received.matchAll(/content-type: x\/(\d)\r\n/gi)].map(match => match[1])
    expect(types).toEqual(['0', '1', '2', '3', '4'])
    const answers = client.received.split(/HTTP\/1\.1 \d+ [A-Za-z ]+\r\n/).slice(1)
    const ends = answers.map(answer => answer.slice(answer.indexOf('\r\n\r\n') + 4))
    expect(ends).toEqual([
      '',
      '1\r\na\r\n0\r\nx-sum: 1\r\n\r\n',
      'bb',
      '0\r\nx-sum: 3\r\n\r\n',
      'ccc',
      'last',
    ])
  })
})

/** The most that this process had resident while something was done, above what it had before. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 20)
  await work()
  clearInterval(timer)
  return most - before
}

describe.each([
  { client: 'HTTP/1.1 and TLS', flag: '--http1.1', base: () => edge('h2').secure },
  { client: 'HTTP/2 and TLS', flag: '--http2', base: () => edge('https').secure },
])(`${LARGE / 1_000_000} MB over $client`, ({ flag, base }) => {
  it('go up and down in constant memory, though those who take them are slower', {
    timeout: LIMIT,
  }, async () => {
    const grown = await growth(async () => {
      const down = `curl -sSk ${flag} --limit-rate 100M '${base()}/bytes?n=${LARGE}' | sha256sum`
      const up = `curl -sSk ${flag} -T ${large} '${base()}/hash?slowly'`
      const [got, sent] = await Promise.all([
        runPeer('sh', 'dash', ['-c', down], { limit: LIMIT }),
        runPeer('sh', 'dash', ['-c', up], { limit: LIMIT }),
      ])
      expect(got.stdout).toBe(`${patternHash(LARGE)}  -\n`)
      expect(JSON.parse(sent.stdout)).toMatchObject({ bytes: LARGE, sha256: patternHash(LARGE) })
    })
    expect(grown).toBeLessThan(TOLERANCE)
  })
})
