// TLS in, TCP with a PROXY header out: Sluice and its peers side by side.
import { availableParallelism } from 'node:os'
import { startClient } from './load.ts'
import { keepAwake, type Machine, machine } from './machine.ts'
import type { Options } from './options.ts'
import { startOrigin } from './origin.ts'
import { stopAll } from './processes.ts'
import { installed, type ProxyName, type RunningProxy, startProxy, version } from './proxies.ts'
import { PLAIN_GROUP, type Row, rows, type Setting } from './rows.ts'
import { fetchBun } from './runtimes.ts'
import { type Cell, judge, summarize, table } from './table.ts'
import { createWorkspace } from './workspace.ts'

export interface Report {
  readonly machine: Machine
  readonly proxies: readonly { readonly name: ProxyName; readonly version: string; readonly tls: string }[]
  readonly rows: readonly {
    readonly row: Row
    readonly cells: readonly (Cell | undefined)[]
  }[]
}

/** @returns whether no bar was missed */
export async function l4(options: Options): Promise<boolean> {
  if (options.proxies?.some(name => name.startsWith('bun') || name === 'sluice-bun')) fetchBun()
  const { names, missing } = installed()
  const chosen = options.proxies ?? names
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
    const origin = await startOrigin(workspace, loadCore)
    const start = (name: ProxyName): Promise<RunningProxy> =>
      startProxy(name, { workspace, originPort: origin.port, core: proxyCore, nodeFlags: options.nodeFlags })
    const setting: Setting = { origin, loadCore, seconds: options.seconds, idle: options.idle }

    const proxies: RunningProxy[] = []
    for (const name of chosen) proxies.push(await start(name))
    const facts = []
    for (const proxy of proxies) {
      const client = startClient(loadCore, proxy.port, PLAIN_GROUP)
      facts.push({ name: proxy.name, version: version(proxy.name) ?? '', tls: await client.ask('probe') })
      await client.stop()
    }

    const results = []
    for (const row of rows.filter(row => options.rows.includes(row.name))) {
      const samples = proxies.map(() => [] as NonNullable<Awaited<ReturnType<Row['measure']>>>[])
      if (!row.fresh) {
        for (const proxy of proxies) {
          note(`${row.name}, warming up, ${proxy.name}`)
          await row.measure(proxy, { ...setting, seconds: options.warmUp })
        }
      }
      for (let round = 0; round < options.rounds; round++) {
        for (const [index, running] of proxies.entries()) {
          note(`${row.name}, round ${round + 1} of ${options.rounds}, ${running.name}`)
          const proxy = row.fresh ? await start(running.name) : running
          const sample = await row.measure(proxy, setting)
          if (sample !== undefined) samples[index]?.push(sample)
          if (row.fresh) await proxy.stop()
        }
      }
      results.push({ row, cells: samples.map(summarize) })
    }

    const report: Report = { machine: machine(), proxies: facts, rows: results }
    const verdicts = judge(report)
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ ...report, bars: verdicts }, undefined, 2)}\n`
        : table(report, verdicts),
    )
    return verdicts.every(verdict => verdict.pass !== false)
  } finally {
    await stopAll()
    letSleep?.()
    workspace.remove()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
