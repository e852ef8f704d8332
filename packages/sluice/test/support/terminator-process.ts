// The terminator in a process of its own, which tells on request what it holds. `report` and `close` come on standard
// input, a line each; a report is a line of JSON. After `close` it ends by itself, if nothing holds it.
import { getEventListeners } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { configureLogging } from '../../src/core/index.ts'
import { Terminator } from './terminator.ts'

/** What the process holds when nobody is connected and the garbage has been collected. */
export interface Report {
  readonly port: number
  readonly accepted: number
  readonly serving: number
  /** Lines that told of the end of a connection. */
  readonly ends: number
  /** Uncaught exceptions, unhandled rejections and warnings, in words. */
  readonly faults: readonly string[]
  /** What keeps the event loop alive, by kind. */
  readonly resources: Readonly<Record<string, number>>
  /** Open files and sockets; undefined where the system does not tell. */
  readonly descriptors: number | undefined
  /** Listeners on the process and on the signals of the listeners. */
  readonly listeners: number
  /** Bytes. */
  readonly heap: number
  /** Bytes: the heap, and all that is outside of it. */
  readonly resident: number
}

const faults: string[] = []
process.on('uncaughtException', error => faults.push(String(error)))
process.on('unhandledRejection', error => faults.push(String(error)))
process.on('warning', error => {
  if (error.name !== 'ExperimentalWarning') faults.push(String(error))
})

let ends = 0
let edge = ''
configureLogging({
  directives: 'info',
  format: 'json',
  destination: {
    write: text => {
      const line = JSON.parse(text)
      if (line.msg === 'relayed' || line.address === edge) ends += 1
    },
  },
})

const terminator = await Terminator.start()
edge = String(terminator.edge.address)

const input = createInterface({ input: process.stdin })
input.on('line', async line => {
  if (line === 'report') {
    process.stdout.write(`${JSON.stringify(await report())}\n`)
  } else {
    input.close()
    process.stdin.destroy()
    await terminator.close()
  }
})

async function report(): Promise<Report> {
  while (!terminator.isIdle) await wait(5)
  for (let times = 0; times < 4; times++) {
    await turn()
    collectGarbage()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return {
    port: terminator.port,
    accepted: terminator.edge.counts.accepted,
    serving: terminator.edge.counts.serving + terminator.service.counts.serving,
    ends,
    faults,
    resources: tally(process.getActiveResourcesInfo()),
    descriptors: existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : undefined,
    listeners: countListeners(),
    heap: heapUsed,
    resident: rss,
  }
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
  const ofSignals = [...terminator.signals].map(signal => getEventListeners(signal, 'abort').length)
  return [...ofProcess, ...ofSignals].reduce((sum, count) => sum + count, 0)
}
