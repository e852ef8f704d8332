// Options that several commands share, and parsers for their values.
import { Option } from 'commander'
import { isSluiceError, milliseconds, SluiceError } from '../core/index.ts'

/** `--drain-limit 30s` */
export function drainLimitOption(): Option {
  return new Option(
    '--drain-limit <duration>',
    'how long connections may take to finish after SIGTERM or SIGINT',
  )
    .default('30s')
    .argParser(checked('--drain-limit', milliseconds))
}

/** `--json` */
export function jsonOption(): Option {
  return new Option('--json', 'log JSON lines, also on a terminal')
}

/** A parser for a list separated by commas: `h2,http/1.1`. */
export function list(option: string): (text: string) => readonly string[] {
  return text => {
    const items = text
      .split(',')
      .map(item => item.trim())
      .filter(item => item !== '')
    if (items.length === 0)
      throw new SluiceError('USAGE', `${option}: the list ${JSON.stringify(text)} is empty`)
    return items
  }
}

/** Keeps a value as it was written, if a function that reads it takes it; what it throws gets the option's name. */
export function checked(option: string, read: (text: string) => unknown): (text: string) => string {
  return text => {
    try {
      read(text)
      return text
    } catch (error) {
      if (isSluiceError(error))
        throw new SluiceError(error.code, `${option}: ${error.message}`, { cause: error })
      throw error
    }
  }
}
