// What `npm run bench -- l4` takes.
import { parseArgs } from 'node:util'
import { type ProxyName, proxyNames } from './proxies.ts'
import { type RowName, rowNames } from './rows.ts'

export interface Options {
  readonly json: boolean
  readonly rows: readonly RowName[]
  /** Undefined: all that are installed. */
  readonly proxies: readonly ProxyName[] | undefined
  /** Length of one measurement. */
  readonly seconds: number
  readonly rounds: number
  /** Seconds of load before the first measurement of a row. */
  readonly warmUp: number
  /** Idle connections in the memory row. */
  readonly idle: number
  /** Extra flags for the Node that runs Sluice, to try them. */
  readonly nodeFlags: readonly string[]
}

export const usage: string = `usage: npm run bench -- l4 [options]

  --only ROW,…       ${rowNames.join(', ')}
  --proxies NAME,…   ${proxyNames.join(', ')}
                     (default: all that are installed, without the sketches)
  --runtime bun      fetch Bun if it is not there, and measure Sluice on Bun beside Sluice on Node
  --seconds N        length of one measurement (default 3)
  --rounds N         measurements of each figure, interleaved over the proxies (default 3)
  --warm-up N        seconds of load for each proxy before a row's first measurement (default 8)
  --idle N           connections in the memory row (default 2000)
  --node-flags "…"   extra flags for the Node that runs Sluice
  --json             print JSON instead of a table

Exit code: 0 when no bar is missed, 1 when one is, 2 when it could not be run.
`

export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      proxies: { type: 'string' },
      runtime: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '8' },
      idle: { type: 'string', default: '2000' },
      'node-flags': { type: 'string', default: '' },
    },
  })
  let proxies = values.proxies === undefined ? undefined : choose('proxies', values.proxies, proxyNames)
  if (values.runtime !== undefined) {
    choose('runtime', values.runtime, ['node', 'bun'])
    const wanted: ProxyName = values.runtime === 'bun' ? 'sluice-bun' : 'sluice'
    proxies = [...new Set([...(proxies ?? (['sluice', 'nginx', 'haproxy', 'hitch'] as const)), wanted])]
  }
  return {
    json: values.json,
    rows: values.only === undefined ? rowNames : choose('only', values.only, rowNames),
    proxies,
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    warmUp: positive('warm-up', values['warm-up']),
    idle: positive('idle', values.idle),
    nodeFlags: values['node-flags'].split(' ').filter(flag => flag !== ''),
  }
}

function choose<Name extends string>(option: string, text: string, names: readonly Name[]): Name[] {
  return text.split(',').map(part => {
    const name = names.find(name => name === part)
    if (name === undefined) throw new Error(`--${option}: "${part}" is not one of ${names.join(', ')}`)
    return name
  })
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(Number.isInteger(value) && value > 0))
    throw new Error(`--${option}: "${text}" is not a positive number`)
  return value
}
