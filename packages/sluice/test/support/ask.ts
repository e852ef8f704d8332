// Asks a server one thing over HTTP/1.1 or HTTP/2, with the platform's own clients, and gives back all that it answered.
import { type IncomingHttpHeaders, request as requestHttp1 } from 'node:http'
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { request as requestHttps } from 'node:https'

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer | AsyncIterable<Uint8Array>
  /** Sent after the body. */
  readonly trailers?: Readonly<Record<string, string>>
  readonly tls?: boolean
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
  /** Informational answers that came before. */
  readonly informed: readonly { readonly status: number; readonly headers: IncomingHttpHeaders }[]
}

/** What the versions have in common can be tested over each. */
export const VERSIONS = ['1.1', '2'] as const

export type Version = (typeof VERSIONS)[number]

/** Rejects if the answer is cut. */
export function ask(version: Version, port: number, asked: Asked = {}): Promise<Answered> {
  return version === '2' ? askHttp2(port, asked) : askHttp1(port, asked)
}

function askHttp1(port: number, { method = 'GET', path = '/', headers, body, trailers, tls }: Asked) {
  return new Promise<Answered>((resolve, reject) => {
    const informed: { status: number; headers: IncomingHttpHeaders }[] = []
    const options = { port, host: '127.0.0.1', method, path, headers, agent: false as const }
    const request = tls ? requestHttps({ ...options, rejectUnauthorized: false }) : requestHttp1(options)
    request.on('error', reject)
    request.on('information', ({ statusCode, headers }) => informed.push({ status: statusCode, headers }))
    request.on('response', async response => {
      try {
        const text = await read(response)
        const { statusCode = 0, headers, trailers } = response
        resolve({ status: statusCode, headers, body: text, trailers, informed })
      } catch (error) {
        reject(error)
      }
    })
    if (trailers !== undefined) request.addTrailers(trailers)
    if (headers?.expect === undefined) {
      send(request, body).catch(reject)
    } else {
      request.flushHeaders()
      request.on('continue', () => send(request, body).catch(reject))
    }
  })
}

async function askHttp2(port: number, { method = 'GET', path = '/', headers, body, trailers, tls }: Asked) {
  const session = connectHttp2(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  try {
    const head: OutgoingHttpHeaders = { ...headers, ':method': method, ':path': path }
    const stream = session.request(head, {
      endStream: body === undefined,
      waitForTrailers: trailers !== undefined,
    })
    stream.on('wantTrailers', () => stream.sendTrailers({ ...trailers }))
    const informed: { status: number; headers: IncomingHttpHeaders }[] = []
    stream.on('headers', fields => informed.push({ status: Number(fields[':status']), headers: fields }))
    let after: IncomingHttpHeaders = {}
    stream.on('trailers', fields => {
      after = fields
    })
    const answer = new Promise<IncomingHttpHeaders>((resolve, reject) => {
      stream.on('error', reject)
      stream.on('close', () => reject(new Error('closed')))
      stream.on('response', resolve)
    })
    if (headers?.expect !== undefined) stream.on('continue', () => send(stream, body).catch(() => undefined))
    else if (body !== undefined) send(stream, body).catch(() => undefined)
    const got = await answer
    const text = await read(stream)
    if (stream.rstCode !== 0) throw new Error(`the stream was closed with ${stream.rstCode}`)
    return { status: Number(got[':status']), headers: got, body: text, trailers: after, informed }
  } finally {
    session.destroy()
  }
}

async function send(stream: NodeJS.WritableStream, body: Asked['body']): Promise<void> {
  if (typeof body === 'object' && !Buffer.isBuffer(body)) {
    for await (const chunk of body) {
      if (!stream.write(chunk)) await new Promise(resolve => stream.once('drain', resolve))
    }
    stream.end()
  } else if (body === undefined) stream.end()
  else stream.end(body)
}

async function read(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
