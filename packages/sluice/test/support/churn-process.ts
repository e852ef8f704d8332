// A reverse proxy in a process of its own, in front of origins whose addresses are its arguments, which tells on request
// what it holds. `report` and `close` come on standard input, a line each; a report is a line of JSON. After `close` it
// ends by itself, if nothing holds it.
import { getEventListeners } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { configureLogging, stack } from '../../src/core/index.ts'
import { serveHttp, UpstreamPool } from '../../src/http/index.ts'
import { type Swept, sweep } from '../../src/http/sweep.ts'
import { type Connection, IpAddress, listen } from '../../src/net/index.ts'
import { reverseProxy } from '../../src/proxy/index.ts'
import { acceptTls, fromPem } from '../../src/tls/index.ts'
import { testCertificate, testKey } from './test-certificate.ts'

/** What the process holds when nobody is connected, idle connections are closed, and the garbage has been collected. */
export interface ChurnReport {
  readonly plain: number
  readonly tls: number
  readonly accepted: number
  /** Lines in the log, by code. */
  readonly logged: Readonly<Record<string, number>>
  /** Uncaught exceptions, unhandled rejections and warnings, in words. */
  readonly faults: readonly string[]
  /** What keeps the event loop alive, by kind. */
  readonly resources: Readonly<Record<string, number>>
  /** Open files and sockets; undefined where the system does not tell. */
  readonly descriptors: number | undefined
  /** Connections with a time limit. */
  readonly swept: number
  /** Connections to upstreams that are open, and requests that wait for one. */
  readonly pooled: number
  /** Listeners on the process and on the signals of the listeners. */
  readonly listeners: number
  /** Bytes. */
  readonly heap: number
  /** Bytes: the heap, and all that is outside of it. */
  readonly resident: number
}

const faults: string[] = []
process.on('uncaughtException', error => faults.push(String(error.stack)))
process.on('unhandledRejection', error => faults.push(String(error)))
process.on('warning', error => {
  if (error.name !== 'ExperimentalWarning') faults.push(String(error))
})

const logged: Record<string, number> = {}
configureLogging({
  directives: 'info',
  format: 'json',
  destination: {
    write: text => {
      const { code, msg } = JSON.parse(text)
      const kind = code ?? msg
      logged[kind] = (logged[kind] ?? 0) + 1
    },
  },
})

// Who has a time limit, and which pools there are, is told by no interface.
const swept = new Set<Swept>()
const { add, delete: remove } = sweep
sweep.add = item => {
  swept.add(item)
  add.call(sweep, item)
}
sweep.delete = item => {
  swept.delete(item)
  remove.call(sweep, item)
}
const pools = new Set<UpstreamPool>()
const { send } = UpstreamPool.prototype
UpstreamPool.prototype.send = function (this: UpstreamPool, request, observer) {
  pools.add(this)
  return send.call(this, request, observer)
}

const [http = '', https = '', h2c = '', nobody = ''] = process.argv.slice(2)
const limits = { idleTimeout: '1s', responseTimeout: '1s', maxConnections: 64 } as const
const upstreams = {
  h1: reverseProxy(http, limits),
  tls: reverseProxy(https, { ...limits, tls: { ca: testCertificate }, versions: ['1.1'] }),
  h2: reverseProxy(h2c, limits),
  // For what ends a session, which others must not share.
  h2x: reverseProxy(h2c, limits),
  dead: reverseProxy(nobody, limits),
}
const signals = new Set<AbortSignal>()
const serve = serveHttp<Connection>(
  request => {
    const [, which = ''] = request.path.split('/', 2)
    return (upstreams[which as keyof typeof upstreams] ?? upstreams.h1)(request)
  },
  { bodyLimit: 300_000, headTimeout: '1s', keepAliveTimeout: '5s' },
)
const note = ({ draining, aborted }: Connection): unknown => signals.add(draining).add(aborted)
const plain = await listen('127.0.0.1:0', {}, stack<Connection>().tap(note).service(serve))
const secure = await listen(
  '127.0.0.1:0',
  {},
  stack<Connection>()
    .tap(note)
    .layer(
      acceptTls({ certificate: fromPem({ cert: testCertificate, key: testKey }), alpn: ['h2', 'http/1.1'] }),
    )
    .service(serve),
)

const input = createInterface({ input: process.stdin })
// Whoever asked for it is gone.
process.stdin.on('end', () => process.exit(1))
input.on('line', async line => {
  if (line === 'report') {
    process.stdout.write(`${JSON.stringify(await report())}\n`)
  } else {
    input.close()
    process.stdin.destroy()
    await Promise.all([plain.close(0), secure.close(0)])
  }
})

function pooled(): number {
  return [...pools].reduce((sum, { counts }) => sum + counts.open + counts.waiting, 0)
}

/** How long what is left may take to end, in milliseconds: all time limits are shorter, but those of tunnels. */
const PATIENCE = 15_000

async function report(): Promise<ChurnReport> {
  const until = performance.now() + PATIENCE
  const isIdle = (): boolean =>
    [plain, secure].every(({ counts }) => counts.serving === 0 && counts.waiting === 0) &&
    pooled() === 0 &&
    swept.size === 0
  while (!isIdle() && performance.now() < until) await wait(5)
  for (let times = 0; times < 4; times++) {
    await turn()
    collectGarbage()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return {
    plain: portOf(plain.address),
    tls: portOf(secure.address),
    accepted: plain.counts.accepted + secure.counts.accepted,
    logged,
    faults,
    resources: tally(process.getActiveResourcesInfo()),
    descriptors: existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : undefined,
    swept: swept.size,
    pooled: pooled(),
    listeners: countListeners(),
    heap: heapUsed,
    resident: rss,
  }
}

function portOf(address: unknown): number {
  return address instanceof IpAddress ? address.port : 0
}

function collectGarbage(): void {
  const { Bun, gc } = globalThis as { Bun?: { gc(now: boolean): void }; gc?: () => void }
  if (Bun !== undefined) Bun.gc(true)
  else if (gc !== undefined) gc()
  else throw new Error('start it with --expose-gc')
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function countListeners(): number {
  const ofProcess = process.eventNames().map(name => process.listenerCount(name as string))
  const ofSignals = [...signals].map(signal => getEventListeners(signal, 'abort').length)
  return [...ofProcess, ...ofSignals].reduce((sum, count) => sum + count, 0)
}
