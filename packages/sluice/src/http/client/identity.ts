// The fields that say who the client is: made here, or extended where a trusted proxy began them.
import type { Address, Connection } from '../../net/index.ts'
import { parseForwarded } from '../forwarded/element.ts'
import type { HeaderList } from '../headers.ts'
import type { ForwardedClient } from '../layers/trust-forwarded.ts'
import type { HttpRequest } from '../request.ts'

/** What layers may have found out about the client. */
export interface KnownClient {
  readonly connection: Connection & {
    readonly proxied?: { readonly claimed: boolean; readonly source: Address } | undefined
  }
  readonly client?: ForwardedClient | undefined
  readonly requestId?: string | undefined
}

/** Fields with which proxies tell who a client is: believed by applications, so never taken from strangers. */
const IDENTITY =
  /^(?:x-forwarded(?:-.*)?|forwarded|x-real-ip|x-client-ip|true-client-ip|x-cluster-client-ip|via)$/i

/** Where a proxy is trusted with one kind of fields, it may hand on the other as a stranger sent it. */
const OTHER_KIND = {
  forwarded: /^x-forwarded(?:-.*)?$/i,
  'x-forwarded': /^forwarded$/i,
  both: /^$/,
} as const

/**
 * Which fields about the client are not to be believed.
 *
 * @param trusted who the client is, where a trusted proxy has told of it
 */
export function untrustedFields(trusted: ForwardedClient | undefined): RegExp {
  return trusted === undefined ? IDENTITY : OTHER_KIND[trusted.fields ?? 'both']
}

/** Whether a name begins as those in `IDENTITY` do: with f, t, v or x. */
export function mayBeIdentity(text: string, start: number): boolean {
  switch (text.charCodeAt(start) | 0x20) {
    case 0x66:
    case 0x74:
    case 0x76:
    case 0x78:
      return true
    default:
      return false
  }
}

/**
 * Adds the fields that say who the client is.
 *
 * @param trusted who it is, where a trusted proxy has told of it; its fields are extended
 */
export function addIdentity(
  fields: HeaderList,
  request: HttpRequest,
  trusted: ForwardedClient | undefined,
): void {
  const { connection, authority, scheme, version } = request
  const { proxied } = connection as KnownClient['connection']
  const source = proxied?.claimed === true ? proxied.source : connection.peer
  const host = source.family === 'unix' ? 'unknown' : source.host
  const via = `${version} sluice`
  const forwarded = forwardedElement(source, authority, scheme)
  if (trusted === undefined) {
    if (source.family !== 'unix') fields.appendProved('x-forwarded-for', host)
    fields.appendProved('x-forwarded-proto', scheme)
    if (authority !== undefined) fields.appendProved('x-forwarded-host', authority)
    fields.appendProved('forwarded', forwarded)
    fields.appendProved('via', via)
    return
  }
  // A chain is extended where there is one. Where there is only the other, a new one would begin with the proxy, and hide
  // the client from those who read it.
  const chain = fields.get('x-forwarded-for')
  const standard = wellFormed(fields.getAll('forwarded'))
  fields.delete('forwarded')
  if (chain !== undefined || standard === undefined) extend(fields, 'x-forwarded-for', chain, host)
  if (standard !== undefined || chain === undefined) extend(fields, 'forwarded', standard, forwarded)
  extend(fields, 'via', fields.get('via'), via)
  if (!fields.has('x-forwarded-proto')) fields.appendProved('x-forwarded-proto', trusted.scheme)
  if (trusted.host !== undefined && !fields.has('x-forwarded-host')) {
    fields.appendProved('x-forwarded-host', trusted.host)
  }
}

/**
 * Forwarded in one line, as far back as it is well formed: a quote that a stranger left open would draw in what comes after
 * it.
 */
function wellFormed(lines: readonly string[]): string | undefined {
  let from = lines.length
  while (from > 0 && parseForwarded(lines[from - 1] as string) !== undefined) from--
  return from === lines.length ? undefined : lines.slice(from).join(', ')
}

/** RFC 7239, section 4. */
function forwardedElement(source: Address, authority: string | undefined, scheme: string): string {
  let element: string
  if (source.family === 'ipv4') element = `for=${source.host}`
  else if (source.family === 'ipv6') element = `for="[${source.host}]"`
  else element = 'for=unknown'
  // A host is a token or, with a port, a quoted string; what may stand in one needs no escape.
  if (authority !== undefined) element += `;host="${authority}"`
  return `${element};proto=${scheme}`
}

function extend(fields: HeaderList, name: string, before: string | undefined, value: string): void {
  if (before === undefined) fields.appendProved(name, value)
  else fields.set(name, `${before}, ${value}`)
}
