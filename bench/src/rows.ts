// The table's rows: what is done, what is divided by what, and the bar.
import { type Client, requests, startClient } from './load.ts'
import type { Origin } from './origin.ts'
import { cpuTime, memory, pause } from './processes.ts'
import type { ProxyName, RunningProxy } from './proxies.ts'
import { LARGE_ANSWER_BYTES } from './workspace.ts'

export const rowNames = ['requests', 'bulk', 'handshakes', 'handshakes-hybrid', 'memory'] as const
export type RowName = (typeof rowNames)[number]

export interface Setting {
  readonly origin: Origin
  /** The core of client and origin; the proxy has another. */
  readonly loadCore: number
  readonly seconds: number
  readonly idle: number
}

export interface Sample {
  readonly value: number
  /** How much of its core the proxy used, 0 to 1: below 1 the load was the bottleneck, and the figure still holds. */
  readonly busy?: number
  /** What was done during the measurement, in the row's units. */
  readonly count: number
}

export interface Row {
  readonly name: RowName
  readonly title: string
  readonly unit: string
  /** What Sluice on Node may cost at most: so many times what a peer costs, or so much. */
  readonly bar: { readonly times: number; readonly peer: ProxyName } | { readonly atMost: number } | undefined
  /** Wants a proxy that has just been started. */
  readonly fresh: boolean
  /** Undefined if the row means nothing for this proxy. */
  measure(proxy: RunningProxy, setting: Setting): Promise<Sample | undefined>
}

/** Key exchange that every peer's OpenSSL has. */
export const PLAIN_GROUP = 'X25519'
/** What clients of today offer first. */
const HYBRID_GROUP = 'X25519MLKEM768'

const WARM_UP = 1
const LOOPS = 32

export const rows: readonly Row[] = [
  {
    name: 'requests',
    title: 'request of 12 bytes, 64 kept connections',
    unit: 'CPU µs',
    bar: { times: 1.1, peer: 'nginx' },
    fresh: false,
    measure: (proxy, setting) => underRequests(proxy, setting, '/', 64, 1000),
  },
  {
    name: 'bulk',
    title: 'GB in answers of 1 MB, 8 connections',
    unit: 'CPU ms',
    bar: { times: 0.7, peer: 'nginx' },
    fresh: false,
    measure: (proxy, setting) => underRequests(proxy, setting, '/large', 8, (1e6 * LARGE_ANSWER_BYTES) / 1e9),
  },
  {
    name: 'handshakes',
    title: 'new connection, full handshake, one request',
    unit: 'CPU µs',
    bar: { times: 1.5, peer: 'haproxy' },
    fresh: false,
    measure: (proxy, setting) => underChurn(proxy, setting, PLAIN_GROUP),
  },
  {
    name: 'handshakes-hybrid',
    title: `the same with ${HYBRID_GROUP}`,
    unit: 'CPU µs',
    bar: undefined,
    fresh: false,
    measure: (proxy, setting) => underChurn(proxy, setting, HYBRID_GROUP),
  },
  {
    name: 'memory',
    title: 'idle TLS connection after one request',
    unit: 'KB',
    bar: { atMost: 64 },
    fresh: true,
    measure: whileIdle,
  },
]

/** @param nanoseconds CPU time per request that counts as 1 in the row's unit */
async function underRequests(
  proxy: RunningProxy,
  setting: Setting,
  path: string,
  connections: number,
  nanoseconds: number,
): Promise<Sample> {
  const load = requests(setting.loadCore, proxy.port, path, connections, setting.seconds + 2 * WARM_UP)
  const sample = await sampleCpu(proxy, setting, nanoseconds)
  await load.finish()
  return sample
}

async function underChurn(proxy: RunningProxy, setting: Setting, group: string): Promise<Sample | undefined> {
  const groups = group === PLAIN_GROUP ? group : `${group}:${PLAIN_GROUP}`
  return withClient(proxy, setting, groups, async client => {
    const negotiated = await client.ask('probe')
    if (group === HYBRID_GROUP && !negotiated.includes(HYBRID_GROUP)) return undefined
    await client.ask(`churn ${LOOPS}`)
    const sample = await sampleCpu(proxy, setting, 1000)
    await client.ask('stop')
    return sample
  })
}

/**
 * Growth of the proportional set size over idle connections. The first few hundred come before the measurement, so
 * that what is allocated once (code, pools, a grown heap) does not count. Nobody forces a garbage collection.
 */
async function whileIdle(proxy: RunningProxy, setting: Setting): Promise<Sample> {
  const before = 500
  return withClient(proxy, setting, PLAIN_GROUP, async client => {
    await client.ask(`hold ${before}`)
    await pause(2000)
    const start = memory(proxy.pid)
    await client.ask(`hold ${before + setting.idle}`)
    await pause(5000)
    return { value: (memory(proxy.pid) - start) / setting.idle / 1024, count: setting.idle }
  })
}

async function withClient<Result>(
  proxy: RunningProxy,
  setting: Setting,
  groups: string,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = startClient(setting.loadCore, proxy.port, groups)
  try {
    return await use(client)
  } finally {
    await client.stop()
  }
}

/** CPU time over requests, both read in the middle of a load that is running already. */
async function sampleCpu(proxy: RunningProxy, setting: Setting, nanoseconds: number): Promise<Sample> {
  await pause(WARM_UP * 1000)
  const firstRequests = await setting.origin.requests()
  const firstCpu = cpuTime(proxy.pid)
  const began = performance.now()
  await pause(setting.seconds * 1000)
  const count = (await setting.origin.requests()) - firstRequests
  const cpu = cpuTime(proxy.pid) - firstCpu
  const elapsed = (performance.now() - began) * 1e6
  if (count === 0) throw new Error(`${proxy.name} forwarded nothing:\n${proxy.output()}`)
  return { value: cpu / count / nanoseconds, busy: cpu / elapsed, count }
}
