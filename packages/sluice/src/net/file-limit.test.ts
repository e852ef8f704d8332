// What happens when file descriptors run out, in a process of its own that may have few.
import { type ChildProcess, spawn } from 'node:child_process'
import { connect, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { closeSockets, keep, read, type Seen, until } from '../../test/support/sockets.ts'
import { Admission, type AdmissionOptions, admissionLimits } from './admission.ts'
import { DescriptorBudget } from './descriptors.ts'
import type { ListenerCounts, ListenOptions } from './listen-options.ts'

const program = fileURLToPath(new URL('../../test/support/greeting-listener.ts', import.meta.url))
const children: ChildProcess[] = []

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await closeSockets()
})

interface Limited {
  readonly port: number
  counts(): Promise<ListenerCounts>
  /** The lines of its log. */
  readonly log: { code?: string; msg: string; level: string }[]
  hasEnded(): boolean
}

async function startWithFiles(files: number, options: ListenOptions): Promise<Limited> {
  const command = `ulimit -n ${files} && exec "$0" "$@"`
  const args = [process.execPath, program, JSON.stringify(options)]
  const child = spawn('sh', ['-c', command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  children.push(child)
  const log: Limited['log'] = []
  createInterface({ input: child.stderr }).on('line', line => log.push(JSON.parse(line)))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => (await lines.next()).value ?? ''
  const port = Number(await next())
  return {
    port,
    log,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    counts: async () => {
      child.stdin.write('\n')
      return JSON.parse(await next())
    },
  }
}

async function dial(port: number, count: number): Promise<(Seen & { destroy(): void })[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = keep(connect({ port, host: '127.0.0.1' }))
      const seen = Object.assign(read(socket), { destroy: () => void socket.destroy() })
      await new Promise<void>(done => {
        socket.once('connect', () => done())
        socket.once('error', () => done())
      })
      return seen
    }),
  )
}

describe('admissionLimits', () => {
  it.each([
    [undefined, Number.POSITIVE_INFINITY, 16_384, 1024],
    [undefined, 1_000_000, 16_384, 1024],
    [undefined, 960, 320, 320],
    [undefined, 64, 21, 22],
    [100, 1_000_000, 100, 1024],
    [400, 960, 400, 160],
    [1000, 960, 1000, 0],
  ])(
    'with maxConnections %s and %s descriptors serves %i and lets %i wait',
    (told, descriptors, serve, wait) => {
      const { maxConnections, maxWaiting } = admissionLimits(
        told === undefined ? {} : { maxConnections: told },
        descriptors,
      )
      expect([maxConnections, maxWaiting]).toEqual([serve, wait])
    },
  )

  it('keeps to what it is told', () => {
    const told = { maxConnections: 7, maxWaiting: 8, waitTimeout: 9 }
    expect(admissionLimits(told, 3)).toMatchObject(told)
  })

  it.each([
    [{ maxConnections: 0 }, 'OPTION_INVALID'],
    [{ maxConnections: Number.NaN }, 'OPTION_INVALID'],
    [{ maxWaiting: -1 }, 'OPTION_INVALID'],
    [{ maxWaiting: 1.5 }, 'OPTION_INVALID'],
    [{ waitTimeout: 0 }, 'OPTION_INVALID'],
    [{ waitTimeout: Number.NaN }, 'DURATION_INVALID'],
  ])('refuses %j', (told, code) => {
    expect(() => admissionLimits(told)).toThrow(expect.objectContaining({ code }))
  })
})

describe('listeners of one process', () => {
  /** An admission of a listener, and what became of the sockets that it was given. */
  function listener(budget: DescriptorBudget, descriptors: number, told: AdmissionOptions = {}) {
    const served: Socket[] = []
    const refused: Socket[] = []
    const admission = new Admission(
      admissionLimits(told, descriptors),
      budget,
      socket => served.push(socket),
      socket => refused.push(socket),
    )
    const dial = (count: number): Socket[] =>
      Array.from({ length: count }, () => {
        const socket = keep(new Socket())
        admission.admit(socket)
        return socket
      })
    return { admission, served, refused, dial }
  }

  it('share the descriptors, and one gets what another lets go of', () => {
    const budget = new DescriptorBudget(12)
    const one = listener(budget, 12)
    const two = listener(budget, 12)
    one.dial(4) // takes 8
    const [first, second, third] = two.dial(3) // takes 4, and has nothing left for the third
    expect([one.served.length, two.served.length, two.admission.waiting]).toEqual([4, 2, 0])
    two.dial(1)
    expect(two.refused).toHaveLength(2)
    expect([first, second]).toEqual(two.served)
    expect(third).toBe(two.refused[0])
    one.admission.release()
    const [late, later] = two.dial(2)
    expect(two.served.at(-1)).toBe(late)
    expect(two.refused.at(-1)).toBe(later)
  })

  it('serve those that wait when another lets go, and those that leave count no more', async () => {
    const budget = new DescriptorBudget(7)
    const one = listener(budget, 100)
    const two = listener(budget, 100)
    one.dial(3)
    const [waits] = two.dial(1)
    expect([two.served.length, two.admission.waiting, two.refused.length]).toEqual([0, 1, 0])
    one.admission.release()
    expect([two.served.at(0), two.admission.waiting]).toEqual([waits, 0])
    const [gone] = two.dial(1)
    expect(two.admission.waiting).toBe(1)
    gone?.destroy()
    await until(() => two.admission.waiting === 0)
    expect(budget.has(1)).toBe(true)
    expect(budget.has(2)).toBe(false)
    for (let i = 0; i < 2; i += 1) one.admission.release()
    two.admission.release()
    expect(budget.has(7)).toBe(true)
  })

  it('get as many as they are told to serve', () => {
    const budget = new DescriptorBudget(4)
    const one = listener(budget, 4, { maxConnections: 3, maxWaiting: 1 })
    one.dial(5)
    expect([one.served.length, one.admission.waiting, one.refused.length]).toEqual([3, 1, 1])
    one.admission.release()
    expect([one.served.length, one.admission.waiting]).toEqual([4, 0])
    const two = listener(budget, 4)
    two.dial(1)
    expect(two.refused).toHaveLength(1)
  })
})

describe.skipIf(process.platform !== 'linux')('a listener with few file descriptors', () => {
  it('serves and holds as many as it has descriptors for, refuses the rest, and serves again', async () => {
    const limited = await startWithFiles(128, {})
    const flood = await dial(limited.port, 300)
    await until(() => flood.filter(({ error }) => error === 'ECONNRESET').length === 300 - 21 - 22)
    expect(await limited.counts()).toEqual({ accepted: 300, serving: 21, waiting: 22, refused: 257 })
    expect(flood.filter(({ bytes }) => bytes === 5)).toHaveLength(21)
    const refusals = limited.log.filter(({ code }) => code === 'CONNECTION_LIMIT')
    expect(refusals.length).toBeGreaterThan(0)
    expect(refusals.length).toBeLessThan(5)
    for (const one of flood) one.destroy()
    let counts = await limited.counts()
    while (counts.serving + counts.waiting > 0) counts = await limited.counts()
    const [late] = await dial(limited.port, 1)
    await until(() => late?.bytes === 5)
    expect(limited.hasEnded()).toBe(false)
  })

  it('survives that it is told to serve more than it has descriptors for, and warns of it', async () => {
    const limited = await startWithFiles(96, { maxConnections: 1000 })
    await until(() => limited.log.length > 0)
    expect(limited.log[0]).toMatchObject({
      level: 'warn',
      msg: 'the limit on open files does not suffice for maxConnections; raise it (ulimit -n)',
    })
    const flood = await dial(limited.port, 200)
    await until(() => flood.some(({ bytes }) => bytes === 5))
    let { serving } = await limited.counts()
    while (serving <= 10) serving = (await limited.counts()).serving
    expect(serving).toBeLessThan(96)
    for (const one of flood) one.destroy()
    let counts = await limited.counts()
    while (counts.serving > 0) counts = await limited.counts()
    const [late] = await dial(limited.port, 1)
    await until(() => late?.bytes === 5)
    expect(limited.hasEnded()).toBe(false)
  })
})
