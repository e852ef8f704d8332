// The fields of a request as the upstream gets them: what belongs to one connection is taken off (RFC 9110, section
// 7.6.1), and what says who the client is is made here, or extended where a trusted proxy began it.
import type { Address, Connection } from '../../net/index.ts'
import { parseForwarded } from '../forwarded/element.ts'
import { equalsIgnoringCase, membersOf } from '../grammar.ts'
import type { HeaderList } from '../headers.ts'
import type { ForwardedClient } from '../layers/trust-forwarded.ts'
import type { HttpRequest } from '../request.ts'

/** What layers may have found out about the client. */
interface KnownClient {
  readonly connection: Connection & {
    readonly proxied?: { readonly claimed: boolean; readonly source: Address } | undefined
  }
  readonly client?: ForwardedClient | undefined
  readonly requestId?: string | undefined
}

/**
 * Fields that Connection can't take away: they say who the client is or what it may do, or frame the message. Any field
 * that a layer has added stays as well.
 */
const KEPT =
  /^(?:authorization|(?:set-)?cookie|origin|referer|forwarded|via|range|www-authenticate|cache-control|strict-transport-security|(?:permissions|referrer)-policy|(?:access-control|content|cross-origin|if|remote|sec|ssl)-.*|x-(?:auth|client|content-type|csrf|forwarded|frame|real|remote|request|ssl|user|xsrf).*)$/

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
 * The fields of a request for an upstream: without what is about the client's connection, and with who the client is.
 * X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239) and Via that came from strangers are replaced; from a client
 * that `trustForwarded` trusts, they are kept and extended.
 *
 * @param keepUnderscores whether fields with an underscore in their name are handed on; those with a dot or another
 *   sign that some applications take for a dash never are
 */
export function requestFields(request: HttpRequest, keepUnderscores: boolean): HeaderList {
  const { headers } = request
  const { client, requestId } = request as unknown as KnownClient
  const trusted = client?.trusted === true ? client : undefined
  const untrusted = trusted === undefined ? IDENTITY : OTHER_KIND[trusted.fields ?? 'both']
  const connection = headers.get('connection')
  const named = connection === undefined ? undefined : namedBy(connection)
  const fields = headers.without((text, start, end, added) => {
    if (isConnectionField(text, start, end)) return true
    if (!added && mayBeAlias(text, start, end, keepUnderscores)) return true
    if (named === undefined && !mayBeIdentity(text, start)) return false
    const name = text.slice(start, end)
    if (!added && named?.has(name.toLowerCase()) === true) return true
    return !added && untrusted.test(keepUnderscores ? name.replaceAll('_', '-') : name)
  })
  addIdentity(fields, request, trusted)
  // The one thing that a client says of its connection that upstreams need to hear (gRPC).
  if (wantsTrailers(headers)) fields.appendProved('te', 'trailers')
  if (requestId !== undefined) fields.set('x-request-id', requestId)
  return fields
}

/** Hop-by-hop fields, those that are made anew for the next connection, and Host, which is told beside the fields. */
function isConnectionField(text: string, start: number, end: number): boolean {
  switch (end - start) {
    case 2:
      return equalsIgnoringCase(text, start, end, 'te')
    case 4:
      return equalsIgnoringCase(text, start, end, 'host')
    case 5:
      // No field of HTTP, but CGI makes the variable HTTP_PROXY of it, which its clients obey (CVE-2016-5385).
      return equalsIgnoringCase(text, start, end, 'proxy')
    case 6:
      return equalsIgnoringCase(text, start, end, 'expect')
    case 7:
      return equalsIgnoringCase(text, start, end, 'upgrade')
    case 10:
      return (
        equalsIgnoringCase(text, start, end, 'connection') ||
        equalsIgnoringCase(text, start, end, 'keep-alive')
      )
    case 14:
      return (
        equalsIgnoringCase(text, start, end, 'content-length') ||
        equalsIgnoringCase(text, start, end, 'http2-settings')
      )
    case 16:
      return equalsIgnoringCase(text, start, end, 'proxy-connection')
    case 17:
      return equalsIgnoringCase(text, start, end, 'transfer-encoding')
    default:
      return false
  }
}

/**
 * Underscores are dashes to many applications (CGI, WSGI): `X_Forwarded_For` would pass for the field of a proxy. To some,
 * and so would `X.Forwarded.For`: every character but letters and digits. nginx drops such names, too.
 */
function mayBeAlias(text: string, start: number, end: number, keepUnderscores: boolean): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    const letter = code | 0x20
    if ((letter >= 0x61 && letter <= 0x7a) || code === 0x2d || (code >= 0x30 && code <= 0x39)) continue
    if (code !== 0x5f || !keepUnderscores) return true
  }
  return false
}

/** Whether a name begins as those in `IDENTITY` do: with f, t, v or x. */
function mayBeIdentity(text: string, start: number): boolean {
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

/** The fields that Connection names, in lower case; undefined where it names none that can be taken away. */
function namedBy(connection: string): ReadonlySet<string> | undefined {
  const lower = connection.toLowerCase()
  if (lower === 'keep-alive' || lower === 'close' || lower === 'upgrade') return undefined
  const names = membersOf(lower).filter(name => !KEPT.test(name))
  return names.length === 0 ? undefined : new Set(names)
}

/** @param trusted who the client is, where a trusted proxy has told of it; its fields are extended */
function addIdentity(fields: HeaderList, request: HttpRequest, trusted: ForwardedClient | undefined): void {
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

function wantsTrailers(headers: HeaderList): boolean {
  const te = headers.get('te')
  return te !== undefined && /(?:^|,)[ \t]*trailers[ \t]*(?:;|,|$)/i.test(te)
}

/** The fields of an answer as the client gets them. */
export function responseFields(headers: HeaderList): HeaderList {
  const connection = headers.get('connection')
  const named = connection === undefined ? undefined : namedBy(connection)
  return headers.without((text, start, end) => {
    switch (end - start) {
      case 2:
      case 7:
      case 10:
      case 16:
      case 17:
        if (isConnectionField(text, start, end)) return true
        break
      default:
    }
    return named?.has(text.slice(start, end).toLowerCase()) === true
  })
}
