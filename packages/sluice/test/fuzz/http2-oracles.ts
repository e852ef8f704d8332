// What must hold of an HTTP/2 session for any frames: splits make no difference, each body comes once and in order, what is
// sent is what the RFC allows, and the session ends when its client has gone. An oracle throws what does not hold.
import { ok, deepStrictEqual as same } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import { configureLogging } from '../../src/core/index.ts'
import { Output } from '../../src/http/h2/output.ts'
import { Receiver } from '../../src/http/h2/receiver.ts'
import { Http2Session } from '../../src/http/h2/session.ts'
import type { Http2Stream } from '../../src/http/h2/stream.ts'
import { Traffic } from '../../src/http/h2/traffic.ts'
import { FrameReader } from '../../src/http/h2/wire/frame-reader.ts'
import { ConnectionError } from '../../src/http/h2/wire/frames.ts'
import { PREFACE } from '../../src/http/h2/wire/preface.ts'
import {
  Body,
  type BodySink,
  empty,
  HeaderList,
  type HttpRequest,
  type HttpResponse,
  text,
} from '../../src/http/index.ts'
import { httpLimits } from '../../src/http/limits.ts'
import { type Connection, IpAddress } from '../../src/net/index.ts'
import { framesOf, judge } from '../support/http2-judge.ts'
import { MemorySocket } from '../support/memory-socket.ts'
import type { Random } from '../support/random.ts'

/** Longer inputs are not also cut into single bytes. */
const SINGLE_BYTES = 4000
const limits = httpLimits({ streamLimit: 8 })

interface Received {
  /** What was told, in order; what came of a body is one entry however it was cut. */
  readonly events: readonly string[]
  readonly sent: string
  readonly error: string | undefined
}

/** Feeds the half of a session that receives. */
async function received(pieces: readonly Buffer[]): Promise<Received> {
  const socket = new MemorySocket()
  const events: string[] = []
  const say = (event: string): void => void events.push(event)
  const opened = (stream: Http2Stream, what: string): void => {
    const name = `stream ${stream.id}`
    say(`${name} opens ${what}`)
    let over = false
    let body = -1
    stream.user = {
      received: chunk => {
        ok(!over, `${name} goes on behind its end`)
        if (body !== events.length - 1) body = events.push(`${name}: `) - 1
        events[body] += chunk.toString('latin1')
        stream.consumed(chunk.length)
      },
      receivedAll: (trailers, overflowed) => {
        ok(!over, `${name} ends twice`)
        over = true
        say(`${name} ends ${JSON.stringify(trailers?.map(({ name, value }) => [name, value]))} ${overflowed}`)
      },
      drained: () => undefined,
      sentAll: () => undefined,
      closed: () => {
        over = true
        say(`${name} closes`)
      },
    }
  }
  const output = new Output(socket.asSocket)
  const receiver = new Receiver(
    output,
    {
      streamOpened: (stream, fields, ends, overflowed) => {
        const names = fields.map(({ name, value }) => [name, value])
        opened(stream, `${JSON.stringify(names)} ${ends} ${overflowed}`)
      },
      streamClosed: () => undefined,
      streamBroken: (_stream, what) => say(what),
      clientLeaves: () => say('leaves'),
      pingAnswered: () => say('answers'),
    },
    limits,
    new Traffic({ taken: 0 }, 1000, 0),
  )
  const reader = new FrameReader(receiver)
  let error: string | undefined
  try {
    for (const piece of pieces) reader.read(piece)
  } catch (fault) {
    if (!(fault instanceof ConnectionError)) throw fault
    error = `${fault.code} ${fault.message}`
  }
  // Lets the turn end, which keeps the output until then.
  await turn()
  return { events, sent: Buffer.concat(socket.taken).toString('latin1'), error }
}

/** @returns how many streams were opened */
export async function checkHttp2Frames(bytes: Buffer, random: Random): Promise<number> {
  const whole = await received([bytes])
  const ways = [random.split(bytes, 3), random.split(bytes, 12)]
  if (bytes.length <= SINGLE_BYTES) ways.push(Array.from(bytes, byte => Buffer.of(byte)))
  for (const pieces of ways) {
    // Each as large as it is: a session's bytes are never part of something that is still written to.
    const split = await received(pieces.map(piece => Buffer.from(piece)))
    same(split, whole, `split at ${pieces.map(piece => piece.length)}, it is read otherwise`)
  }
  return whole.events.filter(event => event.includes(' opens ')).length
}

/** What a body was told to its reader, which must be an end or a failure, once, and nothing behind it. */
class Reader implements BodySink {
  readonly #random: Random
  readonly #source: ReturnType<Body['pipe']>
  over = 0
  #paused = false

  constructor(body: Body, random: Random) {
    this.#random = random
    this.#source = body.pipe(this)
  }

  data(chunk: Buffer): void {
    ok(this.over === 0 && chunk.length > 0, 'a body goes on behind its end, or with nothing')
    if (this.#random.below(2) === 0 || this.#paused) return
    this.#paused = true
    this.#source.pause()
    setImmediate(() => {
      this.#paused = false
      this.#source.resume()
    })
  }

  end(): void {
    this.over++
    ok(this.over === 1, 'a body ends twice')
  }

  fail(): void {
    this.end()
  }

  cancel(): void {
    this.over = 1
    this.#source.cancel()
  }
}

function trailing(): Body {
  return Body.of({
    start: sink =>
      setImmediate(() => {
        sink.data(Buffer.from('a body'))
        sink.end(new HeaderList({ 'x-end': 'of it', 'grpc-status': '0' }))
      }),
    pause: () => undefined,
    resume: () => undefined,
    cancel: () => undefined,
  })
}

/** Answers in as many ways as there are paths. */
function service(random: Random, readers: Reader[]) {
  return async (request: HttpRequest): Promise<HttpResponse> => {
    const { body, path, upgrade } = request
    if (upgrade !== undefined) {
      return { ...empty(), status: 101, tunnel: ({ socket }) => void socket.pipe(socket) }
    }
    const leave = (): void => readers.at(-1)?.cancel()
    if (path === '/echo') return { ...text(''), body }
    if (path === '/read') return text(`${(await body.bytes()).length}`)
    if (path === '/throw') throw new Error('the service fails')
    if (path === '/never') await new Promise(() => undefined)
    if (path === '/trailers') return { ...empty(), status: 200, body: trailing() }
    if (path === '/pause' || path === '/cancel') readers.push(new Reader(body, random))
    if (path === '/info' || path === '/leave') request.inform(103, new HeaderList({ link: 'x' }))
    for (let turns = random.below(4); turns > 0; turns--) await turn()
    if (path === '/cancel') leave()
    return text('an answer'.repeat(random.pick([0, 1, 400, 30_000])))
  }
}

/** Log lines that must not be: somebody threw what nobody expected. */
const FAULT = /session failed|turn failed|reader of a body failed|could not be handed on|ERR_|TypeError/
const faults: string[] = []

function watchLogs(): void {
  configureLogging({
    directives: 'info',
    format: 'json',
    destination: { write: line => void (FAULT.test(line) && faults.push(line)) },
  })
}

/** @returns how many answers were complete */
export async function checkHttp2Session(bytes: Buffer, random: Random): Promise<number> {
  const socket = new MemorySocket()
  const readers: Reader[] = []
  const peer = new IpAddress('ipv4', '127.0.0.1', 1)
  const { signal } = new AbortController()
  const connection: Connection = {
    ...{ id: 'fuzz', socket: socket.asSocket, peer, local: peer, draining: signal, aborted: signal },
    taken: 0,
    reset: () => void socket.destroy(),
  }
  const session = new Http2Session(connection, 'http', service(random, readers), limits)
  faults.length = 0
  watchLogs()
  const done = session.serve()
  socket.takesAtOnce = random.below(3) > 0
  const drainsAt = random.below(20)
  const pieces = random.split(bytes, 1 + random.below(12))
  socket.give(PREFACE)
  for (const [index, piece] of pieces.entries()) {
    socket.give(piece)
    if (index === drainsAt) session.drain()
    if (random.below(2) === 0) await turn()
    if (random.below(4) === 0) socket.takeWritten()
  }
  socket.takesAtOnce = true
  for (let turns = 0; turns < 12; turns++) {
    socket.takeWritten()
    await turn()
  }
  const { streams } = judge(Buffer.concat(socket.taken), framesOf(bytes))
  if (random.below(2) === 0) socket.giveEnd()
  await turn()
  socket.destroy()
  await done
  for (let turns = 0; turns < 6; turns++) await turn()
  same(faults, [], 'something failed that must not')
  ok(
    readers.every(({ over }) => over > 0),
    'the reader of a body was never told of its end',
  )
  return [...streams.values()].filter(({ ended }) => ended).length
}
