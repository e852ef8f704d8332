// What a benchmark is, and how one runs: the proxies take turns in each row, and the report is printed and kept.
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startClient } from './load.ts'
import { keepAwake, type Machine, machine } from './machine.ts'
import type { Options } from './options.ts'
import { startOrigin } from './origin.ts'
import { plot } from './plot.ts'
import { stopAll } from './processes.ts'
import { installed, type Kind, type RunningProxy, startProxy, type Variant } from './proxies.ts'
import { PLAIN_GROUP, type Row, type Sample, type Setting } from './rows.ts'
import { fetchBun } from './runtimes.ts'
import { type Cell, judge, summarize, table, type Verdict } from './table.ts'
import { createWorkspace } from './workspace.ts'

export interface Benchmark {
  readonly name: string
  /** The heading of its plot. */
  readonly title: string
  readonly proxies: readonly Kind[]
  readonly rows: readonly Row[]
  /** Whether the origin takes a PROXY header before each connection's first request. */
  readonly proxyProtocol: boolean
  /** The option that says how many connections the memory row has. */
  readonly connections: { readonly option: string; readonly what: string; readonly count: number }
}

export interface Report {
  readonly benchmark: string
  readonly title: string
  readonly date: string
  readonly seconds: number
  readonly machine: Machine
  readonly proxies: readonly { readonly name: string; readonly version: string; readonly tls: string }[]
  readonly rows: readonly {
    readonly row: Row
    readonly cells: readonly (Cell | undefined)[]
  }[]
}

const results = fileURLToPath(new URL('../results/', import.meta.url))

/** @returns whether no bar was missed */
export async function run(benchmark: Benchmark, options: Options): Promise<boolean> {
  if (options.proxies?.some(kind => kind.bun)) fetchBun()
  const { kinds, missing } = installed(benchmark.proxies)
  const chosen = options.proxies ?? kinds
  if (options.proxies === undefined && missing.length > 0) note(`not installed: ${missing.join(', ')}`)

  const cores = availableParallelism()
  if (cores === 1)
    note('one core only: proxy, client and origin share it, and the figures are not comparable')
  const [proxyCore, loadCore] = cores === 1 ? [0, 0] : [0, 1]

  const letSleep = keepAwake()
  if (letSleep === undefined)
    note('idle cores may halt (only root can prevent it): expect the figures to spread')
  const workspace = createWorkspace()
  const interrupt = (): void => {
    stopAll().then(() => {
      workspace.remove()
      process.exit(130)
    })
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    const origin = await startOrigin(workspace, loadCore, benchmark.proxyProtocol)
    const { seconds, connections, nodeFlags } = options
    const start = (kind: Kind, variant: Variant): Promise<RunningProxy> =>
      startProxy(kind, { workspace, originPort: origin.port, core: proxyCore, nodeFlags, ...variant })
    const setting: Setting = { origin, loadCore, seconds, connections, start }

    const proxies: RunningProxy[] = []
    for (const kind of chosen) proxies.push(await start(kind, {}))
    const facts: Report['proxies'][number][] = []
    for (const { kind, port } of proxies) {
      const client = startClient(loadCore, port, PLAIN_GROUP)
      facts.push({ name: kind.name, version: kind.version() ?? '', tls: await client.ask('probe') })
      await client.stop()
    }

    const measured: Report['rows'][number][] = []
    for (const row of options.rows) {
      measured.push({ row, cells: await measure(row, proxies, setting, options) })
    }

    const date = new Date().toISOString()
    const { name, title } = benchmark
    const report = {
      benchmark: name,
      title,
      date,
      seconds,
      machine: machine(),
      proxies: facts,
      rows: measured,
    }
    const verdicts = judge(report)
    const json = `${JSON.stringify({ ...report, bars: verdicts }, undefined, 2)}\n`
    process.stdout.write(options.json ? json : table(report, verdicts))
    keep(report, json, options.plot)
    return verdicts.every((verdict: Verdict) => verdict.pass !== false)
  } finally {
    await stopAll()
    letSleep?.()
    workspace.remove()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

/** One row of the table: the proxies take turns, round after round. */
async function measure(
  row: Row,
  all: readonly RunningProxy[],
  setting: Setting,
  options: Options,
): Promise<(Cell | undefined)[]> {
  const able = all.filter(({ kind }) => row.suits(kind))
  const samples = new Map(able.map(({ kind }) => [kind, [] as Sample[]]))
  if (!row.fresh) {
    const longer = { ...setting, seconds: options.warmUp }
    for (const proxy of able) {
      note(`${row.name}, warming up, ${proxy.kind.name}`)
      if (row.prepare === undefined) await row.measure(proxy, longer)
      else await row.prepare(proxy, longer)
    }
  }
  const rounds = options.rounds * (row.often ?? 1)
  for (let round = 0; round < rounds; round++) {
    for (const running of able) {
      note(`${row.name}, round ${round + 1} of ${rounds}, ${running.kind.name}`)
      const proxy = row.fresh ? await setting.start(running.kind, {}) : running
      const sample = await row.measure(proxy, setting)
      if (sample !== undefined) samples.get(running.kind)?.push(sample)
      if (row.fresh) await proxy.stop()
    }
  }
  return all.map(({ kind }) => summarize(samples.get(kind) ?? []))
}

/** Results are kept by date, so that runs can be compared. */
function keep(report: Report, json: string, plotFile: string | undefined): void {
  mkdirSync(results, { recursive: true })
  const file = join(results, `${report.benchmark}-${report.date.replaceAll(':', '-')}.json`)
  writeFileSync(file, json)
  note(`kept as ${relative(process.cwd(), file)}`)
  if (plotFile !== undefined) writeFileSync(plotFile, plot(report))
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
