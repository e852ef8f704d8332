// Names that a certificate can be for: host names (RFC 1123, section 2.1) and IP addresses.
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { SluiceError } from '../../core/index.ts'

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const LONGEST_NAME = 253

/** Whether it is a host name in lower case: labels of letters, digits and inner hyphens, the last not all digits. */
export function isHostName(name: string): boolean {
  if (name.length > LONGEST_NAME) return false
  const labels = name.split('.')
  return labels.every(label => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '')
}

/**
 * A name as it stands in a certificate: lower case, international names in their ASCII form, a wildcard as the first
 * label if there is one.
 *
 * @throws {SluiceError} `TLS_OPTION_INVALID` if it is neither a host name nor an IP address
 */
export function certificateName(name: string): string {
  if (isIP(name) !== 0) return name
  const [, wildcard = '', rest = ''] = /^(\*\.)?(.*)$/s.exec(name) ?? []
  const ascii = /^[\x20-\x7e]*$/.test(rest) ? rest.toLowerCase() : domainToASCII(rest)
  if (isHostName(ascii)) return wildcard + ascii
  throw new SluiceError(
    'TLS_OPTION_INVALID',
    `${JSON.stringify(name)} is not a name that a certificate can be for; ` +
      'write a host name, *.host.name, or an IP address',
  )
}
