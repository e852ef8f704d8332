// Draws a report as bars in SVG: a panel for each row, since each has a unit of its own, and a bar for each proxy.
import type { Report } from './benchmark.ts'
import { type Cell, digits } from './table.ts'

const WIDTH = 960
const MARGIN = 24
const HEADING = 64
const COLUMNS = 2
const PANEL_WIDTH = (WIDTH - MARGIN * (COLUMNS + 1)) / COLUMNS
const TITLE = 44
const BAR = 16
const PITCH = 21
const LABEL = 130
const VALUE = 64
const BARS = PANEL_WIDTH - LABEL - VALUE

const STYLE = `
  svg { background: #fff }
  text { font: 12px system-ui, sans-serif; fill: #24292f; stroke: #fff; stroke-width: 3; paint-order: stroke }
  .heading { font-size: 18px; font-weight: 600 }
  .title { font-weight: 600 }
  .quiet { fill: #57606a }
  .ours { fill: #0969da } .ours-text { font-weight: 600 }
  .others { fill: #afb8c1 }
  .spread { stroke: #57606a; stroke-width: 1 }
  .limit { stroke: #cf222e; stroke-width: 1; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 }
    text { fill: #e6edf3; stroke: #0d1117 } .quiet { fill: #9198a1 }
    .ours { fill: #4493f8 } .others { fill: #4b535d }
    .spread { stroke: #9198a1 } .limit { stroke: #f85149 }
  }
`

export function plot(report: Report): string {
  const { machine, rows } = report
  // Panels lie in columns; each goes where the least is yet.
  const bottoms = Array.from({ length: COLUMNS }, () => HEADING)
  const panels = rows.flatMap(({ row, cells }) => {
    const bars = report.proxies.flatMap(({ name }, index) => {
      const cell = cells[index]
      return cell === undefined ? [] : [{ name, cell }]
    })
    if (bars.length === 0) return []
    const column = bottoms.indexOf(Math.min(...bottoms))
    const top = bottoms[column] ?? 0
    bottoms[column] = top + TITLE + bars.length * PITCH + MARGIN
    const left = MARGIN + column * (PANEL_WIDTH + MARGIN)
    return `<g transform="translate(${left} ${top})">${panel(row, bars)}</g>`
  })
  const height = Math.max(...bottoms)
  const about = `${machine.cores} cores, ${machine.cpu}; ${report.date.slice(0, 10)}. Less is better. Lines: least to most; dashed: where Sluice may be.`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>${escaped(report.title)}: Sluice and others</title>
<style>${STYLE}</style>
<text class="heading" x="${MARGIN}" y="30">${escaped(report.title)}</text>
<text class="quiet" x="${MARGIN}" y="50">${escaped(about)}</text>
${panels.join('\n')}
</svg>
`
}

interface Bar {
  readonly name: string
  readonly cell: Cell
}

function panel(row: Report['rows'][number]['row'], bars: readonly Bar[]): string {
  const limits = row.bars.flatMap(bar => {
    if ('atMost' in bar) return [bar.atMost]
    const peer = bars.find(({ name }) => name === bar.peer)
    return peer === undefined ? [] : [peer.cell.median * bar.times]
  })
  const limit = limits.length === 0 ? undefined : Math.min(...limits)
  const most = Math.max(...bars.map(({ cell }) => cell.most), limit ?? 0, Number.MIN_VALUE)
  // A difference can be below nothing, where all is noise.
  const x = (value: number): string => (LABEL + (Math.max(0, value) / most) * BARS).toFixed(1)
  const middle = (index: number): number => TITLE + index * PITCH + BAR / 2
  const shapes = bars.map(({ name, cell }, index) => {
    const width = (Number(x(cell.median)) - LABEL).toFixed(1)
    const kind = isOurs(name) ? 'ours' : 'others'
    return [
      `<rect class="${kind}" x="${LABEL}" y="${middle(index) - BAR / 2}" width="${width}" height="${BAR}" rx="2"/>`,
      `<line class="spread" x1="${x(cell.least)}" y1="${middle(index)}" x2="${x(cell.most)}" y2="${middle(index)}"/>`,
    ].join('')
  })
  const labels = bars.map(({ name, cell }, index) => {
    const y = middle(index) + 4
    const kind = isOurs(name) ? ' class="ours-text"' : ''
    return [
      `<text x="${LABEL - 8}" y="${y}" text-anchor="end"${kind}>${escaped(name)}</text>`,
      `<text x="${(Number(x(cell.most)) + 6).toFixed(1)}" y="${y}"${kind}>${digits(cell.median)}</text>`,
    ].join('')
  })
  const bottom = TITLE + bars.length * PITCH
  const mark =
    limit === undefined
      ? ''
      : `<line class="limit" x1="${x(limit)}" y1="${TITLE - 4}" x2="${x(limit)}" y2="${bottom}"/>`
  return [
    `<text class="title" x="0" y="16">${escaped(row.title)}</text>`,
    `<text class="quiet" x="0" y="33">${escaped(row.unit)}</text>`,
    ...shapes,
    mark,
    ...labels,
  ].join('\n')
}

function isOurs(name: string): boolean {
  return name.startsWith('sluice')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
