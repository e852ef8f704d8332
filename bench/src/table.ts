// Medians, bars, and the table that is printed.
import type { Report } from './benchmark.ts'
import type { Sample } from './rows.ts'

/** One proxy's figure in one row, over the rounds. */
export interface Cell {
  readonly median: number
  readonly least: number
  readonly most: number
  /** Mean share of its core that the proxy used. */
  readonly busy: number | undefined
  readonly samples: readonly Sample[]
}

export interface Verdict {
  readonly row: string
  readonly bar: string
  readonly measured: string
  /** Undefined if Sluice on Node, or the peer that the bar names, was not measured. */
  readonly pass: boolean | undefined
}

export function summarize(samples: readonly Sample[]): Cell | undefined {
  const values = samples.map(sample => sample.value).sort((a, b) => a - b)
  const [least] = values
  const most = values.at(-1)
  const middle = values.length / 2
  const low = values[Math.ceil(middle) - 1]
  const high = values[Math.floor(middle)]
  if (least === undefined || most === undefined || low === undefined || high === undefined) return undefined
  const busy = samples.flatMap(sample => sample.busy ?? [])
  return {
    median: (low + high) / 2,
    least,
    most,
    busy: busy.length === 0 ? undefined : busy.reduce((sum, share) => sum + share, 0) / busy.length,
    samples,
  }
}

/** Holds Sluice on Node against the bars. */
export function judge(report: Report): Verdict[] {
  return report.rows.flatMap(({ row, cells }) => {
    const median = (name: string): number | undefined =>
      cells[report.proxies.findIndex(proxy => proxy.name === name)]?.median
    const sluice = median('sluice')
    return row.bars.map(wanted => {
      if ('atMost' in wanted) {
        const bar = `at most ${wanted.atMost} ${row.unit}`
        if (sluice === undefined) return { row: row.name, bar, measured: 'not measured', pass: undefined }
        return {
          row: row.name,
          bar,
          measured: `${digits(sluice)} ${row.unit}`,
          pass: sluice <= wanted.atMost,
        }
      }
      const { times, peer } = wanted
      const theirs = median(peer)
      const bar = `at most ${Number(times.toFixed(2))} × ${peer}`
      if (sluice === undefined || theirs === undefined) {
        return { row: row.name, bar, measured: 'not measured', pass: undefined }
      }
      const ratio = sluice / theirs
      return { row: row.name, bar, measured: `${ratio.toFixed(2)} × ${peer}`, pass: ratio <= times }
    })
  })
}

export function table(report: Report, verdicts: readonly Verdict[]): string {
  const { machine, proxies, rows } = report
  const grid = [
    ['', '', ...rows.map(({ row }) => row.name)],
    ['', '', ...rows.map(({ row }) => row.unit)],
    ...proxies.map(({ name, version }, index) => [
      name,
      version,
      ...rows.map(({ cells }) => cellText(cells[index])),
    ]),
  ]
  const tls = new Set(proxies.map(proxy => proxy.tls))
  const tlsLines =
    tls.size === 1
      ? `${[...tls].join('')}, P-256 certificate`
      : `not all alike: ${proxies.map(proxy => `${proxy.name} ${proxy.tls}`).join('; ')}`
  return [
    `${machine.cores} cores, ${machine.cpu}, ${machine.kernel}; client's OpenSSL ${machine.openssl}`,
    `TLS: ${tlsLines}`,
    'Median (least – most); CPU is the time that the proxy used, divided by what was done',
    '',
    ...columns(rows.map(({ row }) => [`${row.name}:`, row.title])),
    '',
    ...columns(grid),
    '',
    ...columns([
      ['bar', 'Sluice on Node', 'wanted', ''],
      ...verdicts.map(({ row, bar, measured, pass }) => [row, measured, bar, passText(pass)]),
    ]),
    '',
  ].join('\n')
}

function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return '–'
  return `${digits(cell.median)} (${digits(cell.least)} – ${digits(cell.most)})`
}

function passText(pass: boolean | undefined): string {
  if (pass === undefined) return '–'
  return pass ? 'pass' : 'FAIL'
}

/** Three significant digits at least, and no more behind the point than needed for them. */
export function digits(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

function columns(grid: readonly (readonly string[])[]): string[] {
  const widths = grid.reduce<number[]>((widths, line) => {
    for (const [index, text] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, text.length)
    return widths
  }, [])
  return grid.map(line =>
    line
      .map((text, index) => text.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
