// What `npm run bench -- NAME` takes.
import { parseArgs } from 'node:util'
import type { Benchmark } from './benchmark.ts'
import { installed, type Kind } from './proxies.ts'
import type { Row } from './rows.ts'

export interface Options {
  readonly json: boolean
  /** The file for a plot of the results. */
  readonly plot: string | undefined
  readonly rows: readonly Row[]
  /** Undefined: all that are installed, but those on request. */
  readonly proxies: readonly Kind[] | undefined
  /** Length of one measurement. */
  readonly seconds: number
  readonly rounds: number
  /** Seconds of load before the first measurement of a row. */
  readonly warmUp: number
  /** Connections in the memory row. */
  readonly connections: number
  /** Extra flags for the Node that runs Sluice and the Node proxies, to try them. */
  readonly nodeFlags: readonly string[]
}

export function usage(benchmark: Benchmark): string {
  const { name, title, rows, proxies, connections } = benchmark
  const onRequest = proxies.filter(kind => kind.onRequest).map(kind => kind.name)
  return `usage: npm run bench -- ${name} [options]

${title}.

  --only ROW,…       ${names(rows)}
  --proxies NAME,…   ${names(proxies)}
                     (default: all that are installed, without ${onRequest.join(', ')})
  --runtime bun      fetch Bun if it is not there, and measure Sluice on Bun beside the others
  --seconds N        length of one measurement (default 3)
  --rounds N         measurements of each figure, interleaved over the proxies (default 3)
  --warm-up N        seconds of load for each proxy before a row's first measurement (default 8)
  ${`--${connections.option} N`.padEnd(18)} ${connections.what} (default ${connections.count})
  --node-flags "…"   extra flags for the Node that runs Sluice and the Node proxies
  --json             print JSON instead of a table
  --plot FILE        write a plot of the results, in SVG

The results are also kept as JSON in bench/results/.
Exit code: 0 when no bar is missed, 1 when one is, 2 when it could not be run.
`
}

export function parseOptions(benchmark: Benchmark, args: string[]): Options {
  const { option, count } = benchmark.connections
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      plot: { type: 'string' },
      only: { type: 'string' },
      proxies: { type: 'string' },
      runtime: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '8' },
      'node-flags': { type: 'string', default: '' },
      [option]: { type: 'string', default: String(count) },
    },
  })
  let proxies =
    values.proxies === undefined ? undefined : choose('proxies', values.proxies, benchmark.proxies)
  if (values.runtime !== undefined) {
    const wanted = values.runtime === 'bun' ? 'sluice-bun' : values.runtime === 'node' ? 'sluice' : undefined
    if (wanted === undefined) throw new Error(`--runtime: "${values.runtime}" is not one of node, bun`)
    const others = proxies ?? installed(benchmark.proxies).kinds
    proxies = benchmark.proxies.filter(kind => kind.name === wanted || others.includes(kind))
  }
  return {
    json: values.json,
    plot: values.plot,
    rows: values.only === undefined ? benchmark.rows : choose('only', values.only, benchmark.rows),
    proxies,
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    warmUp: positive('warm-up', values['warm-up']),
    connections: positive(option, String(values[option])),
    nodeFlags: values['node-flags'].split(' ').filter(flag => flag !== ''),
  }
}

function names(all: readonly { readonly name: string }[]): string {
  return all.map(({ name }) => name).join(', ')
}

function choose<Named extends { readonly name: string }>(
  option: string,
  text: string,
  all: readonly Named[],
): Named[] {
  return text.split(',').map(part => {
    const found = all.find(({ name }) => name === part)
    if (found === undefined) throw new Error(`--${option}: "${part}" is not one of ${names(all)}`)
    return found
  })
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(Number.isInteger(value) && value > 0))
    throw new Error(`--${option}: "${text}" is not a positive number`)
  return value
}
