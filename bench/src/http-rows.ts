// The rows of the HTTP benchmark: what is done, what is divided by what, and the bars.
import { latency } from './latency.ts'
import { http2Requests, slowClient } from './load.ts'
import { memory, pause } from './processes.ts'
import type { Kind, RunningProxy } from './proxies.ts'
import {
  every,
  PLAIN_GROUP,
  type Row,
  type Sample,
  type Setting,
  underChurn,
  underLoad,
  underRequests,
  WARM_UP,
  withClient,
} from './rows.ts'
import { HUGE_ANSWER_BYTES, LARGE_ANSWER_BYTES } from './workspace.ts'

export const rows: readonly Row[] = [
  {
    name: 'requests',
    title: 'request of 12 bytes, 64 kept connections',
    unit: 'CPU µs',
    bars: [
      { times: 1.2, peer: 'nginx' },
      { times: 1 / 3, peer: 'http-proxy' },
    ],
    fresh: false,
    suits: every,
    measure: underSmallRequests,
  },
  {
    name: 'bulk',
    title: 'GB in answers of 1 MB, 8 connections',
    unit: 'CPU ms',
    bars: [{ times: 0.8, peer: 'nginx' }],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underRequests(proxy, setting, '/large', 8, (1e6 * LARGE_ANSWER_BYTES) / 1e9),
  },
  {
    name: 'http2',
    title: 'HTTP/2 request of 12 bytes, 32 connections with 16 streams each',
    unit: 'CPU µs',
    bars: [
      { times: 1, peer: 'nginx' },
      { times: 2, peer: 'haproxy' },
    ],
    fresh: false,
    suits: kind => kind.http2 === true,
    measure: (proxy, setting) =>
      underLoad(proxy, setting, 1000, () =>
        http2Requests(setting.loadCore, proxy.port, '/', 32, 16, setting.seconds + 2 * WARM_UP),
      ),
  },
  {
    name: 'handshakes',
    title: 'new connection, full handshake, one request',
    unit: 'CPU µs',
    bars: [{ times: 1.3, peer: 'haproxy' }],
    fresh: false,
    suits: every,
    measure: (proxy, setting) => underChurn(proxy, setting, PLAIN_GROUP),
  },
  latency(),
  {
    name: 'memory',
    title: 'peak with slow downloads of 10 MB',
    unit: 'MB',
    bars: [{ atMost: 400 }],
    fresh: true,
    suits: every,
    measure: whileDownloading,
  },
  accessLog(),
]

function underSmallRequests(proxy: RunningProxy, setting: Setting): Promise<Sample> {
  return underRequests(proxy, setting, '/', 64, 1000)
}

/**
 * The largest proportional set size while clients read slowly, and until they have all of it: for ten seconds each
 * takes 64 KB a second, then as much as it can.
 */
async function whileDownloading(proxy: RunningProxy, { loadCore, connections }: Setting): Promise<Sample> {
  return withClient(slowClient(loadCore, proxy.port), async client => {
    let going = true
    const watch = async (): Promise<number> => {
      let most = 0
      while (going) {
        most = Math.max(most, memory(proxy.pid))
        await pause(100)
      }
      return most
    }
    const before = memory(proxy.pid)
    const watched = watch()
    const slow = await client.ask(`slow ${connections} 10`)
    const whileSlow = memory(proxy.pid)
    const finished = await client.ask(`finish ${HUGE_ANSWER_BYTES}`)
    going = false
    const most = await watched
    const details = {
      before: mb(before),
      whileSlow: mb(whileSlow),
      slowBytes: Number(slow),
      bytes: Number(finished),
    }
    return { value: most / 1e6, count: connections, details }
  })
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e5) / 10
}

/** What the access log adds to a small request: the same proxy with it and without it, one right after the other. */
function accessLog(): Row {
  const logging = new Map<Kind, RunningProxy>()
  const measure = async (proxy: RunningProxy, setting: Setting): Promise<Sample> => {
    let other = logging.get(proxy.kind)
    if (other === undefined) {
      other = await setting.start(proxy.kind, { accessLog: true })
      logging.set(proxy.kind, other)
    }
    const without = await underSmallRequests(proxy, setting)
    const with_ = await underSmallRequests(other, setting)
    const details = { without: without.value, with: with_.value }
    return { value: with_.value - without.value, count: with_.count, details }
  }
  return {
    name: 'access-log',
    title: 'what an access log in JSON adds to a request',
    unit: 'CPU µs',
    bars: [],
    fresh: false,
    suits: kind => kind.accessLog === true,
    measure,
  }
}
