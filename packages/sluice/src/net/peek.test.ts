import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { closed, closeSockets, keep, pair, read, until } from '../../test/support/sockets.ts'
import { testCertificate, testKey } from '../../test/support/test-certificate.ts'
import { type Head, readHead } from './peek.ts'

afterEach(closeSockets)
afterEach(() => {
  vi.useRealTimers()
})

const limits = { timeout: 5000, limit: 65_536, what: 'a line' }

/** A line that ends in a newline, which is consumed. */
function line(bytes: Buffer): Head<string> | undefined {
  const end = bytes.indexOf(10)
  return end < 0 ? undefined : { value: bytes.toString('latin1', 0, end), consumed: end + 1 }
}

/** Tells of each call how many bytes there were. */
function counting(calls: number[]): (bytes: Buffer) => Head<string> | undefined {
  return bytes => {
    calls.push(bytes.length)
    return line(bytes)
  }
}

const ours = ['readable', 'data', 'end', 'close', 'error', 'drain'] as const

describe('readHead', () => {
  it('reads the head and leaves the rest, however the bytes are split', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    await fc.assert(
      fc.asyncProperty(
        fc.stringMatching(/^[a-z]{0,40}$/),
        fc.stringMatching(/^[a-z]{0,40}$/),
        fc.array(fc.nat(81), { maxLength: 6 }),
        async (head, rest, cuts) => {
          const bytes = Buffer.from(`${head}\n${rest}\n`)
          const at = [...new Set([...cuts.filter(cut => cut < bytes.length), bytes.length])].sort(
            (a, b) => a - b,
          )
          const both = (async () => [
            await readHead(socket, limits, line),
            await readHead(socket, limits, line),
          ])()
          let from = 0
          for (const to of at) {
            await new Promise<void>(sent => peer.write(bytes.subarray(from, to), () => sent()))
            await new Promise(setImmediate)
            from = to
          }
          expect(await both).toEqual([head, rest])
          expect(socket.readableLength).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('leaves no listeners, and the socket not flowing', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    const before = ours.map(name => socket.listenerCount(name))
    const promise = readHead(socket, limits, line)
    peer.write('head\nrest')
    await promise
    await new Promise(setImmediate)
    expect(ours.map(name => socket.listenerCount(name))).toEqual(before)
    expect(socket.readableFlowing).not.toBe(true)
    expect(socket.readableLength).toBe(4)
  })

  it('only looks if nothing is consumed', async () => {
    const { connection, peer } = await pair('tcp')
    peer.write('head\nrest')
    const look = await readHead(connection.socket, limits, bytes => {
      const head = line(bytes)
      return head && { value: head.value, consumed: 0 }
    })
    expect(look).toBe('head')
    peer.end('more')
    const seen = read(connection.socket)
    await seen.over
    expect(Buffer.concat(seen.chunks).toString()).toBe('head\nrestmore')
  })

  it('joins what an earlier reader has put back with what comes later', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    peer.write('one\ntw')
    expect(await readHead(socket, limits, line)).toBe('one')
    expect(socket.readableLength).toBe(2)
    const calls: number[] = []
    const second = readHead(socket, limits, counting(calls))
    await new Promise(setImmediate)
    peer.write('o\nthree\n')
    expect(await second).toBe('two')
    expect(calls[0]).toBe(2)
    expect(await readHead(socket, limits, line)).toBe('three')
  })

  it('takes all chunks that are there at once, however many the platform gives for one read', async () => {
    const { connection } = await pair('tcp')
    const { socket } = connection
    for (const chunk of ['\n', 'ef', 'cd', 'ab']) socket.unshift(Buffer.from(chunk))
    expect(await readHead(socket, limits, line)).toBe('abcdef')
  })

  it('hands the leftover to a TLS server', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    const server = createTlsServer({ cert: testCertificate, key: testKey })
    const secured = new Promise<TLSSocket>(done => server.once('secureConnection', done))
    peer.write('PROXY\n')
    const client = keep(tlsConnect({ socket: peer, rejectUnauthorized: false }))
    expect(await readHead(socket, limits, line)).toBe('PROXY')
    // The ClientHello is looked at as well before TLS gets it.
    expect(
      await readHead(socket, limits, bytes =>
        bytes.length < 6 ? undefined : { value: bytes[5], consumed: 0 },
      ),
    ).toBe(1)
    server.emit('connection', socket)
    const secure = keep(await secured)
    const seen = read(secure)
    client.end('hello')
    await seen.over
    expect(Buffer.concat(seen.chunks).toString()).toBe('hello')
  })

  it('works for a client that ends its side together with the head, and the end is seen later', async () => {
    const { connection, peer } = await pair('tcp')
    peer.end('head\nrest')
    await new Promise(setImmediate)
    expect(await readHead(connection.socket, limits, line)).toBe('head')
    const seen = read(connection.socket)
    await seen.over
    expect(Buffer.concat(seen.chunks).toString()).toBe('rest')
    expect(seen.ended).toBe(true)
    expect(connection.socket.writable).toBe(true)
    const answer = read(peer)
    connection.socket.end('answer')
    await answer.over
    expect(Buffer.concat(answer.chunks).toString()).toBe('answer')
  })

  it('says of a socket whose end was seen that it is closed, rather than to wait', async () => {
    const { connection, peer } = await pair('tcp')
    peer.end('head\n')
    expect(await readHead(connection.socket, limits, line)).toBe('head')
    await expect(readHead(connection.socket, limits, line)).rejects.toMatchObject({
      code: 'DOWNSTREAM_CLOSED',
    })
    await expect(readHead(connection.socket, limits, line)).rejects.toMatchObject({
      code: 'DOWNSTREAM_CLOSED',
    })
  })

  it('gives up when the time is over', async () => {
    const { connection, peer } = await pair('tcp')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const promise = readHead(connection.socket, { ...limits, timeout: 3000 }, line)
    peer.write('never a line')
    await until(() => connection.socket.bytesRead === 12)
    await new Promise(setImmediate)
    vi.advanceTimersByTime(2999)
    const outcome = expect(promise).rejects.toMatchObject({
      code: 'PEEK_TIMEOUT',
      message: 'a line did not arrive within 3000 ms (12 bytes came)',
    })
    vi.advanceTimersByTime(1)
    await outcome
    expect(vi.getTimerCount()).toBe(0)
  })

  it('gives up when the bytes are more than the limit', async () => {
    const { connection, peer } = await pair('tcp')
    const promise = readHead(connection.socket, { ...limits, limit: 100 }, line)
    peer.write('x'.repeat(99))
    await until(() => connection.socket.bytesRead === 99)
    peer.write('y')
    await expect(promise).rejects.toMatchObject({ code: 'PEEK_LIMIT' })
  })

  it('takes a limit that is no number for none at all, and gives up', async () => {
    const { connection, peer } = await pair('tcp')
    const promise = readHead(connection.socket, { ...limits, limit: Number.NaN }, line)
    peer.write('x')
    await expect(promise).rejects.toMatchObject({ code: 'PEEK_LIMIT' })
  })

  it('passes on what the parser throws, and takes its listeners and timer away', async () => {
    const { connection, peer } = await pair('tcp')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const before = ours.map(name => connection.socket.listenerCount(name))
    peer.write('x')
    const error = new Error('no')
    await expect(
      readHead(connection.socket, limits, () => {
        throw error
      }),
    ).rejects.toBe(error)
    expect(ours.map(name => connection.socket.listenerCount(name))).toEqual(before)
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['an end', 'DOWNSTREAM_CLOSED', (one: Awaited<ReturnType<typeof pair>>) => one.peer.end()],
    ['a reset', 'DOWNSTREAM_RESET', (one: Awaited<ReturnType<typeof pair>>) => one.peer.resetAndDestroy()],
    [
      'a close on this side',
      'DOWNSTREAM_CLOSED',
      (one: Awaited<ReturnType<typeof pair>>) => one.connection.reset(),
    ],
  ])('tells %s before the head was complete', async (_, code, act) => {
    const one = await pair('tcp')
    const promise = readHead(one.connection.socket, limits, line)
    one.peer.write('hea')
    await until(() => one.connection.socket.bytesRead === 3)
    act(one)
    await expect(promise).rejects.toMatchObject({ code })
  })

  it('tells a reset that came before it was asked', async () => {
    const { connection, peer } = await pair('tcp')
    connection.socket.on('error', () => {})
    peer.resetAndDestroy()
    const seen = read(connection.socket)
    await seen.over
    await closed(connection.socket)
    await expect(readHead(connection.socket, limits, line)).rejects.toMatchObject({
      code: 'DOWNSTREAM_RESET',
    })
  })

  it('stores 64 KB that come one byte at a time without copying them again and again', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    const copied = vi.spyOn(Buffer.prototype, 'copy')
    let calls = 0
    const promise = readHead(socket, { ...limits, limit: 70_000 }, bytes => {
      calls += 1
      return bytes.length === 65_536 ? { value: bytes[65_535], consumed: 65_536 } : undefined
    })
    // Straight into the stream, as the kernel would join them on the way.
    for (let i = 0; i < 65_536; i += 1) {
      socket.push(Buffer.from([i & 0xff]))
      if (i % 64 === 0) await new Promise(setImmediate)
    }
    expect(await promise).toBe(255)
    // Each chunk once, and the store at each doubling: 17 times for 64 KB.
    const many = copied.mock.calls.length
    copied.mockRestore()
    expect(calls).toBeGreaterThan(900)
    expect(many).toBeLessThan(65_536 + 40)
    peer.destroy()
  })
})
