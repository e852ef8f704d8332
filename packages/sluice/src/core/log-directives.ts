// The language of `SLUICE_LOG`: a level for everything, and levels for targets, separated by commas.

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const

export type LogLevel = (typeof LEVELS)[number]

export interface LogDirectives {
  /** The level of a target: that of the longest directive that names it or a part above it (`tls` names `tls.accept`). */
  levelOf(target: string): LogLevel
  /** What could not be understood, and was left out. */
  readonly warnings: readonly string[]
}

/**
 * Reads directives such as `info,tls=debug,proxy-protocol=trace`. What can't be understood becomes a warning and is
 * left out: a wrong log level must not keep a proxy from starting.
 */
export function parseLogDirectives(text: string): LogDirectives {
  const levels = new Map<string, LogLevel>()
  const warnings: string[] = []
  let general: LogLevel = 'info'
  for (const directive of text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')) {
    const [left = '', right, ...rest] = directive.split('=').map(part => part.trim())
    const level = asLevel(right ?? left)
    if (level === undefined || rest.length > 0 || left === '') {
      warnings.push(
        `log directive "${directive}" is left out: write a level (${LEVELS.join(', ')}) or target=level, separated by commas`,
      )
    } else if (right === undefined) general = level
    else levels.set(left, level)
  }
  return {
    warnings,
    levelOf(target) {
      for (let name = target; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
        const level = levels.get(name)
        if (level !== undefined) return level
      }
      return general
    },
  }
}

function asLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase()
  return lower === 'off' ? 'silent' : LEVELS.find(level => level === lower)
}
