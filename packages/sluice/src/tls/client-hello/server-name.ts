// The host name in the server_name extension (RFC 6066, section 3), with nothing in it that could mislead what uses it.
import type { Cursor } from './cursor.ts'
import { malformed, printable } from './errors.ts'

const HOST_NAME = 0

/** The longest name in DNS, as text. */
const LONGEST_NAME = 255

/**
 * What may stand in a name: letters, digits, hyphens, dots, the underscores that some networks use, and the colons of
 * an IPv6 address, which RFC 6066 forbids but some clients send. No slash, space, quote, control or byte beyond ASCII:
 * names become keys of caches, parts of log lines and, at times, of file names. No empty label, so no `..` either.
 */
const NAME = /^(?!\.)(?!.*\.\.)[A-Za-z0-9._:-]+$/

/**
 * The name as it was sent. The list must hold one name, of the only type that there is: what a second one would mean
 * was never defined, and other servers refuse it too.
 */
export function readServerName(extension: Cursor): string {
  const length = extension.number(2, 'server_name')
  if (length !== extension.left) {
    throw malformed(`has a server_name list of ${length} bytes in ${extension.left}`)
  }
  const type = extension.number(1, 'server_name')
  if (type !== HOST_NAME) throw malformed(`has a server_name of type ${type}; only host_name (0) is defined`)
  const bytes = extension.opaque(2, 1, 'server_name')
  if (extension.left > 0) throw malformed('has more than one server_name')
  const name = bytes.toString('latin1')
  if (!isServerName(name)) {
    throw malformed(`has the server_name "${printable(bytes, 64)}", which is not a host name`)
  }
  return name
}

/** Whether a name is one that is believed to be a name at all. */
export function isServerName(name: string): boolean {
  return name.length <= LONGEST_NAME && NAME.test(name)
}
