// The rows of the L4 benchmark: what is done, what is divided by what, and the bar.
import { startClient } from './load.ts'
import { memory, pause } from './processes.ts'
import type { RunningProxy } from './proxies.ts'
import {
  every,
  PLAIN_GROUP,
  type Row,
  type Sample,
  type Setting,
  underChurn,
  underRequests,
  withClient,
} from './rows.ts'
import { LARGE_ANSWER_BYTES } from './workspace.ts'

/** What clients of today offer first. */
const HYBRID_GROUP = 'X25519MLKEM768'

export const rows: readonly Row[] = [
  {
    name: 'requests',
    title: 'request of 12 bytes, 64 kept connections',
    unit: 'CPU µs',
    bars: [{ times: 1.1, peer: 'nginx' }],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underRequests(proxy, setting, '/', 64, 1000),
  },
  {
    name: 'bulk',
    title: 'GB in answers of 1 MB, 8 connections',
    unit: 'CPU ms',
    bars: [{ times: 0.7, peer: 'nginx' }],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underRequests(proxy, setting, '/large', 8, (1e6 * LARGE_ANSWER_BYTES) / 1e9),
  },
  {
    name: 'handshakes',
    title: 'new connection, full handshake, one request',
    unit: 'CPU µs',
    bars: [{ times: 1.5, peer: 'haproxy' }],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underChurn(proxy, setting, PLAIN_GROUP),
  },
  {
    name: 'handshakes-hybrid',
    title: `the same with ${HYBRID_GROUP}`,
    unit: 'CPU µs',
    bars: [],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underChurn(proxy, setting, HYBRID_GROUP),
  },
  {
    name: 'memory',
    title: 'idle TLS connection after one request',
    unit: 'KB',
    bars: [{ atMost: 64 }],
    fresh: true,
    suits: every,
    measure: whileIdle,
  },
]

/**
 * Growth of the proportional set size over idle connections. The first few hundred come before the measurement, so
 * that what is allocated once (code, pools, a grown heap) does not count. Nobody forces a garbage collection.
 */
async function whileIdle(proxy: RunningProxy, { loadCore, connections }: Setting): Promise<Sample> {
  const before = 500
  return withClient(startClient(loadCore, proxy.port, PLAIN_GROUP), async client => {
    await client.ask(`hold ${before}`)
    await pause(2000)
    const start = memory(proxy.pid)
    await client.ask(`hold ${before + connections}`)
    await pause(5000)
    return { value: (memory(proxy.pid) - start) / connections / 1024, count: connections }
  })
}
