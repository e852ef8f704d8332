// Reads addresses as people write them: `host:port`, `[::1]:443`, `:8080`, a port, `unix:/path`.
import { SluiceError } from '../core/index.ts'
import { type Endpoint, IpAddress, NamedAddress, UnixAddress } from './address.ts'
import { tryIpAddress } from './ip.ts'

/** What `sun_path` of a unix address holds, without its closing zero: 108 bytes on Linux, 104 on BSD and macOS. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103

const FORMS = 'write host:port, [::1]:443, :8080, a port, or unix:/path'

/**
 * Reads an address. What a port alone means depends on its use:
 *
 * | written | to listen | to connect |
 * |---|---|---|
 * | `8080` (text or number) | `127.0.0.1:8080`: exposing it takes a decision | `localhost:8080` |
 * | `:8080` | `[::]:8080`: every address of the machine, IPv6 and IPv4 | `localhost:8080` |
 * | `*:8080` | as `:8080` | refused |
 *
 * IPv4 is four decimal numbers; what merely looks like IPv4 (`127.1`, `0x7f.0.0.1`, `010.0.0.1`) is refused, because
 * resolvers read it in different ways. Host names are those of RFC 1123 in any case, with underscores and a trailing dot.
 *
 * @throws {SluiceError} `ADDRESS_INVALID`
 */
export function parseEndpoint(address: string | number, use: 'listen' | 'connect'): Endpoint {
  const text = String(address)
  if (text.startsWith('unix:')) return new UnixAddress(parsePath(text))
  const refuse = (why: string): never => fail(text, why)
  if (text.includes('://')) return refuse('it is a URL; write only its host and port, such as localhost:8080')
  if (typeof address === 'number' || (/^[^[\]:.]*$/.test(text) && !/[a-z_]/i.test(text)))
    return local(parsePort(text, text, use), use)

  const { host, port: digits } = split(text)
  const port = parsePort(text, digits, use)
  if (host === '' || host === '*') {
    if (use === 'listen') return new IpAddress('ipv6', '::', port)
    return host === '' ? new NamedAddress('localhost', port) : refuse(`* can't be connected to; name a host`)
  }
  if (host.startsWith('[')) {
    const ip = host.includes(':') ? tryIpAddress(host.slice(1, -1), port) : undefined
    return checkUse(ip ?? refuse(`${host} is not an IPv6 address`), text, use)
  }
  const ip = tryIpAddress(host, port)
  return ip === undefined ? new NamedAddress(parseName(text, host), port) : checkUse(ip, text, use)
}

function local(port: number, use: 'listen' | 'connect'): Endpoint {
  return use === 'listen' ? new IpAddress('ipv4', '127.0.0.1', port) : new NamedAddress('localhost', port)
}

/** Host, with brackets if it has them, and port. */
function split(text: string): { host: string; port: string } {
  if (text.startsWith('[')) {
    const end = text.indexOf(']')
    if (end > 0 && text[end + 1] === ':') return { host: text.slice(0, end + 1), port: text.slice(end + 2) }
    return fail(
      text,
      end < 0 ? 'the bracket is not closed' : `it has no port; write ${text.slice(0, end + 1)}:443`,
    )
  }
  const colon = text.lastIndexOf(':')
  if (colon < 0) return fail(text, /^[\w.-]+$/.test(text) ? `it has no port; write ${text}:8080` : FORMS)
  const host = text.slice(0, colon)
  const port = text.slice(colon + 1)
  if (!host.includes(':')) return { host, port }
  // `::1:443` is an address by itself as well: guessing would listen on or connect to something else.
  if (tryIpAddress(host, 0) !== undefined) {
    return fail(text, `an IPv6 address with a port needs brackets; write [${host}]:${port}`)
  }
  return fail(
    text,
    tryIpAddress(text, 0) === undefined
      ? FORMS
      : `an IPv6 address needs brackets and a port; write [${text}]:443`,
  )
}

function parsePort(text: string, digits: string, use: 'listen' | 'connect'): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(digits) ? Number(digits) : 65_536
  if (port > 65_535) {
    return fail(text, `"${digits}" is not a port; write a number from 1 to 65535 without leading zeros`)
  }
  if (port === 0 && use === 'connect') return fail(text, `port 0 can't be connected to; write the port`)
  return port
}

/**
 * A host name in lower case (RFC 1123, section 2.1). Underscores are no part of the RFC, but container names have
 * them. A trailing dot stays: it keeps the resolver from trying search domains.
 */
function parseName(text: string, host: string): string {
  const name = host.toLowerCase()
  const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.')
  if (labels.join('.').length > 253 || !labels.every(label => /^(?!-)[a-z\d_-]{1,63}(?<!-)$/.test(label))) {
    return fail(text, `"${host}" is not a host name; it takes letters, digits, hyphens and dots, in ASCII`)
  }
  // Resolvers read 127.1, 2130706433 and 0x7f.1 as IPv4 addresses; no top-level domain is a number.
  if (/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')) {
    return fail(
      text,
      `"${host}" is neither a name nor an IPv4 address; write four decimal numbers, such as 127.0.0.1`,
    )
  }
  return name
}

/** The addresses that mean "every address" have no meaning as a destination (RFC 1122, section 3.2.1.3). */
function checkUse(address: IpAddress, text: string, use: 'listen' | 'connect'): IpAddress {
  if (use === 'connect' && (address.host === '0.0.0.0' || address.host === '::')) {
    const loopback = address.family === 'ipv4' ? '127.0.0.1' : '[::1]'
    return fail(text, `it can be listened on, not connected to; write ${loopback}:${address.port}`)
  }
  return address
}

/**
 * The path of `unix:/path`, or of `unix:///path` as URLs have it. A relative path would depend on where the program
 * was started; an abstract socket has no permissions, anyone on the machine could connect.
 */
function parsePath(text: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/\//, '/')
  if (path.startsWith('@') || path.startsWith('\0'))
    return fail(text, 'abstract sockets are not supported; write a path')
  if (!path.startsWith('/') || path.startsWith('//') || path === '/') {
    return fail(text, 'a unix socket needs the whole path; write unix:/run/app.sock')
  }
  if (path.includes('\0')) return fail(text, 'the path has a zero byte in it')
  const length = Buffer.byteLength(path)
  if (length > LONGEST_PATH) {
    return fail(
      text,
      `the path has ${length} bytes, and unix sockets take ${LONGEST_PATH}; use a shorter one`,
    )
  }
  return path
}

function fail(text: string, why: string): never {
  throw new SluiceError('ADDRESS_INVALID', `address ${JSON.stringify(text)} can't be read: ${why}`)
}
