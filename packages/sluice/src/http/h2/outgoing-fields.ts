// The fields of an answer as node:http2 takes them: names in lower case, several of one name in a list. The names are
// the program's own.
import type { OutgoingHttpHeaders } from 'node:http2'
import { httpDate } from '../date.ts'
import type { HeaderList } from '../headers.ts'
import type { HttpResponse } from '../response.ts'

/** Fields of an answer that HTTP/2 must not carry (RFC 9113, 8.2.2). */
const UNSENT = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te'])

/** The head of an answer, with a Date. */
export function outgoingHeaders({ status, headers }: HttpResponse): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = Object.create(null)
  fields[':status'] = status
  for (let index = 0, size = headers.size; index < size; index++) {
    const name = headers.nameAt(index).toLowerCase()
    if (!UNSENT.has(name)) add(fields, name, headers.valueAt(index))
  }
  fields.date ??= httpDate()
  return fields
}

/** The fields after a body. */
export function outgoingTrailers(trailers: HeaderList | undefined): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = Object.create(null)
  for (const [name, value] of trailers ?? []) add(fields, name.toLowerCase(), value)
  return fields
}

function add(fields: OutgoingHttpHeaders, name: string, value: string): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else if (Array.isArray(before)) before.push(value)
  else fields[name] = [String(before), value]
}
