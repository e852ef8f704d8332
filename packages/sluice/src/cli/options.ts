// Options that several commands share, and parsers for their values.
import { InvalidArgumentError, Option } from 'commander'
import { isSluiceError, milliseconds } from '../core/index.ts'

/** `--drain-limit 30s` */
export function drainLimitOption(): Option {
  return new Option(
    '--drain-limit <duration>',
    'how long connections may take to finish after SIGTERM or SIGINT',
  )
    .default('30s')
    .argParser(checked(milliseconds))
}

/** `--json` */
export function jsonOption(): Option {
  return new Option('--json', 'log JSON lines, also on a terminal').default(false)
}

/** A list separated by commas: `h2,http/1.1`. */
export function list(text: string): readonly string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

/** Keeps a value as it was written, if a function that reads it takes it; what it throws becomes a usage error. */
export function checked(read: (text: string) => unknown): (text: string) => string {
  return text => {
    try {
      read(text)
      return text
    } catch (error) {
      if (isSluiceError(error)) throw new InvalidArgumentError(error.message)
      throw error
    }
  }
}
