// Chromium in front of the reverse proxy: a page with its assets, fetch in all ways, events and WebSockets, over HTTP/2 and
// HTTP/1.1. The page writes down what it sees, and sends it to the origin.
import { createHash } from 'node:crypto'
import { configureLogging } from 'sluice'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../support/chromium.ts'
import { type Edge, startEdge, stopEdges } from '../support/edge.ts'
import { type NodeOrigin, startNodeOrigin } from '../support/node-origin.ts'

configureLogging({ directives: 'off' })

let origin: NodeOrigin
const edges = new Map<string, Edge>()

beforeAll(async () => {
  origin = await startNodeOrigin()
  for (const kind of ['http', 'h2'] as const) {
    edges.set(kind, await startEdge(origin.urls[kind], { tls: { ca: origin.ca } }))
  }
})

afterAll(async () => {
  await stopEdges()
  origin?.stop()
})

const hash = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')

const WAYS = [
  { name: 'HTTP/2, to an origin with HTTP/1.1', kind: 'http', at: 'secure', hop: 'h2', via: '2 sluice' },
  { name: 'HTTP/2, to an origin with HTTP/2', kind: 'h2', at: 'secure', hop: 'h2', via: '2 sluice' },
  { name: 'HTTP/1.1', kind: 'http', at: 'plain', hop: 'http/1.1', via: '1.1 sluice' },
] as const

describe.each(WAYS)('Chromium over $name', ({ kind, at, hop, via }) => {
  const id = `${kind}-${at}`
  let found: Record<string, unknown>

  beforeAll(async () => {
    const chromium = await startChromium(`${edges.get(kind)?.[at]}/browser/index.html?id=${id}`)
    try {
      const { reason = '' } = await origin.until(
        ({ event, url }) => event === 'reported' && url === `/report?id=${id}`,
      )
      found = JSON.parse(reason)
    } finally {
      await chromium.stop()
    }
  })

  it('shows a page with its assets', () => {
    expect(found).toMatchObject({ styled: 'rgb(1, 2, 3)', image: [37, 41] })
    const paths = [
      '/browser/index.html',
      '/browser/style.css',
      '/browser/app.js',
      '/browser/image.svg',
      '/bytes',
    ]
    const protocols = found.protocols as Record<string, string>
    expect(paths.map(path => [path, protocols[path]])).toEqual(paths.map(path => [path, hop]))
  })

  it('fetches, one thing and many', () => {
    expect(found.fetched).toBe('fetched')
    expect(found.many).toBe(30 * 100_000 + (29 * 30) / 2)
  })

  it('gets each event before the next is sent', () => {
    expect(found.events).toEqual(['0 event 0', '1 event 1', '2 event 2', '3 event 3'])
  })

  it('gets each piece of a stream before the next is sent', () => {
    expect(found.streaming).toEqual(['piece 0\n', 'piece 1\n', 'piece 2\n', 'piece 3\n'])
  })

  it('gives up a fetch, and the origin hears of it', async () => {
    expect(found.aborted).toBe('AbortError')
    await origin.until(({ event, url }) => event === 'closed' && url === `/begin?id=${id}-aborted`)
  })

  it('uploads', () => {
    const bytes = Buffer.alloc(2_000_000, 7)
    expect(found.upload).toEqual({ bytes: bytes.length, sha256: hash(bytes) })
    const pieces = 'a piece of it '.repeat(50)
    const streamed = { bytes: pieces.length, sha256: hash(pieces) }
    // Chromium streams uploads over HTTP/2 alone.
    expect(found.streamedUpload).toEqual(hop === 'h2' ? streamed : 'TypeError')
  })

  it('speaks over WebSockets', () => {
    expect(found.echo).toEqual({
      got: ['text', 100_000, ''],
      code: 4001,
      reason: 'enough',
      wasClean: true,
      extensions: 'permessage-deflate',
    })
    expect(found.closed).toEqual({ got: [], code: 4002, reason: 'go', wasClean: true, extensions: '' })
    // Over HTTP/2 on the connection that is there (RFC 8441).
    expect(found.via).toEqual([via])
  })
})
