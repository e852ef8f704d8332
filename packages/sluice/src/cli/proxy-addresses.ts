// What `sluice proxy` makes of --from and --to as people write them: the scheme and the port that they left out.
import { SluiceError } from '../core/index.ts'
import { type Endpoint, NamedAddress, parseEndpoint } from '../net/index.ts'

/** Where to listen. */
export interface From {
  /** Undefined if it was not told. */
  readonly scheme: 'https' | 'http' | undefined
  /** The name `localhost` stands for the loopback addresses of both families. */
  readonly listen: Endpoint
}

/** Ports of which it is known what is spoken there, by IANA's registry and by custom. */
const SCHEMES = new Map<number, 'https' | 'http'>([
  [443, 'https'],
  [8443, 'https'],
])

/** The ports of URLs without one. */
const PORTS: Readonly<Record<string, number>> = { https: 443, http: 80, h2c: 80 }

/**
 * Reads `--from`: an address as `sluice tls --listen` takes it, or a URL of http or https, whose port may be left out.
 * A port alone is that port of localhost.
 *
 * @throws {SluiceError} `ADDRESS_INVALID`
 */
export function parseFrom(text: string): From {
  const { scheme, authority } = split(text, ['https', 'http'])
  const listen = /^\d+$/.test(authority)
    ? local(parseEndpoint(authority, 'listen'))
    : parseEndpoint(withPort(authority, scheme), 'listen')
  if (scheme !== undefined) return { scheme: scheme === 'http' ? 'http' : 'https', listen }
  const isPlain = listen.family !== 'unix' && listen.port === 80
  return { scheme: isPlain ? 'http' : undefined, listen }
}

function local(address: Endpoint): Endpoint {
  return address.family === 'unix' ? address : new NamedAddress('localhost', address.port)
}

/**
 * Reads `--to`, and gives the URL that a reverse proxy takes. Without a scheme it is https for the ports 443 and 8443,
 * and http for others.
 *
 * @throws {SluiceError} `ADDRESS_INVALID`
 */
export function parseTo(text: string): string {
  const { scheme, authority } = split(text, ['http', 'https', 'h2c'])
  if (scheme !== undefined) {
    parseEndpoint(withPort(authority, scheme), 'connect')
    return `${scheme}://${authority.toLowerCase()}`
  }
  const to = parseEndpoint(authority, 'connect')
  return to.family === 'unix' ? String(to) : `${SCHEMES.get(to.port) ?? 'http'}://${to}`
}

/**
 * Whether an argument where a command is expected means an upstream, as in `sluice 3000`: a port, a URL, or an address with
 * a port. What is a word may be a command misspelled; what begins with a dot or a slash is a path.
 */
export function looksLikeUpstream(argument: string): boolean {
  return /^(?:localhost$|\d|:|\[)|^[^./-][^/]*:/.test(argument)
}

interface Split {
  /** In lower case; undefined if there is none. */
  readonly scheme: string | undefined
  readonly authority: string
}

function split(text: string, schemes: readonly string[]): Split {
  if (text.startsWith('unix:')) return { scheme: undefined, authority: text }
  const [, written, rest = ''] = /^(?:([a-z][a-z\d+.-]*):\/\/)?(.*)$/is.exec(text) ?? []
  const scheme = written?.toLowerCase()
  if (scheme !== undefined && !schemes.includes(scheme)) {
    const list = `${schemes.slice(0, -1).join('://, ')}:// or ${schemes.at(-1)}://`
    refuse(text, `its scheme is not one of those that are spoken here; write ${list}`)
  }
  const authority = rest.replace(/[/?#].*$/s, '')
  if (authority === '') refuse(text, 'it names nothing; write a port, or host:port')
  const path = rest.slice(authority.length)
  if (path !== '' && path !== '/') {
    const plain = text.slice(0, text.length - path.length)
    refuse(text, `it has a path, and paths are handed on as they come; write ${plain}`)
  }
  if (authority.includes('@')) refuse(text, 'it has a user in it; write only its host and port')
  if (scheme === undefined && /^[a-z][\w.-]*$/i.test(authority))
    refuse(text, `it has neither port nor scheme; write ${authority}:8080, or https://${authority}`)
  return { scheme, authority }
}

function withPort(authority: string, scheme: string | undefined): string {
  if (scheme === undefined || /:\d*$/.test(authority.replace(/^\[.*\]/, ''))) return authority
  return `${authority}:${PORTS[scheme]}`
}

function refuse(text: string, why: string): never {
  throw new SluiceError('ADDRESS_INVALID', `address ${JSON.stringify(text)} can't be read: ${why}`)
}
