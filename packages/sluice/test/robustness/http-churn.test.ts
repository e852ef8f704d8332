// Requests of every kind come and go through the proxy: complete, aborted at each stage by clients and by origins, upgraded,
// refused, timed out, over HTTP/1.1 and HTTP/2 on either side. They leave nothing behind.
// SLUICE_CHURN=100000 npm test -- http-churn makes so many.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KINDS, SLOW_KINDS } from '../support/churn-clients.ts'
import { type ChurnOrigins, startChurnOrigins } from '../support/churn-origins.ts'
import type { ChurnReport } from '../support/churn-process.ts'

const REQUESTS = Number(process.env.SLUICE_CHURN ?? 2000)
/** Before the first look: what is made once, compiled or grown to its size is there then. */
const WARM_UP = 2000
const AT_ONCE = 40
/** One in so many kinds is one of those that take a time limit. */
const SLOW_EVERY = 100

/**
 * What may be on the heap besides, in bytes: code and feedback of the compiler, which come late. A request that was kept
 * would be 3 KB and more: 6 MB for each of 2,000, and 300 MB for each of 100,000.
 */
const HEAP_TOLERANCE = 4 * 1024 * 1024
/** What may be resident besides, in bytes: allocators keep some of what they once had. */
const RESIDENT_TOLERANCE = 48 * 1024 * 1024

let child: ChildProcess
let lines: Interface
let origins: ChurnOrigins
let ports: ChurnReport

beforeAll(async () => {
  origins = await startChurnOrigins()
  const program = fileURLToPath(new URL('../support/churn-process.ts', import.meta.url))
  const { NODE_OPTIONS: _, ...inherited } = process.env
  // A small nursery is collected often, and does not grow by tens of megabytes between two looks.
  const flags = process.versions.bun === undefined ? ['--expose-gc', '--max-semi-space-size=2'] : []
  // The C library gives back what is free at the end of its heap, and has one heap.
  const env = { ...inherited, MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' }
  child = spawn(process.execPath, [...flags, program, ...origins.urls], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  lines = createInterface({ input: child.stdout ?? process.stdin })
  ports = await report()
})
afterAll(async () => {
  child?.kill('SIGKILL')
  await origins?.close()
})

async function report(): Promise<ChurnReport> {
  child.stdin?.write('report\n')
  const [line] = await once(lines, 'line')
  return JSON.parse(line)
}

/** So many requests, forty connections at a time; gives back which kinds failed, and how. */
async function comeAndGo(count: number): Promise<string[]> {
  const failures: string[] = []
  let begun = 0
  let turns = 0
  const worker = async (): Promise<void> => {
    while (begun < count) {
      const turn = turns++
      const kinds = turn % SLOW_EVERY === 0 ? SLOW_KINDS : KINDS
      const [name, requests, run] =
        kinds[Math.floor(turn / (kinds === SLOW_KINDS ? SLOW_EVERY : 1)) % kinds.length] ?? []
      begun += Math.max(1, requests ?? 0)
      await run?.(ports).catch(error => failures.push(`${name}: ${error}`))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failures
}

describe(`${REQUESTS} requests of every kind`, () => {
  it('come and go, and leave nothing behind', { timeout: 60_000 + REQUESTS * 20 }, async () => {
    expect(await comeAndGo(WARM_UP)).toEqual([])
    const before = await report()
    const failures = await comeAndGo(REQUESTS)
    const afterwards = await report()
    if (process.env.SLUICE_CHURN !== undefined) console.log({ before, afterwards })

    expect(failures.slice(0, 10)).toEqual([])
    expect(afterwards.faults).toEqual([])
    expect(afterwards.swept).toBe(0)
    expect(afterwards.pooled).toBe(0)
    expect(afterwards.resources).toEqual(before.resources)
    expect(afterwards.descriptors).toBe(before.descriptors)
    expect(afterwards.listeners).toBe(before.listeners)
    expect(afterwards.logged.INTERNAL).toBeUndefined()
    expect(afterwards.heap - before.heap).toBeLessThan(HEAP_TOLERANCE)
    expect(afterwards.resident - before.resident).toBeLessThan(RESIDENT_TOLERANCE)
  })

  it('do not keep the process once its listeners are closed', async () => {
    const exit = once(child, 'exit')
    child.stdin?.write('close\n')
    expect(await exit).toEqual([0, null])
  })
})
