// What a row of the table is, and the loads that several benchmarks' rows have in common.
import { type Client, type Load, requests, startClient } from './load.ts'
import type { Origin } from './origin.ts'
import { cpuTime, pause } from './processes.ts'
import type { Kind, RunningProxy, Variant } from './proxies.ts'

export interface Setting {
  readonly origin: Origin
  /** The core of client and origin; the proxy has another. */
  readonly loadCore: number
  readonly seconds: number
  /** How many connections the memory row has. */
  readonly connections: number
  /** Starts one more proxy, for rows that want another than the one that is running. */
  start(kind: Kind, variant: Variant): Promise<RunningProxy>
}

export interface Sample {
  readonly value: number
  /** How much of its core the proxy used, 0 to 1: below 1 the load was the bottleneck, and the figure still holds. */
  readonly busy?: number
  /** What was done during the measurement, in the row's units. */
  readonly count: number
  /** What else is worth keeping of it, for who reads the JSON. */
  readonly details?: Readonly<Record<string, number>>
}

/** What Sluice on Node may cost at most: so many times what a peer costs, or so much. */
type Bar = { readonly times: number; readonly peer: string } | { readonly atMost: number }

export interface Row {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** Wants a proxy that has just been started. */
  readonly fresh: boolean
  /** How many times as many rounds it has as the others; 1 if that is not said. */
  readonly often?: number
  /** Whether it means anything for this proxy. */
  suits(kind: Kind): boolean
  /** The unmeasured load before the first measurement, where it is another than the measured one. */
  prepare?(proxy: RunningProxy, setting: Setting): Promise<void>
  /** Undefined if it turned out to mean nothing for this proxy. */
  measure(proxy: RunningProxy, setting: Setting): Promise<Sample | undefined>
}

/** Key exchange that every peer's OpenSSL has. */
export const PLAIN_GROUP = 'X25519'

/** Seconds of a load before what is measured of it, and about as many after it. */
export const WARM_UP = 1
/** Loops that connect again and again. */
const LOOPS = 32

export function every(): boolean {
  return true
}

/** @param nanoseconds CPU time per request that counts as 1 in the row's unit */
export async function underRequests(
  proxy: RunningProxy,
  setting: Setting,
  path: string,
  connections: number,
  nanoseconds: number,
): Promise<Sample> {
  const { loadCore, seconds } = setting
  return underLoad(proxy, setting, nanoseconds, () =>
    requests(loadCore, proxy.port, path, connections, seconds + 2 * WARM_UP),
  )
}

export async function underLoad(
  proxy: RunningProxy,
  setting: Setting,
  nanoseconds: number,
  start: () => Load,
): Promise<Sample> {
  const load = start()
  const sample = await sampleCpu(proxy, setting, nanoseconds)
  await load.finish()
  return sample
}

/**
 * A new connection with a full handshake for each request.
 *
 * @param group the key exchange; undefined is returned if the proxy does not have it
 */
export async function underChurn(
  proxy: RunningProxy,
  setting: Setting,
  group: string,
): Promise<Sample | undefined> {
  const groups = group === PLAIN_GROUP ? group : `${group}:${PLAIN_GROUP}`
  return withClient(startClient(setting.loadCore, proxy.port, groups), async client => {
    const negotiated = await client.ask('probe')
    if (!negotiated.includes(group)) return undefined
    await client.ask(`churn ${LOOPS}`)
    const sample = await sampleCpu(proxy, setting, 1000)
    await client.ask('stop')
    return sample
  })
}

export async function withClient<Result>(
  client: Client,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
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
  if (count === 0) throw new Error(`${proxy.kind.name} forwarded nothing:\n${proxy.output()}`)
  const details = { perSecond: Math.round((count / elapsed) * 1e9) }
  return { value: cpu / count / nanoseconds, busy: cpu / elapsed, count, details }
}
