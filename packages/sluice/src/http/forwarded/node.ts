// A node in Forwarded (RFC 7239, section 6): an address, or a name that hides one.
import { type IpAddress, tryIpAddress } from '../../net/index.ts'

const PORT = /^(?:\d{1,5}|_[\w.-]+)$/
const HIDDEN = /^(?:unknown|_[\w.-]+)$/i

/**
 * The address of a node; `hidden` for `unknown` and for names such as `_gateway`, which stand for an address that is
 * not told. A port that is not told, or only by a name, is 0.
 *
 * @param bareIpv6 takes IPv6 without brackets, too, as X-Forwarded-For has it
 * @returns undefined for what is no node
 */
export function parseNode(text: string, bareIpv6: boolean = false): IpAddress | 'hidden' | undefined {
  if (text.startsWith('[')) {
    const end = text.indexOf(']')
    const host = text.slice(1, end)
    if (end < 0 || !host.includes(':')) return undefined
    return end + 1 === text.length ? address(host, 0) : withPort(host, text, end + 1)
  }
  const colon = text.indexOf(':')
  if (colon < 0) return address(text, 0) ?? (HIDDEN.test(text) ? 'hidden' : undefined)
  if (text.indexOf(':', colon + 1) >= 0) return bareIpv6 ? address(text, 0) : undefined
  const host = text.slice(0, colon)
  const at = withPort(host, text, colon)
  if (at !== undefined) return at
  return HIDDEN.test(host) && PORT.test(text.slice(colon + 1)) ? 'hidden' : undefined
}

function withPort(host: string, text: string, colon: number): IpAddress | undefined {
  const written = text.slice(colon + 1)
  if (text[colon] !== ':' || !PORT.test(written)) return undefined
  const port = written.startsWith('_') ? 0 : Number(written)
  return port > 65_535 ? undefined : address(host, port)
}

/** A zone names an interface of another machine: it can't be meant for us. */
function address(host: string, port: number): IpAddress | undefined {
  const found = tryIpAddress(host, port)
  return found?.zone === undefined ? found : undefined
}
