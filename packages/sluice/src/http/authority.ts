// Host and port of a request (RFC 9110, section 7.2; RFC 3986, section 3.2).
import { isIPv6 } from 'node:net'
import { allIn, HOST } from './grammar.ts'

/** Whether text is a host with an optional port, and nothing else: no user, no list, no empty name. */
export function isAuthority(text: string): boolean {
  let portAt: number
  if (text.startsWith('[')) {
    const end = text.indexOf(']')
    const address = text.slice(1, end)
    // A zone names an interface of another machine: it can't be meant for us.
    if (end < 0 || address.includes('%') || !isIPv6(address)) return false
    portAt = end + 1
  } else {
    const colon = text.indexOf(':')
    portAt = colon < 0 ? text.length : colon
    if (portAt === 0 || portAt > 255 || !allIn(text, HOST, 0, portAt)) return false
  }
  return portAt === text.length || (text.charCodeAt(portAt) === 0x3a && isPort(text, portAt + 1))
}

/** Whether two authorities mean the same: case and a port that is the scheme's own make no difference. */
export function sameAuthority(one: string, other: string, scheme: string): boolean {
  return one === other || canonical(one, scheme) === canonical(other, scheme)
}

function canonical(authority: string, scheme: string): string {
  const lower = authority.toLowerCase()
  return lower.replace(scheme === 'https' ? /:(443)?$/ : /:(80)?$/, '')
}

function isPort(text: string, from: number): boolean {
  if (text.length - from > 5) return false
  let port = 0
  for (let at = from; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}
