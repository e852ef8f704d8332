import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { closed, closeSockets, type Kind, type Pair, pair, read, until } from '../../test/support/sockets.ts'
import { type RelayOptions, type RelayOutcome, relay } from './relay.ts'

afterEach(closeSockets)
afterEach(() => {
  vi.useRealTimers()
})

interface Relayed {
  readonly client: Pair
  readonly upstream: Pair
  readonly outcome: Promise<RelayOutcome>
}

async function relayed(kinds: [Kind, Kind] = ['tcp', 'tcp'], options: RelayOptions = {}): Promise<Relayed> {
  const client = await pair(kinds[0])
  const upstream = await pair(kinds[1])
  return { client, upstream, outcome: relay(client.connection, upstream.connection, options) }
}

/** Bytes that are held in this process on the way from one socket to the other. */
function held(from: Socket, to: Socket): number {
  return from.readableLength + to.writableLength
}

/** Writes until the far side takes no more, and says how much was taken. */
async function fill(socket: Socket): Promise<number> {
  const chunk = Buffer.alloc(65_536, 'x')
  let written = 0
  let quiet = 0
  while (quiet < 50) {
    if (socket.writableLength === 0) {
      socket.write(chunk)
      written += chunk.length
      quiet = 0
    } else quiet += 1
    await new Promise(next => setImmediate(next))
  }
  return written
}

/** Writes so many chunks of 64 KB, and gives their hash. */
async function pump(socket: Socket, chunks: number): Promise<string> {
  const hash = createHash('sha256')
  for (let i = 0; i < chunks; i += 1) {
    const chunk = Buffer.alloc(65_536, i % 251)
    hash.update(chunk)
    if (!socket.write(chunk)) await new Promise(resolve => socket.once('drain', resolve))
  }
  socket.end()
  return hash.digest('hex')
}

const isBun = process.versions.bun !== undefined
/** What writing to a unix socket fails with whose other end is gone. */
const LOST = /^(EPIPE|ECONNRESET|ERR_SOCKET_CLOSED)$/

const kinds: [Kind, Kind][] = [
  ['tcp', 'tcp'],
  ['unix', 'tcp'],
  ['tcp', 'unix'],
  ['tls', 'tcp'],
]

describe.each(kinds)('relay from %s to %s', (...kind) => {
  it('passes bytes both ways unchanged', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const atBackend = read(upstream.peer)
    const atClient = read(client.peer)
    let up = Buffer.alloc(0)
    let down = Buffer.alloc(0)
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 100_000 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), chunk), { maxLength: 8 }), async writes => {
        for (const [isUp, bytes] of writes) {
          ;(isUp ? client.peer : upstream.peer).write(bytes)
          if (isUp) up = Buffer.concat([up, bytes])
          else down = Buffer.concat([down, bytes])
        }
        await until(() => atBackend.bytes === up.length && atClient.bytes === down.length)
        expect(Buffer.concat(atBackend.chunks.splice(0)).equals(up)).toBe(true)
        expect(Buffer.concat(atClient.chunks.splice(0)).equals(down)).toBe(true)
        atBackend.bytes = 0
        atClient.bytes = 0
        up = Buffer.alloc(0)
        down = Buffer.alloc(0)
      }),
      { numRuns: 30 },
    )
    client.peer.end()
    upstream.peer.end()
    expect(await outcome).toMatchObject({ reason: 'client-end' })
  })

  it('passes on the end of the client, and goes on the other way', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const atBackend = read(upstream.peer)
    const atClient = read(client.peer)
    client.peer.end('request')
    await atBackend.over
    expect([atBackend.ended, atBackend.bytes]).toEqual([true, 7])
    expect(atClient.ended).toBe(false)
    upstream.peer.write('answer')
    await until(() => atClient.bytes === 6)
    upstream.peer.end('!')
    await atClient.over
    expect([atClient.ended, atClient.bytes]).toEqual([true, 7])
    const { duration, ...rest } = await outcome
    expect(rest).toEqual({ reason: 'client-end', up: 7, down: 7 })
    expect(duration).toBeGreaterThan(0)
  })

  it('passes on the end of the backend, and goes on the other way', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const atBackend = read(upstream.peer)
    const atClient = read(client.peer)
    upstream.peer.end('banner')
    await atClient.over
    expect([atClient.ended, atClient.bytes]).toEqual([true, 6])
    client.peer.write('late')
    await until(() => atBackend.bytes === 4)
    client.peer.end()
    await atBackend.over
    expect(await outcome).toMatchObject({ reason: 'upstream-end', up: 4, down: 6 })
  })

  it('holds little while a side reads slowly, and loses nothing', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const { peer } = upstream
    const hash = createHash('sha256')
    const from = client.connection.socket
    const to = upstream.connection.socket
    let most = 0
    const over = new Promise<void>(done => peer.on('end', done))
    const chunks = kind[0] === 'tcp' && kind[1] === 'tcp' ? 1600 : 320
    const sent = pump(client.peer, chunks)
    // The backend does not read at all until everything on the way is full.
    await until(() => to.writableLength > 0 && from.isPaused())
    for (let i = 0; i < 200; i += 1) await new Promise(next => setImmediate(next))
    most = held(from, to)
    expect(client.peer.writableLength).toBeGreaterThan(0)
    peer.on('data', chunk => {
      hash.update(chunk)
      most = Math.max(most, held(from, to))
      peer.pause()
      setImmediate(() => peer.resume())
    })
    await over
    peer.end()
    expect(hash.digest('hex')).toBe(await sent)
    expect(await outcome).toMatchObject({ up: chunks * 65_536, reason: 'client-end' })
    // A high water mark and a read for each side; reads are 64 KB on Node, and up to 512 KB on Bun.
    expect(most).toBeLessThan(isBun ? 2 * 1024 * 1024 : 512 * 1024)
  })

  it('cuts the backend when the client is lost', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const atBackend = read(upstream.peer)
    client.peer.write('x')
    await until(() => atBackend.bytes === 1)
    // A unix socket knows no reset: writing to one that is gone fails, which is the nearest to it.
    if (kind[0] === 'unix') {
      client.peer.destroy()
      upstream.peer.write('y')
    } else client.transport.resetAndDestroy()
    expect(await outcome).toMatchObject({
      reason: 'client-reset',
      code: kind[0] === 'unix' ? expect.stringMatching(LOST) : 'ECONNRESET',
      up: 1,
    })
    await closed(upstream.connection.socket)
    await atBackend.over
    if (kind[0] !== 'unix' && kind[1] !== 'unix') expect(atBackend.error).toBe('ECONNRESET')
  })

  it('cuts the client when the backend is lost', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    const atClient = read(client.peer)
    upstream.peer.write('x')
    await until(() => atClient.bytes === 1)
    if (kind[1] === 'unix') {
      upstream.peer.destroy()
      client.peer.write('y')
    } else upstream.peer.resetAndDestroy()
    expect(await outcome).toMatchObject({
      reason: 'upstream-reset',
      code: kind[1] === 'unix' ? expect.stringMatching(LOST) : 'ECONNRESET',
      down: 1,
    })
    await atClient.over
    if (kind[0] !== 'unix' && kind[1] !== 'unix') expect(atClient.error).toBe('ECONNRESET')
  })

  it('is cut from outside at once, though bytes wait for a side that does not read', async () => {
    const { client, upstream, outcome } = await relayed(kind)
    await fill(upstream.peer)
    expect(client.connection.socket.writableLength).toBeGreaterThan(0)
    client.connection.reset()
    // Bun lets the TLS socket fail where its transport is reset by this side.
    const { reason, up } = await outcome
    expect([reason, up]).toEqual([isBun && kind[0] === 'tls' ? 'client-reset' : 'cut', 0])
    expect(client.connection.socket.destroyed && upstream.connection.socket.destroyed).toBe(true)
  })
})

describe('relay', () => {
  it('tells a reset from an end though bytes before it had not been read yet', async () => {
    const { client, upstream, outcome } = await relayed()
    await fill(upstream.peer)
    expect(upstream.connection.socket.isPaused()).toBe(true)
    upstream.peer.resetAndDestroy()
    await closed(upstream.peer)
    read(client.peer)
    expect(await outcome).toMatchObject({ reason: 'upstream-reset', code: 'ECONNRESET' })
  })

  it('relays 1-byte writes', async () => {
    const { client, upstream, outcome } = await relayed()
    const atBackend = read(upstream.peer)
    for (let i = 0; i < 500; i += 1) {
      client.peer.write('x')
      if (i % 50 === 0) await new Promise(next => setImmediate(next))
    }
    client.peer.end()
    upstream.peer.end()
    expect(await outcome).toMatchObject({ up: 500, down: 0 })
    await atBackend.over
    expect(atBackend.bytes).toBe(500)
  })

  it('passes on an end that was seen before it began', async () => {
    const client = await pair('tcp')
    const upstream = await pair('tcp')
    client.peer.end()
    const seen = read(client.connection.socket)
    await seen.over
    client.connection.socket.pause()
    const outcome = relay(client.connection, upstream.connection)
    const atBackend = read(upstream.peer)
    await atBackend.over
    expect(atBackend.ended).toBe(true)
    upstream.peer.end('answer')
    expect(await outcome).toMatchObject({ reason: 'client-end', down: 6 })
  })

  it.each(['client', 'upstream'] as const)(
    'resets the other side if the %s was lost before it began',
    async lost => {
      for (const isClosed of [false, true]) {
        const sides = { client: await pair('tcp'), upstream: await pair('tcp') }
        const other = sides[lost === 'client' ? 'upstream' : 'client']
        const atOther = read(other.peer)
        sides[lost].connection.socket.destroy(Object.assign(new Error('lost'), { code: 'ETIMEDOUT' }))
        sides[lost].connection.socket.on('error', () => {})
        if (isClosed) await closed(sides[lost].connection.socket)
        const outcome = await relay(sides.client.connection, sides.upstream.connection)
        expect(outcome).toMatchObject({ reason: `${lost}-reset`, code: 'ETIMEDOUT', up: 0, down: 0 })
        expect(sides.client.connection.socket.closed && sides.upstream.connection.socket.closed).toBe(true)
        await atOther.over
        expect(atOther.error).toBe('ECONNRESET')
      }
    },
  )

  it('resets both when nothing has moved for the idle limit, and not before', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { client, upstream, outcome } = await relayed(['tcp', 'tcp'], { idleTimeout: '1h' })
    const atClient = read(client.peer)
    const atBackend = read(upstream.peer)
    vi.advanceTimersByTime(3_000_000)
    client.peer.write('x')
    await until(() => atBackend.bytes === 1)
    vi.advanceTimersByTime(3_000_000)
    upstream.peer.write('y')
    await until(() => atClient.bytes === 1)
    vi.advanceTimersByTime(3_590_000)
    expect(client.connection.socket.destroyed).toBe(false)
    vi.advanceTimersByTime(460_000)
    expect(await outcome).toMatchObject({ reason: 'idle', code: 'RELAY_IDLE', up: 1, down: 1 })
    await Promise.all([atClient.over, atBackend.over])
    expect([atClient.error, atBackend.error]).toEqual(['ECONNRESET', 'ECONNRESET'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('holds a side whose other side has ended for a shorter time', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { client, upstream, outcome } = await relayed(['tcp', 'tcp'], { halfClosedTimeout: '1m' })
    const atClient = read(client.peer)
    const atBackend = read(upstream.peer)
    client.peer.end('request')
    await atBackend.over
    vi.advanceTimersByTime(59_000)
    upstream.peer.write('part')
    await until(() => atClient.bytes === 4)
    vi.advanceTimersByTime(59_000)
    expect(client.connection.socket.destroyed).toBe(false)
    vi.advanceTimersByTime(10_000)
    expect(await outcome).toMatchObject({ reason: 'idle', code: 'RELAY_IDLE', up: 7, down: 4 })
    await atClient.over
    expect(atClient.error).toBe('ECONNRESET')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('takes the shorter of both limits', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { client, upstream, outcome } = await relayed(['tcp', 'tcp'], {
      idleTimeout: '10s',
      halfClosedTimeout: '1m',
    })
    const atBackend = read(upstream.peer)
    client.peer.end()
    await atBackend.over
    vi.advanceTimersByTime(11_300)
    expect(await outcome).toMatchObject({ reason: 'idle' })
  })

  it('tells an error of either side only once, whatever comes after it', async () => {
    const { client, upstream, outcome } = await relayed()
    client.connection.socket.destroy(Object.assign(new Error('first'), { code: 'EFIRST' }))
    upstream.connection.socket.destroy(Object.assign(new Error('second'), { code: 'ESECOND' }))
    expect(await outcome).toMatchObject({ reason: 'client-reset', code: 'EFIRST' })
  })

  it('refuses a limit that is no duration', () => {
    expect(() => relay({} as never, {} as never, { idleTimeout: 'soon' as never })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    )
    for (const options of [{ idleTimeout: 0 }, { halfClosedTimeout: 0 }]) {
      expect(() => relay({} as never, {} as never, options)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    }
  })

  it('leaves no sockets and timers behind', async () => {
    const before = process.getActiveResourcesInfo().length
    for (const end of [
      ({ client, upstream }: Relayed) => {
        client.peer.end()
        upstream.peer.end()
      },
      ({ client }: Relayed) => client.peer.resetAndDestroy(),
      ({ upstream }: Relayed) => upstream.peer.resetAndDestroy(),
      ({ client }: Relayed) => client.connection.reset(),
      ({ client, upstream }: Relayed) => {
        client.peer.end()
        // In the same turn as the end: its FIN is on the way then.
        client.connection.socket.once('end', () => upstream.connection.reset())
      },
    ]) {
      const one = await relayed()
      read(one.client.peer)
      read(one.upstream.peer)
      end(one)
      await one.outcome
      await closeSockets()
      await Promise.all([closed(one.client.peer), closed(one.upstream.peer)])
    }
    await new Promise(next => setImmediate(next))
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before)
  })
})
