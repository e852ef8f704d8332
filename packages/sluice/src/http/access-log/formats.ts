// An exchange as one line: JSON, Apache's combined format, or for people at a terminal.
import type { Address, Connection } from '../../net/index.ts'
import type { HttpRequest, RequestNotes, RequestOutcome } from '../request.ts'
import { hexEscaped, jsonText } from './escape.ts'
import { clockTime, commonLogTime, decimal, isoTime } from './times.ts'

/** One exchange that is over. */
export interface AccessEntry {
  /** When the request came, in milliseconds since 1970. */
  readonly time: number
  readonly request: HttpRequest
  readonly outcome: RequestOutcome
}

/** Makes a line, with its line end, of ASCII alone. */
export type AccessFormat = (entry: AccessEntry) => string

/** What layers above may have proved of the connection, and layers below of the request. */
interface KnownConnection extends Connection {
  readonly proxied?: { readonly claimed: boolean; readonly source: Address } | undefined
  readonly tls?:
    | { readonly version: string; readonly cipher: string; readonly serverName: string | undefined }
    | undefined
}
interface KnownRequest {
  readonly client?: { readonly address: Address | undefined } | undefined
  readonly requestId?: string | undefined
}

const NO_NOTES: Partial<RequestNotes> = {}

/**
 * A JSON object. By hand: JSON.stringify of the same fields takes more than twice as long. What a connection has in all its
 * lines is made once.
 */
export function jsonLine({ time, request, outcome }: AccessEntry): string {
  const { headers, authority } = request
  const { client, requestId } = request as KnownRequest
  const fields = fieldsOf(request.connection)
  const notes = request.notes ?? NO_NOTES

  let line = `{"time":"${isoTime(time)}"`
  line += client === undefined ? fields.client : `,"client":${jsonText(clientOf(request))}${fields.peer}`
  line += `,"method":"${request.method}"`
  if (authority !== undefined) line += `,"host":${jsonText(authority)}`
  line += `,"target":${jsonText(request.target)},"version":"${request.version}"`
  if (outcome.status !== undefined) line += `,"status":${outcome.status}`
  line += `,"received":${outcome.received},"sent":${outcome.sent},"duration":${decimal(outcome.duration)}`
  if (notes.connected !== undefined) line += `,"connected":${decimal(notes.connected)}`
  if (notes.responded !== undefined) line += `,"responded":${decimal(notes.responded)}`
  if (outcome.answered !== undefined) line += `,"answered":${decimal(outcome.answered)}`
  if (notes.upstream !== undefined) line += upstreamFieldOf(notes.upstream)
  if (notes.attempts !== undefined) line += `,"attempts":${notes.attempts}`
  line += fields.rest
  if (requestId !== undefined) line += `,"requestId":${jsonText(requestId)}`
  const userAgent = headers.get('user-agent')
  if (userAgent !== undefined) line += `,"userAgent":${jsonText(userAgent)}`
  const referer = headers.get('referer')
  if (referer !== undefined) line += `,"referer":${jsonText(referer)}`
  const code = outcome.error ?? notes.error
  if (code !== undefined) line += `,"error":${jsonText(code)}`
  return `${line}}\n`
}

/** Fields that are the same in the lines of all requests of a connection, as JSON with a comma before each. */
interface ConnectionFields {
  /** Who the client is, unless a request knows better; `peer` too where that is a claim. */
  readonly client: string
  readonly peer: string
  /** TLS, and the id. */
  readonly rest: string
}

const known = new WeakMap<Connection, ConnectionFields>()

function fieldsOf(connection: KnownConnection): ConnectionFields {
  const before = known.get(connection)
  if (before !== undefined) return before
  const { peer: observed, proxied, tls, id } = connection
  // Beside what is claimed, what was observed.
  const peer = `,"peer":${jsonText(String(observed))}`
  const client = `,"client":${jsonText(hostOf(proxied?.source ?? observed))}${proxied === undefined ? '' : peer}`
  let rest = ''
  if (tls !== undefined) {
    rest = `,"tls":"${tls.version}","cipher":"${tls.cipher}"`
    if (tls.serverName !== undefined) rest += `,"serverName":${jsonText(tls.serverName)}`
  }
  rest += `,"connection":"${id}"`
  const fields = { client: inOnePiece(client), peer: inOnePiece(peer), rest: inOnePiece(rest) }
  known.set(connection, fields)
  return fields
}

let lastUpstream = ''
let upstreamField = ''

/** Few upstreams have many requests. */
function upstreamFieldOf(upstream: string): string {
  if (upstream !== lastUpstream) {
    lastUpstream = upstream
    upstreamField = inOnePiece(`,"upstream":${jsonText(upstream)}`)
  }
  return upstreamField
}

const ANYTHING = /^/

/** V8 keeps a string that is put together as a tree, and walks it for each line, until somebody looks into it once. */
function inOnePiece(text: string): string {
  ANYTHING.test(text)
  return text
}

/**
 * Apache's combined format, `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`, with what is unsafe escaped as nginx does.
 */
export function combinedLine({ time, request, outcome }: AccessEntry): string {
  const { method, target, version, headers } = request
  const requestLine = `${method} ${hexEscaped(target)} HTTP/${version === '2' ? '2.0' : version}`
  const status = outcome.status ?? '-'
  const sent = outcome.sent === 0 ? '-' : outcome.sent
  const referer = quoted(headers.get('referer'))
  const userAgent = quoted(headers.get('user-agent'))
  // A path can have spaces, and a space ends the column.
  const client = hexEscaped(clientOf(request)).replaceAll(' ', '\\x20')
  return `${client} - - [${commonLogTime(time)}] "${requestLine}" ${status} ${sent} ${referer} ${userAgent}\n`
}

function quoted(value: string | undefined): string {
  return value === undefined ? '"-"' : `"${hexEscaped(value)}"`
}

/** Time, method, target, status, duration, and the code of what went wrong; in colour if wanted. */
export function prettyLine(colour: boolean): AccessFormat {
  const paint = (code: number, text: string): string => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  return ({ time, request, outcome }) => {
    const { status, duration } = outcome
    const took = duration < 1000 ? `${duration.toFixed(1)} ms` : `${(duration / 1000).toFixed(2)} s`
    const code = outcome.error ?? request.notes?.error
    const parts = [
      paint(2, clockTime(time)),
      paint(1, request.method.padEnd(4)),
      hexEscaped(request.target),
      paint(colourOf(status), status === undefined ? '---' : String(status)),
      paint(2, took),
    ]
    if (code !== undefined) parts.push(paint(31, code))
    return `${parts.join(' ')}\n`
  }
}

/** Green for what went well, cyan for what is elsewhere, yellow for the client's mistakes, red for ours. */
function colourOf(status: number | undefined): number {
  if (status === undefined || status >= 500) return 31
  return status >= 400 ? 33 : status >= 300 ? 36 : 32
}

/** Who the client is, by the best that is known: what trusted proxies say, a believed PROXY header, the peer. */
function clientOf(request: HttpRequest): string {
  const { client } = request as KnownRequest
  const connection: KnownConnection = request.connection
  return hostOf(client === undefined ? (connection.proxied?.source ?? connection.peer) : client.address)
}

function hostOf(address: Address | undefined): string {
  // Trusted proxies do not tell.
  if (address === undefined) return '-'
  return address.family === 'unix' ? `unix:${address.path}` : address.host
}
