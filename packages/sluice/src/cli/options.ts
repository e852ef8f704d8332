// Options that several commands share, and parsers for their values.
import { Option } from 'commander'
import { isSluiceError, milliseconds, SluiceError } from '../core/index.ts'
import { networks } from '../net/index.ts'

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

/** `--send-proxy v2` */
export function sendProxyOption(): Option {
  return new Option(
    '--send-proxy <version>',
    'tell the backend who the client is with a PROXY header',
  ).choices(['v1', 'v2'])
}

/** `--accept-proxy 10.0.0.0/8,loopback` */
export function acceptProxyOption(): Option {
  return networksOption(
    '--accept-proxy',
    'require a PROXY header, and believe it from these networks, such as 10.0.0.0/8,loopback',
  )
}

/** Networks, separated by commas or in several options of the same name, in any order. */
export function networksOption(name: string, description: string): Option {
  return new Option(`${name} <networks>`, description).argParser(
    (text: string, previous: readonly string[] | undefined) => {
      const items = list(name)(text)
      checked(name, () => networks(items))(text)
      return [...(previous ?? []), ...items]
    },
  )
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
