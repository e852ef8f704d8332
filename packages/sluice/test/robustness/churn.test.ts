// 10,000 connections come and go, good and bad ones, and leave nothing behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { all, dial, REQUEST, realHello, secure, secureContext } from '../support/terminator.ts'
import type { Report } from '../support/terminator-process.ts'

const CONNECTIONS = 10_000
/** Before the first look: what is made once, compiled or grown to its size is there then. */
const WARM_UP = 1000
const AT_ONCE = 100

/**
 * What may be on the heap besides, in bytes: code and feedback of the compiler, which come late. A connection that was
 * kept would be 10 KB and more with its sockets; 300 bytes for each of 10,000 would be too many.
 */
const HEAP_TOLERANCE = 3 * 1024 * 1024
/**
 * What may be resident besides, in bytes: 5 MB were seen on Node and 10 MB on Bun, whose allocators keep some of what they
 * once had. The state of a TLS connection that was kept is 40 KB and more: 150 MB and more for those that begin a handshake.
 */
const RESIDENT_TOLERANCE = 32 * 1024 * 1024

let child: ChildProcess
let lines: Interface
let hello: Buffer
let port = 0

beforeAll(async () => {
  const program = fileURLToPath(new URL('../support/terminator-process.ts', import.meta.url))
  const { NODE_OPTIONS: _, ...inherited } = process.env
  // A small nursery is collected often, and does not grow by tens of megabytes between two looks.
  const flags = process.versions.bun === undefined ? ['--expose-gc', '--max-semi-space-size=2'] : []
  // The C library gives back what is free at the end of its heap, and has one heap.
  const env = { ...inherited, MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' }
  child = spawn(process.execPath, [...flags, program], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  lines = createInterface({ input: child.stdout ?? process.stdin })
  hello = await realHello()
  port = (await report()).port
})
afterAll(() => child?.kill('SIGKILL'))

async function report(): Promise<Report> {
  child.stdin?.write('report\n')
  const [line] = await once(lines, 'line')
  return JSON.parse(line)
}

let session: Buffer | undefined

/** A request over HTTP/1.1, in a TLS session that is resumed where the server allows it. */
async function good(): Promise<void> {
  const socket = await dial(port)
  const tls = await secure(socket, session === undefined ? {} : { session })
  tls.on('session', next => {
    session = next
  })
  tls.write(REQUEST)
  const answer = await all(tls)
  if (!answer.startsWith('HTTP/1.1 200 ')) throw new Error(`answered ${JSON.stringify(answer)}`)
  tls.end()
  await closed(socket)
}

async function goodHttp2(): Promise<void> {
  const client = connectHttp2(`https://127.0.0.1:${port}`, { secureContext, rejectUnauthorized: false })
  const stream = client.request({ ':path': '/' })
  const [headers] = await once(stream, 'response')
  if (headers[':status'] !== 200) throw new Error(`answered ${headers[':status']}`)
  stream.resume()
  await once(stream, 'close')
  client.close()
  await once(client, 'close')
}

/** Sends something in clear, and reads until the end. */
async function refused(bytes: string | Buffer): Promise<void> {
  const socket = await dial(port)
  socket.end(bytes)
  await all(socket)
  await closed(socket)
}

async function resetAfterConnecting(): Promise<void> {
  const socket = await dial(port)
  socket.resetAndDestroy()
}

async function resetInClientHello(): Promise<void> {
  const socket = await dial(port)
  await new Promise(resolve => socket.write(hello.subarray(0, 150), resolve))
  socket.resetAndDestroy()
}

async function resetInHandshake(): Promise<void> {
  const socket = await dial(port)
  socket.write(hello)
  await once(socket, 'data')
  socket.resetAndDestroy()
}

async function resetInRequest(): Promise<void> {
  const socket = await dial(port)
  const tls = await secure(socket, session === undefined ? {} : { session })
  await new Promise(resolve => tls.write(REQUEST.slice(0, 20), resolve))
  socket.resetAndDestroy()
}

function closed(socket: Socket): Promise<unknown> {
  return new Promise(resolve => (socket.closed ? resolve(0) : socket.on('close', resolve)))
}

const garbage = Buffer.from(Array.from({ length: 400 }, (_, index) => (index * 167 + 13) % 251))

/** Each kind as often as it stands here. */
const KINDS: readonly (() => Promise<void>)[] = [
  good,
  resetAfterConnecting,
  () => refused(garbage),
  resetInClientHello,
  () => refused(REQUEST),
  good,
  resetInHandshake,
  resetAfterConnecting,
  () => refused(garbage),
  goodHttp2,
  resetInClientHello,
  () => refused(REQUEST),
  good,
  resetAfterConnecting,
  () => refused(''),
  resetInRequest,
]

/** What may be over before the system has told the proxy that it has begun. */
const EARLY = new Set([resetAfterConnecting, resetInClientHello])

/** So many connections, a hundred at a time. */
async function comeAndGo(count: number): Promise<void> {
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < count) {
      begun += 1
      await KINDS[begun % KINDS.length]?.()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

describe(`${CONNECTIONS} connections`, () => {
  it('come and go, and leave nothing behind', { timeout: 120_000 }, async () => {
    await comeAndGo(WARM_UP)
    const before = await report()
    await comeAndGo(CONNECTIONS)
    const afterwards = await report()

    expect(afterwards.faults).toEqual([])
    expect(afterwards.serving).toBe(0)
    expect(afterwards.accepted - before.accepted).toBe(CONNECTIONS)
    expect(afterwards.resources).toEqual(before.resources)
    expect(afterwards.descriptors).toBe(before.descriptors)
    expect(afterwards.listeners).toBe(before.listeners)
    expect(afterwards.heap - before.heap).toBeLessThan(HEAP_TOLERANCE)
    expect(afterwards.resident - before.resident).toBeLessThan(RESIDENT_TOLERANCE)
    // One line each, but for those that were gone before they were accepted.
    const early = KINDS.filter(kind => EARLY.has(kind)).length / KINDS.length
    expect(afterwards.ends - before.ends).toBeLessThanOrEqual(CONNECTIONS)
    expect(afterwards.ends - before.ends).toBeGreaterThanOrEqual(
      Math.floor(CONNECTIONS * (1 - early)) - KINDS.length,
    )
  })

  it('do not keep the process once its listeners are closed', async () => {
    const exit = once(child, 'exit')
    child.stdin?.write('close\n')
    expect(await exit).toEqual([0, null])
  })
})
