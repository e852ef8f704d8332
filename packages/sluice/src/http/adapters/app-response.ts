// An answer as an application of Node makes it: a real `http.ServerResponse`, whose head is taken as fields instead of
// as text, and whose body is written to its socket as it is.
//
// Frameworks set prototypes of their own on it (Express does), so that nothing can be changed in a subclass. Two
// properties on the object itself do it: `_storeHeader`, which `writeHead` calls with all fields, and which every
// version of Node and Bun has; and `writableNeedDrain`. All else is the platform's own: who may write when, which
// answers have no body, callbacks, `finish`.
import { type IncomingMessage, OutgoingMessage, ServerResponse } from 'node:http'
import { HeaderList } from '../headers.ts'

/** The parts of a response that Node and Bun do not document. */
interface Internals {
  _header: string | null
  _headerSent: boolean
  _hasBody: boolean
  _contentLength: number | null
  _trailer: string
  _storeHeader(line: string, fields: unknown): void
  /** Documented, and missing in the types. */
  getRawHeaderNames(): string[]
}

type Response = ServerResponse & Internals

/** The socket that a response is assigned to. */
export interface ResponseSocket {
  readonly needsDrain: boolean
  /** The head of the answer is complete. */
  takeHead(status: number, headers: HeaderList, bodiless: boolean): void
}

export function appResponse(request: IncomingMessage, socket: ResponseSocket): ServerResponse {
  const response = new ServerResponse(request) as Response
  // It takes 2.0 for older than 1.1, and Bun then forbids trailers.
  response.useChunkedEncodingByDefault = true
  response._storeHeader = storeHeader
  Object.defineProperty(response, 'writableNeedDrain', NEEDS_DRAIN)
  response.assignSocket(socket as unknown as Parameters<ServerResponse['assignSocket']>[0])
  return response
}

/** The platform's own is reset by its own sockets only. */
const NEEDS_DRAIN: PropertyDescriptor = {
  configurable: true,
  get(this: ServerResponse) {
    const socket = this.socket as unknown as ResponseSocket | null
    return !this.destroyed && !this.writableEnded && socket?.needsDrain === true
  },
}

function storeHeader(this: Response, _line: string, given: unknown): void {
  const headers = fieldsOf(this, given)
  const length = headers.get('content-length')
  if (length !== undefined) this._contentLength = Number(length)
  this.chunkedEncoding = false
  // It stands for a head that has been sent, so that none is put before the body.
  this._header = ' '
  this._headerSent = true
  const socket = this.socket as unknown as ResponseSocket | null
  socket?.takeHead(this.statusCode, headers, !this._hasBody)
}

/** All fields of a head: those that were set one by one, with those of `writeHead` merged in, or the latter alone. */
function fieldsOf(response: Response, given: unknown): HeaderList {
  const headers = new HeaderList()
  const names = response.getRawHeaderNames()
  if (names.length > 0) {
    for (const name of names) add(headers, name, response.getHeader(name))
  } else if (Array.isArray(given)) {
    if (Array.isArray(given[0])) for (const [name, value] of given) add(headers, name, value)
    else for (let at = 0; at < given.length; at += 2) add(headers, given[at], given[at + 1])
  } else if (typeof given === 'object' && given !== null) {
    for (const [name, value] of Object.entries(given)) add(headers, name, value)
  }
  return headers
}

/** @throws {SluiceError} `HTTP_HEADER_INVALID` */
function add(headers: HeaderList, name: string, value: unknown): void {
  if (Array.isArray(value)) for (const one of value) add(headers, name, one)
  else
    headers.append(name, typeof value === 'string' || value === undefined ? (value as string) : String(value))
}

/** The trailer fields of a response, which the platform has checked and keeps as text; undefined if there are none. */
export function trailersOf(response: ServerResponse): HeaderList | undefined {
  const text = (response as Response)._trailer
  return text === '' ? undefined : fieldsIn(text)
}

/** Fields from their lines, as the platform makes them. */
export function fieldsIn(lines: string): HeaderList {
  const headers = new HeaderList()
  for (const line of lines.split('\r\n')) {
    if (line === '') continue
    const colon = line.indexOf(':')
    headers.append(line.slice(0, Math.max(colon, 0)), line.slice(colon + 1))
  }
  return headers
}

/** What the platform passes on for a callback where the application gave none. */
const NO_CALLBACK = ((): unknown => {
  let given: unknown
  const message = new OutgoingMessage()
  Object.assign(message, {
    _header: ' ',
    _headerSent: true,
    _writeRaw: (_data: unknown, _encoding: unknown, callback: unknown) => {
      given = callback
      return true
    },
  })
  message.write('x')
  return given
})()

/**
 * Whether an application may write over a buffer when its callback is called. It is told so earlier than the system has
 * taken the bytes, so they must be copied. The platform's own callbacks, as most writes have, change nothing.
 */
export function mayReuse(callback: ((error?: Error | null) => void) | undefined): boolean {
  return callback !== undefined && callback !== NO_CALLBACK && callback.name !== 'bound onFinish'
}
