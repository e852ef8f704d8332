// Clients that go away while their request is under way: the origin hears of it at once, and can stop its work.
import { truncateSync, writeFileSync } from 'node:fs'
import { configureLogging } from 'sluice'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { curlOk } from '../support/curl.ts'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { type NodeOrigin, startNodeOrigin } from '../support/node-origin.ts'
import { startPeer, temporaryFolder } from '../support/peers.ts'

configureLogging({ directives: 'off' })

/** No time limit of Sluice's is as short: what happens within it was not for a limit. */
const AT_ONCE = 4500

const folder = temporaryFolder()
const upload = `${folder.path}/upload`
const KINDS = ['http', 'https', 'h2c', 'h2'] as const
const edges = new Map<string, Edge>()
let origin: NodeOrigin
let count = 0

beforeAll(async () => {
  writeFileSync(upload, '')
  truncateSync(upload, 50_000_000)
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

const CLIENTS = KINDS.flatMap(kind => [
  { kind, client: 'HTTP/1.1', flag: '--http1.1', base: () => edges.get(kind)?.plain },
  { kind, client: 'HTTP/1.1 and TLS', flag: '--http1.1', base: () => edges.get(kind)?.secure },
  { kind, client: 'HTTP/2', flag: '--http2-prior-knowledge', base: () => edges.get(kind)?.plain },
  { kind, client: 'HTTP/2 and TLS', flag: '--http2', base: () => edges.get(kind)?.secure },
])

const MOMENTS: readonly (readonly [moment: string, path: string, args: readonly string[]])[] = [
  ['waits for an answer', 'hang', []],
  ['gets an answer that stands still', 'begin', []],
  ['gets an answer that goes on', 'endless', ['-o', '/dev/null']],
  ['gets an answer that it takes slowly', 'endless', ['-o', '/dev/null', '--limit-rate', '1000']],
  ['sends a body that is read', 'swallow', ['-T', upload, '-H', 'expect:', '--limit-rate', '100k']],
  ['sends a body and gets an answer', 'begin', ['-T', upload, '-H', 'expect:', '--limit-rate', '100k']],
]

describe.each(CLIENTS)('a client of $client, to an origin at $kind,', ({ flag, base }) => {
  it.each(MOMENTS)('goes while it %s', async (_moment, path, args) => {
    const url = `/${path}?id=${count++}`
    const client = await startPeer({
      program: 'curl',
      package: 'curl',
      args: ['-sSk', flag, ...args, `${base()}${url}`],
    })
    try {
      await origin.until(one => one.event === 'begun' && one.url === url)
    } finally {
      await client.stop()
    }
    const gone = performance.now()
    await origin.until(one => one.event === 'closed' && one.url === url)
    expect(performance.now() - gone).toBeLessThan(AT_ONCE)
    // The next one is none the worse for it.
    expect((await curlOk(flag, `${base()}/status?code=200&body=next`)).body.toString()).toBe('next')
  })

  it.each(['end', 'reset'])('learns that the origin broke off inside its body (%s)', async how => {
    // Slowly: curl 7.88 loses the answer if it is told to stop while it sends over HTTP/2.
    const args = ['-T', upload, '-H', 'expect:', '--limit-rate', '300k', '-H', 'accept: text/plain']
    const answer = await curlOk(flag, ...args, `${base()}/choke?how=${how}`)
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('HTTP_UPSTREAM_CLOSED')
  })
})
