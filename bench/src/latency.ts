// The latency row: answers at a fixed rate that leaves room, counted from when each request was due.
import { type Client, rateClient } from './load.ts'
import type { Kind, RunningProxy } from './proxies.ts'
import { every, type Row, type Sample, underRequests, WARM_UP } from './rows.ts'

/** Kept connections: more than are ever busy at half of saturation, so that requests do not wait for one. */
const CONNECTIONS = 128
/** Seconds of requests before the first that are counted: until then the client is not compiled, nor what is asked. */
const CLIENT_WARM_UP = 10
/** A machine that stands still for 8 ms, as virtual ones do, is a percent of a second: many short rounds share that out. */
const OFTEN = 3

/**
 * Each proxy has one client, which keeps its connections from round to round, but for those that the proxy closes as idle: what
 * is measured is neither the client's compiler nor what becomes of 128 connections that are closed at once.
 *
 * The rate is the same for all whose saturation allows it: half of what the slower of Sluice and nginx can do. At the
 * same rate the two do the same work, where half of its own would go easy on the slower. A proxy that is slower than
 * both has half of its own.
 */
export function latency(): Row {
  /** Requests per second with its core full. */
  const saturation = new Map<Kind, number>()
  const rateFor = (kind: Kind): number => {
    const own = saturation.get(kind) ?? 0
    const compared = [...saturation].filter(([{ name }]) => name === 'sluice' || name === 'nginx')
    return Math.round(Math.min(own, ...compared.map(([, rate]) => rate)) / 2)
  }
  const clients = new Map<Kind, Client>()
  const clientOf = async (proxy: RunningProxy, loadCore: number, rate: number): Promise<Client> => {
    const known = clients.get(proxy.kind)
    if (known !== undefined) return known
    const client = rateClient(loadCore, proxy.port)
    clients.set(proxy.kind, client)
    await client.ask(`open ${CONNECTIONS}`)
    await client.ask(`run ${rate} 0 ${CLIENT_WARM_UP}`)
    return client
  }
  return {
    name: 'latency',
    title: '99th percentile at half of saturation',
    unit: 'µs',
    bars: [{ times: 1.5, peer: 'nginx' }],
    fresh: false,
    often: OFTEN,
    suits: every,
    async prepare(proxy, setting) {
      const { busy = 1, details } = await underRequests(proxy, setting, '/', 64, 1000)
      saturation.set(proxy.kind, (details?.perSecond ?? 0) / busy)
    },
    async measure(proxy, { loadCore, seconds }) {
      const rate = rateFor(proxy.kind)
      const client = await clientOf(proxy, loadCore, rate)
      await client.ask(`open ${CONNECTIONS}`)
      const answer = JSON.parse(await client.ask(`run ${rate} ${WARM_UP} ${seconds}`)) as Answer
      const { p99, ...details } = answer
      return { value: p99, count: answer.count, details: { rate, ...details } } satisfies Sample
    },
  }
}

/** What the client found (rate.entry.ts), in microseconds. */
interface Answer {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly most: number
  /** 99th percentile of how long after its time a request was sent: the part that is the client's own. */
  readonly late99: number
}
