// An origin that would be fooled: it takes for HTTP what no server should, and records which requests it believes it saw.
// What it does has been seen in the wild, each thing in at least one server; together they are as bad as can be.
import { keep, startServer } from './sockets.ts'

export interface Leniency {
  /** Which wins where there is a length and chunks, or several lengths. */
  readonly prefers: 'length' | 'chunked'
  /** Which of several lengths counts. */
  readonly length: 'first' | 'last'
}

/** A request as such an origin understands it. */
export interface Believed {
  readonly method: string
  readonly target: string
  readonly fields: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

export interface LenientOrigin {
  readonly url: string
  readonly port: number
  /** All requests that it believes it saw, on any connection. */
  readonly believed: readonly Believed[]
  /** The bytes of each connection, as Latin-1. */
  readonly received: readonly string[]
}

/**
 * One for each way to be fooled that excludes another. An origin that takes no notice of a body at all, right framing or
 * not, can't be protected but by refusing such bodies, which would break others.
 */
export const LENIENCIES: readonly Leniency[] = [
  { prefers: 'length', length: 'first' },
  { prefers: 'length', length: 'last' },
  { prefers: 'chunked', length: 'first' },
]

/** The end of a head: two line ends, of whichever kind. */
const HEAD_END = /(?:\r\n|\n|\r(?!\n)){2}/
const LINE_END = /\r\n|\n|\r/

/**
 * Reads one request from the beginning of what has come.
 *
 * @returns it and how long it is; undefined if there is more to come
 */
function believeOne(bytes: string, leniency: Leniency): { request: Believed; length: number } | undefined {
  const start = bytes.length - bytes.trimStart().length
  const firstEnd = LINE_END.exec(bytes.slice(start))
  if (firstEnd === null) return undefined
  const line = bytes.slice(start, start + firstEnd.index)
  const [method = '', target = '', version] = line.split(/[ \t\v\f]+/)
  // HTTP/0.9 has a line and nothing else; what is no HTTP at all is taken for it.
  if (version === undefined || !/^http/i.test(version)) {
    const length = start + firstEnd.index + firstEnd[0].length
    return { request: { method, target, fields: new Map(), body: '' }, length }
  }
  const end = HEAD_END.exec(bytes.slice(start))
  if (end === null) return undefined
  const fields = fieldsOf(bytes.slice(start + firstEnd.index, start + end.index))
  const bodyStart = start + end.index + end[0].length
  const body = bodyOf(bytes.slice(bodyStart), fields, leniency)
  if (body === undefined) return undefined
  return { request: { method, target, fields, body: body.content }, length: bodyStart + body.length }
}

/** All requests in what has come, and what is left. */
export function believe(bytes: string, leniency: Leniency): { believed: Believed[]; rest: string } {
  const believed: Believed[] = []
  let rest = bytes
  for (let next = believeOne(rest, leniency); next !== undefined; next = believeOne(rest, leniency)) {
    rest = rest.slice(next.length)
    believed.push(next.request)
  }
  return { believed, rest }
}

function fieldsOf(section: string): Map<string, string[]> {
  const fields = new Map<string, string[]>()
  const unfolded = section.replaceAll(/(?:\r\n|\n|\r)[ \t]+/g, ' ')
  for (const line of unfolded.split(LINE_END)) {
    const [, rawName, value = ''] = /^([^:]*):?(.*)$/s.exec(line) ?? []
    const name = clean(rawName ?? '')
      .toLowerCase()
      .replaceAll('_', '-')
    if (name === '') continue
    fields.set(name, [...(fields.get(name) ?? []), clean(value)])
  }
  return fields
}

/** Without white space of any kind and control characters around it or in it. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what such origins overlook
  return text.replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '').trim()
}

function bodyOf(
  rest: string,
  fields: ReadonlyMap<string, readonly string[]>,
  { prefers, length: which }: Leniency,
): { content: string; length: number } | undefined {
  const lengths = (fields.get('content-length') ?? []).flatMap(value => value.split(','))
  const chunked = (fields.get('transfer-encoding') ?? []).some(value => /chunked/i.test(value))
  if (chunked && (prefers === 'chunked' || lengths.length === 0)) return chunksOf(rest)
  const text = lengths.at(which === 'first' ? 0 : -1) ?? '0'
  // parseInt: a plus, a minus, spaces, 0x and what follows the number are no obstacle.
  const length = Math.max(0, Number.parseInt(text, /^\s*[+-]?0x/i.test(text) ? 16 : 10) || 0)
  return rest.length < length ? undefined : { content: rest.slice(0, length), length }
}

function chunksOf(rest: string): { content: string; length: number } | undefined {
  let content = ''
  let at = 0
  for (;;) {
    const lineEnd = LINE_END.exec(rest.slice(at))
    if (lineEnd === null) return undefined
    const line = rest.slice(at, at + lineEnd.index).trim()
    at += lineEnd.index + lineEnd[0].length
    const size = Math.max(0, Number.parseInt(line.replace(/^\+?(?:0x)?/i, ''), 16) || 0)
    if (size === 0) break
    // A size that overflows, in 32 bits.
    const wrapped = size > 0xffffffff ? Number(BigInt.asUintN(32, BigInt(size))) : size
    if (rest.length < at + wrapped) return undefined
    content += rest.slice(at, at + wrapped)
    at += wrapped
    at += /^(?:\r\n|\n|\r)?/.exec(rest.slice(at))?.[0].length ?? 0
  }
  // Trailers, to the next empty line; none at all if what follows is no field.
  const trailers =
    /^(?:[^\r\n:]*:[^\r\n]*(?:\r\n|\n|\r))*(?:\r\n|\n|\r)?/.exec(rest.slice(at))?.[0].length ?? 0
  return { content, length: at + trailers }
}

/** Starts one; `closeSockets` ends it. It answers each request with the count of those that it has seen. */
export async function startLenientOrigin(leniency: Leniency): Promise<LenientOrigin> {
  const believed: Believed[] = []
  const received: string[] = []
  const { address } = await startServer('tcp', raw => {
    const socket = keep(raw)
    const index = received.push('') - 1
    let rest = ''
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      received[index] += text
      const more = believe(rest + text, leniency)
      rest = more.rest
      for (const request of more.believed) {
        const count = `${believed.push(request)}`
        const body = request.method.toUpperCase() === 'HEAD' ? '' : count
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${count.length}\r\n\r\n${body}`)
      }
    })
    socket.on('end', () => socket.end())
    socket.resume()
  })
  const port = 'port' in address ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, port, believed, received }
}
