// Origins of HTTP/2 for tests of the client: one that is made of frames, right or wrong, and sessions to any.
import http2, { type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { SluiceError } from '../../src/core/index.ts'
import type { UpstreamLimits } from '../../src/http/client/limits.ts'
import type {
  UpstreamExchange,
  UpstreamObserver,
  UpstreamRequest,
  UpstreamResponse,
} from '../../src/http/client/upstream.ts'
import { Http2UpstreamSession } from '../../src/http/h2/client-session.ts'
import { Body, type BodySink, type BodySource, HeaderList } from '../../src/http/index.ts'
import { connectTcp, parseEndpoint } from '../../src/net/index.ts'
import {
  ACK,
  ERRORS,
  type Frame,
  frame,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  settings,
} from './http2-frames.ts'
import { startServer, until } from './sockets.ts'
import { testCertificate, testKey } from './test-certificate.ts'

const PREFACE = 24

/** One connection of a client, and the frames that came on it. */
export class FrameConnection {
  readonly socket: Socket
  readonly frames: Frame[] = []
  /** The client has ended its side. */
  ended = false
  /** The client has reset the connection. */
  failed = false
  /** Whether PINGs are answered, as every peer must. */
  answersPings = true
  #bytes = Buffer.alloc(0)
  #skip = PREFACE

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', () => {
      this.failed = true
    })
    socket.resume()
  }

  send(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames))
    return this
  }

  of(type: number, stream?: number): Frame[] {
    return this.frames.filter(one => one.type === type && (stream === undefined || one.stream === stream))
  }

  /** Settled when so many requests have come. */
  requests(count: number = 1): Promise<void> {
    return until(() => this.of(HEADERS).length >= count)
  }

  /** The error that the client reset a stream with, once it has. */
  async reset(stream: number = 1): Promise<string | undefined> {
    await until(() => this.of(RST_STREAM, stream).length > 0)
    return ERRORS[this.of(RST_STREAM, stream)[0]?.payload.readUInt32BE(0) ?? -1]
  }

  get gone(): boolean {
    return this.ended || this.failed || this.socket.destroyed
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (this.#bytes.length < this.#skip) return
    this.#bytes = this.#bytes.subarray(this.#skip)
    this.#skip = 0
    while (this.#bytes.length >= 9) {
      const bytes = this.#bytes
      const length = bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      const payload = bytes.subarray(9, 9 + length)
      const type = bytes[3] as number
      const flags = bytes[4] as number
      this.frames.push({ type, flags, stream: bytes.readUInt32BE(5), payload })
      if (type === PING && flags !== ACK && this.answersPings) this.send(frame(PING, ACK, 0, payload))
      this.#bytes = bytes.subarray(9 + length)
    }
  }
}

export interface FrameOrigin {
  readonly port: number
  readonly connections: FrameConnection[]
}

/**
 * An origin that sends only what a test says, after its SETTINGS and an acknowledgement of the client's.
 *
 * @param first what it sends of its own in place of those
 */
export async function startFrameOrigin(
  first: Buffer = Buffer.concat([settings(), frame(SETTINGS, ACK, 0)]),
): Promise<FrameOrigin> {
  const connections: FrameConnection[] = []
  const { address } = await startServer('tcp', socket => {
    connections.push(new FrameConnection(socket).send(first))
  })
  return { port: 'port' in address ? address.port : 0, connections }
}

type OnStream = (stream: ServerHttp2Stream, raw: readonly string[]) => void

const servers: { close(done: () => void): unknown }[] = []
const serverSessions = new Set<ServerHttp2Session>()

/** An origin of the platform's, for what it does right. */
export async function startHttp2Origin(
  onStream: OnStream,
  options: http2.ServerOptions = {},
): Promise<{ port: number }> {
  return await start(http2.createServer(options), onStream)
}

/** The same with TLS. */
export async function startSecureHttp2Origin(onStream: OnStream): Promise<{ port: number }> {
  return await start(http2.createSecureServer({ cert: testCertificate, key: testKey }), onStream)
}

async function start(
  server: Http2Server | http2.Http2SecureServer,
  onStream: OnStream,
): Promise<{ port: number }> {
  server.on('session', (session: ServerHttp2Session) => {
    session.on('error', () => undefined)
    serverSessions.add(session)
  })
  server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
    stream.on('error', () => undefined)
    onStream(stream, raw)
  })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port }
}

export const LIMITS: UpstreamLimits & { idleTimeout: number } = {
  head: 32_768,
  fields: 100,
  responseTimeout: 60_000,
  bodyTimeout: 30_000,
  writeTimeout: 30_000,
  idleTimeout: 4000,
}

/** A session, and what its owner was told. */
export interface OpenSession {
  readonly session: Http2UpstreamSession
  changes: number
  closed: number
}

const sessions: Http2UpstreamSession[] = []

export async function openSession(
  port: number,
  limits: Partial<UpstreamLimits & { idleTimeout: number }> = {},
): Promise<OpenSession> {
  const connected = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${port}`, 'connect') })
  const open = { changes: 0, closed: 0 } as { -readonly [Key in keyof OpenSession]: OpenSession[Key] }
  open.session = new Http2UpstreamSession(
    connected,
    { ...LIMITS, ...limits },
    {
      changed: () => {
        open.changes++
      },
      closed: () => {
        open.closed++
      },
    },
  )
  sessions.push(open.session)
  return open
}

/** Ends all sessions and servers; for `afterEach`. */
export async function stopHttp2(): Promise<void> {
  for (const session of sessions.splice(0)) session.destroy()
  for (const session of serverSessions) session.destroy()
  serverSessions.clear()
  for (const server of servers.splice(0)) await new Promise<void>(resolve => server.close(() => resolve()))
}

/** What was heard of a request. */
export class Heard implements UpstreamObserver {
  readonly informations: [status: number, fields: [string, string][]][] = []
  response: UpstreamResponse | undefined
  error: SluiceError | undefined
  /** What became of the body: read as soon as it is there, unless told otherwise. */
  body = ''
  bodyEnded = false
  bodyError: unknown
  trailers: [string, string][] | undefined
  exchange: (UpstreamExchange & { readonly begun: boolean }) | undefined
  readonly #isRead: boolean

  /** @param isRead whether the body is read */
  constructor(isRead: boolean = true) {
    this.#isRead = isRead
  }

  informed(status: number, headers: HeaderList): void {
    this.informations.push([status, [...headers]])
  }

  responded(response: UpstreamResponse): void {
    this.response = response
    if (this.#isRead && response.stream === undefined) this.read()
  }

  failed(error: SluiceError): void {
    this.error = error
  }

  read(): void {
    this.response?.body.pipe({
      data: chunk => {
        this.body += chunk.toString('latin1')
      },
      end: trailers => {
        this.bodyEnded = true
        this.trailers = trailers === undefined ? undefined : [...trailers]
      },
      fail: error => {
        this.bodyError = error
      },
    })
  }

  get status(): number | undefined {
    return this.response?.status
  }

  get fields(): [string, string][] {
    return [...(this.response?.headers ?? [])]
  }

  /** Settled when the response is complete, or there will be none, or no more of it. */
  async over(): Promise<this> {
    await until(() => this.error !== undefined || this.bodyEnded || this.bodyError !== undefined)
    return this
  }

  /** The code of what went wrong, before the head or after. */
  get code(): string | undefined {
    return (this.error ?? (this.bodyError as Partial<SluiceError> | undefined))?.code
  }
}

export function get(request: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    target: '/',
    headers: new HeaderList(),
    body: Body.empty,
    upgrade: undefined,
    expectsContinue: false,
    client: undefined,
    ...request,
  }
}

/** Sends a request, and listens. */
export function ask(
  { session }: OpenSession,
  request: Partial<UpstreamRequest> = {},
  isRead: boolean = true,
): Heard {
  const heard = new Heard(isRead)
  heard.exchange = session.send(get(request), heard)
  return heard
}

/** A body whose pieces a test sends. */
export class Pushed implements BodySource {
  sink: BodySink | undefined
  paused = false
  cancelled = false

  start(sink: BodySink): void {
    this.sink = sink
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  cancel(): void {
    this.cancelled = true
  }

  send(text: string | Buffer): void {
    this.sink?.data(typeof text === 'string' ? Buffer.from(text) : text)
  }
}
