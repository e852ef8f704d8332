import { connect, type Socket } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { captureLogs, type LogLine } from '../../test/support/logs.ts'
import { closed, closeSockets, keep, read, type Seen, socketPath, until } from '../../test/support/sockets.ts'
import { type Service, Shutdown, SluiceError } from '../core/index.ts'
import type { Connection } from './connection.ts'
import { listen } from './listen.ts'
import type { Listener, ListenOptions } from './listen-options.ts'

const listeners: Listener[] = []
let lines: LogLine[] = []

beforeAll(() => {
  lines = captureLogs('info')
})
beforeEach(() => {
  lines.length = 0
})
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
  await closeSockets()
})

async function start(
  service: Service<Connection>,
  options: ListenOptions = {},
  at = '127.0.0.1:0',
): Promise<Listener> {
  const listener = await listen(at, options, service)
  listeners.push(listener)
  return listener
}

function dial({ address }: Listener): Socket {
  const to = address.family === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
  return keep(connect({ ...to, allowHalfOpen: true }))
}

function dialAndRead(listener: Listener): Seen & { socket: Socket } {
  const socket = dial(listener)
  return Object.assign(read(socket), { socket })
}

/** A service that keeps its connections open until it is told to let one go, or they are cut. */
function holding(options = { untilCut: true }) {
  const held: { connection: Connection; release: (error?: unknown) => void }[] = []
  const service: Service<Connection> = connection =>
    new Promise((resolve, reject) => {
      if (options.untilCut) connection.aborted.addEventListener('abort', () => resolve())
      held.push({ connection, release: error => (error === undefined ? resolve() : reject(error)) })
    })
  return { held, service }
}

/** Until so many timers and promises have run that what was going to happen has. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise(next => setImmediate(next))
}

describe('listen', () => {
  it('gives a connection with its id, addresses and signals, unread', async () => {
    const { held, service } = holding()
    const listener = await start(service)
    const peer = dial(listener)
    peer.write('early')
    await until(() => held.length === 1)
    await settle()
    const { connection } = held[0]!
    expect(connection.id).toMatch(/^\d+$/)
    expect(String(connection.local)).toBe(String(listener.address))
    expect(String(connection.peer)).toBe(`127.0.0.1:${peer.localPort}`)
    expect([connection.draining.aborted, connection.aborted.aborted]).toEqual([false, false])
    expect([connection.socket.bytesRead, connection.socket.readableLength]).toEqual([0, 0])
    expect(listener.counts).toEqual({ accepted: 1, serving: 1, waiting: 0, refused: 0 })
    const next = dial(listener)
    await until(() => held.length === 2)
    expect(Number(held[1]?.connection.id)).toBe(Number(connection.id) + 1)
    next.destroy()
  })

  it('gives unix connections the path of the listener', async () => {
    const { held, service } = holding()
    const path = socketPath()
    const listener = await start(service, {}, `unix:${path}`)
    dial(listener)
    await until(() => held.length === 1)
    expect(String(held[0]?.connection.local)).toBe(`unix:${path}`)
    expect(String(held[0]?.connection.peer)).toBe('unix:')
  })

  it('gives the IPv4 address of a client of a dual-stack listener', async () => {
    const { held, service } = holding()
    const { address } = await start(service, {}, ':0')
    keep(connect({ host: '127.0.0.1', port: address.family === 'unix' ? 0 : address.port }))
    await until(() => held.length === 1)
    expect(String(held[0]?.connection.peer)).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(String(held[0]?.connection.local)).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  it('closes in order when the service is done, and the client gets all', async () => {
    const listener = await start(({ socket }) => void socket.write(Buffer.alloc(1_000_000)))
    const seen = dialAndRead(listener)
    await seen.over
    seen.socket.end()
    expect([seen.bytes, seen.ended, seen.error]).toEqual([1_000_000, true, undefined])
    await until(() => listener.counts.serving === 0)
    expect(lines).toEqual([])
  })

  it('does not reset an answer away because of what the client still sends', async () => {
    const listener = await start(({ socket }) => void socket.write('refused'))
    const peer = dial(listener)
    peer.write(Buffer.alloc(1_000_000))
    await until(() => peer.writableLength === 0 && peer.bytesWritten > 0)
    const seen = read(peer)
    await seen.over
    expect([Buffer.concat(seen.chunks).toString(), seen.error]).toEqual(['refused', undefined])
    peer.end()
    await closed(peer)
    expect(seen.error).toBe(undefined)
  })

  it('does not wait for a client that neither sends nor closes for more than a second', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const listener = await start(() => {})
    const seen = dialAndRead(listener)
    await seen.over
    await settle()
    expect(listener.counts.serving).toBe(1)
    vi.advanceTimersByTime(1000)
    await until(() => listener.counts.serving === 0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not wait for a client that goes on sending for more than five seconds', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const listener = await start(() => {})
    const seen = dialAndRead(listener)
    await seen.over
    for (let i = 0; i < 5; i += 1) {
      expect(listener.counts.serving).toBe(1)
      await new Promise<void>(sent => seen.socket.write('more', () => sent()))
      await settle()
      vi.advanceTimersByTime(1000)
    }
    await until(() => listener.counts.serving === 0)
  })

  it('cuts a client that takes none of its last bytes for thirty seconds', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const listener = await start(({ socket }) => void socket.write(Buffer.alloc(20_000_000)))
    const peer = dial(listener)
    peer.pause()
    await until(() => listener.counts.serving === 1)
    await settle()
    vi.advanceTimersByTime(29_000)
    await settle()
    expect(listener.counts.serving).toBe(1)
    vi.advanceTimersByTime(1000)
    await until(() => listener.counts.serving === 0)
  })

  it('gives a slow client all that was written, however long it takes', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const chunk = Buffer.alloc(200_000)
    const listener = await start(({ socket }) => {
      for (let i = 0; i < 150; i += 1) socket.write(chunk)
    })
    const peer = dial(listener)
    peer.pause()
    await until(() => listener.counts.serving === 1)
    let got = 0
    peer.on('data', (part: Buffer) => {
      got += part.length
      if (got % 3_000_000 < part.length) peer.pause()
    })
    const seen = { ended: false, error: false }
    peer.on('end', () => Object.assign(seen, { ended: true }))
    peer.on('error', () => Object.assign(seen, { error: true }))
    // 3 MB in 25 seconds are more than the kernel holds back without asking for more, and all 30 MB take over four minutes.
    while (!seen.ended && !seen.error) {
      peer.resume()
      await until(() => peer.isPaused() || seen.ended || seen.error)
      await settle()
      if (!seen.ended) vi.advanceTimersByTime(25_000)
      await settle()
    }
    expect([got, seen.error]).toEqual([30_000_000, false])
    peer.end()
    vi.advanceTimersByTime(1000)
    await until(() => listener.counts.serving === 0)
  })

  it.runIf(process.platform === 'linux')('lets as many wait in the kernel as its backlog says', async () => {
    const path = socketPath()
    const dialAll = async (): Promise<number> => {
      const codes = Array.from({ length: 12 }, () => {
        const socket = keep(connect({ path }))
        return new Promise(done => {
          socket.once('connect', () => done('connected'))
          socket.once('error', (error: NodeJS.ErrnoException) => done(error.code))
        })
      })
      return (await Promise.all(codes)).filter(code => code !== 'EAGAIN').length
    }
    const small = await start(() => {}, { backlog: 4 }, `unix:${path}`)
    // All connect in one turn of the event loop, in which nothing is accepted. Linux takes one more than it is told.
    expect(await dialAll()).toBe(5)
    await small.close(0)
    await start(() => {}, {}, `unix:${path}`)
    expect(await dialAll()).toBe(12)
  })

  it.each([
    { backlog: 0 },
    { backlog: -5 },
    { backlog: Number.NaN },
    { maxConnections: -1 },
    { waitTimeout: 0 },
  ])('does not start with %j', async options => {
    await expect(listen('127.0.0.1:0', options, () => {})).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  describe('when a service fails', () => {
    it.each<[string, Service<Connection>, object]>([
      [
        'throws',
        () => {
          throw new SluiceError('PROXY_HEADER_MISSING', 'no header')
        },
        { level: 'info', code: 'PROXY_HEADER_MISSING', side: 'downstream', msg: 'no header' },
      ],
      [
        'rejects',
        async () => {
          throw new SluiceError('CONNECT_REFUSED', 'no backend')
        },
        { level: 'warn', code: 'CONNECT_REFUSED', side: 'upstream', msg: 'no backend' },
      ],
      [
        'rejects with a coded error that has a cause',
        async () => {
          throw new SluiceError('CONNECT_FAILED', 'no backend', { cause: new Error('why') })
        },
        { code: 'CONNECT_FAILED', cause: { code: 'INTERNAL', message: 'why' } },
      ],
      [
        'rejects with an unforeseen error',
        async () => {
          throw new TypeError('oops')
        },
        { level: 'error', code: 'INTERNAL', msg: 'oops', error: { stack: expect.stringContaining('oops') } },
      ],
      [
        'rejects with an error of the platform about its arguments',
        async () => void Buffer.alloc(-1),
        { level: 'error', code: 'ERR_OUT_OF_RANGE' },
      ],
      [
        'rejects because the peer is gone',
        async () => {
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
        },
        { level: 'info', code: 'ECONNRESET' },
      ],
      [
        'rejects with something that is not an error',
        () => Promise.reject('just text'),
        { level: 'error', code: 'INTERNAL', msg: 'a service threw something that is not an error' },
      ],
      ['rejects with nothing', () => Promise.reject(undefined), { level: 'error', code: 'INTERNAL' }],
    ])('logs once and resets when it %s', async (_, service, expected) => {
      const ids: string[] = []
      const listener = await start(connection => {
        ids.push(connection.id)
        return service(connection)
      })
      const seen = dialAndRead(listener)
      await seen.over
      expect(seen.error).toBe('ECONNRESET')
      await until(() => listener.counts.serving === 0)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatchObject({
        ...expected,
        connection: ids[0],
        peer: expect.stringMatching(/^127\.0\.0\.1:/),
        address: String(listener.address),
      })
      // What is the message of the line is not said again.
      if (lines[0]?.side !== undefined) expect(lines[0]).not.toHaveProperty('error')
    })

    it('leaves no descriptor behind if it has just ended the socket', async () => {
      const listener = await start(async ({ socket }) => {
        socket.end('bad request')
        // In the same turn as the end, and once its FIN is on the way.
        await new Promise<void>(next => process.nextTick(next))
        throw new SluiceError('HTTP_REQUEST_LINE_MALFORMED', 'not a request line')
      })
      const before = process.getActiveResourcesInfo().length
      for (let i = 0; i < 20; i += 1) {
        const seen = dialAndRead(listener)
        await seen.over
        expect(seen.bytes).toBe(11)
        seen.socket.destroy()
        await closed(seen.socket)
      }
      await until(() => listener.counts.serving === 0)
      await settle()
      expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 2)
    })
  })

  describe('with as many connections as it may serve', () => {
    it('holds new ones unread, and serves them in order', async () => {
      const { held, service } = holding()
      const listener = await start(service, { maxConnections: 2 })
      const peers: Socket[] = []
      for (let i = 0; i < 5; i += 1) {
        const peer = dial(listener)
        peers.push(peer)
        peer.write(`${i}`)
        await until(() => listener.counts.accepted === i + 1)
      }
      await settle()
      expect(held).toHaveLength(2)
      expect(listener.counts).toEqual({ accepted: 5, serving: 2, waiting: 3, refused: 0 })
      for (let i = 0; i < 5; i += 1) {
        await until(() => held.length > i)
        const { connection, release } = held[i]!
        expect([connection.socket.bytesRead, connection.socket.readableLength]).toEqual([0, 0])
        expect(String(connection.peer)).toBe(`127.0.0.1:${peers[i]?.localPort}`)
        peers[i]?.end()
        release()
      }
      await until(() => listener.counts.serving === 0)
      expect(listener.counts).toEqual({ accepted: 5, serving: 0, waiting: 0, refused: 0 })
    })

    it('refuses with a reset when as many wait as may, counts, and logs once a second', async () => {
      const { service } = holding()
      const listener = await start(service, { maxConnections: 1, maxWaiting: 1 })
      dial(listener)
      await until(() => listener.counts.serving === 1)
      const waiting = dial(listener)
      await until(() => listener.counts.waiting === 1)
      for (let i = 0; i < 10; i += 1) {
        const seen = dialAndRead(listener)
        await seen.over
        expect(seen.error).toBe('ECONNRESET')
      }
      expect(waiting.destroyed).toBe(false)
      expect(listener.counts).toEqual({ accepted: 12, serving: 1, waiting: 1, refused: 10 })
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatchObject({ level: 'warn', code: 'CONNECTION_LIMIT', times: 1 })
    })

    it('refuses one that has waited too long', async () => {
      const { service } = holding()
      const listener = await start(service, { maxConnections: 1, waitTimeout: '10s' })
      dial(listener)
      await until(() => listener.counts.serving === 1)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const seen = dialAndRead(listener)
      await until(() => listener.counts.waiting === 1)
      vi.advanceTimersByTime(9999)
      expect(listener.counts.waiting).toBe(1)
      vi.advanceTimersByTime(1)
      expect(listener.counts).toMatchObject({ waiting: 0, refused: 1 })
      await seen.over
      expect(seen.error).toBe('ECONNRESET')
      expect(vi.getTimerCount()).toBe(0)
    })

    it('serves those that wait even if one of them is gone', async () => {
      const { held, service } = holding()
      const listener = await start(service, { maxConnections: 1 })
      const first = dial(listener)
      await until(() => held.length === 1)
      const gone = dial(listener)
      await until(() => listener.counts.waiting === 1)
      const last = dial(listener)
      await until(() => listener.counts.waiting === 2)
      gone.resetAndDestroy()
      await closed(gone)
      first.end()
      held[0]?.release()
      await until(() => held.length === 2)
      if (String(held[1]?.connection.peer) !== `127.0.0.1:${last.localPort}`) {
        // Node does not know of the reset until it reads.
        const seen = read(held[1]!.connection.socket)
        await seen.over
        held[1]?.release()
        await until(() => held.length === 3)
      }
      expect(listener.counts).toMatchObject({ serving: 1, waiting: 0, refused: 0 })
    })
  })

  it('serves nobody for a second after an error of accept, and says so once', async () => {
    const { held, service } = holding()
    const listener = await start(service)
    dial(listener)
    await until(() => held.length === 1)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { server } = held[0]!.connection.socket as Socket & { server: NodeJS.EventEmitter }
    for (let i = 0; i < 100; i += 1) {
      server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))
    }
    dial(listener)
    await until(() => listener.counts.waiting === 1)
    vi.advanceTimersByTime(999)
    expect(held).toHaveLength(1)
    vi.advanceTimersByTime(1)
    expect(held).toHaveLength(2)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ level: 'error', code: 'EMFILE', address: String(listener.address) })
  })

  it('survives connections that are reset before they are accepted', async () => {
    const { held, service } = holding()
    const listener = await start(service)
    const peers = Array.from({ length: 20 }, () => dial(listener))
    for (const peer of peers) peer.once('connect', () => peer.resetAndDestroy())
    await Promise.all(peers.map(closed))
    const last = dial(listener)
    await until(() => held.some(({ connection }) => String(connection.peer).endsWith(`:${last.localPort}`)))
    for (const { connection, release } of held) {
      if (!String(connection.peer).endsWith(`:${last.localPort}`)) {
        const seen = read(connection.socket)
        await seen.over
        release()
      }
    }
    await until(() => listener.counts.serving === 1)
  })

  describe('when it drains', () => {
    it('lets what is open finish, refuses what waits and what is new, and ends', async () => {
      const { held, service } = holding()
      const listener = await start(service, { maxConnections: 1 })
      const open = dialAndRead(listener)
      await until(() => held.length === 1)
      const waiting = dialAndRead(listener)
      await until(() => listener.counts.waiting === 1)
      let isClosed = false
      const done = listener.close().then(() => {
        isClosed = true
      })
      expect(held[0]?.connection.draining.aborted).toBe(true)
      await waiting.over
      expect(waiting.error).toBe('ECONNRESET')
      const late = dialAndRead(listener)
      await late.over
      expect(late.error).toBe('ECONNREFUSED')
      held[0]?.connection.socket.write('the answer')
      await until(() => open.bytes === 10)
      expect(isClosed).toBe(false)
      open.socket.end()
      held[0]?.release()
      await done
      expect([open.ended, open.error]).toEqual([true, undefined])
      expect(listener.counts).toEqual({ accepted: 2, serving: 0, waiting: 0, refused: 1 })
      expect(lines).toEqual([])
    })

    it('cuts with a reset what is open when the limit has passed', async () => {
      const { held, service } = holding()
      const listener = await start(service)
      const seen = dialAndRead(listener)
      await until(() => held.length === 1)
      await listener.close(50)
      await seen.over
      expect(seen.error).toBe('ECONNRESET')
      expect(listener.counts.serving).toBe(0)
    })

    it('does not wait for ever for a service that does not settle', async () => {
      const { held, service } = holding({ untilCut: false })
      const listener = await start(service)
      dial(listener)
      await until(() => held.length === 1)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const done = listener.close(100)
      vi.advanceTimersByTime(100)
      expect(held[0]?.connection.socket.destroyed).toBe(true)
      vi.advanceTimersByTime(1000)
      await done
    })

    it('takes the earlier limit if it is closed twice, and leaves no timer', async () => {
      const { held, service } = holding()
      const listener = await start(service)
      dial(listener)
      await until(() => held.length === 1)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const both = [listener.close('1h'), listener.close(100), listener.close('2h')]
      vi.advanceTimersByTime(100)
      await Promise.all(both)
      await listener.close()
      await listener[Symbol.asyncDispose]()
      expect(vi.getTimerCount()).toBe(0)
    })

    it('follows a shutdown, which waits for it', async () => {
      const shutdown = new Shutdown()
      const { held, service } = holding()
      const listener = await start(service, { shutdown })
      const seen = dialAndRead(listener)
      await until(() => held.length === 1)
      const outcome = shutdown.drain('SIGTERM')
      await settle()
      expect(held[0]?.connection.draining.aborted).toBe(true)
      expect(held[0]?.connection.aborted.aborted).toBe(false)
      seen.socket.end()
      held[0]?.release()
      expect(await outcome).toMatchObject({ reason: 'SIGTERM', result: 'drained', open: [] })
      await seen.over
      expect(seen.ended).toBe(true)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      await listener.close()
      expect(vi.getTimerCount()).toBe(0)
    })

    it('tells the shutdown what it had to cut', async () => {
      const shutdown = new Shutdown({ limit: 30 })
      const { held, service } = holding()
      const listener = await start(service, { shutdown })
      const seen = dialAndRead(listener)
      await until(() => held.length === 1)
      const { id } = held[0]!.connection
      const port = seen.socket.localPort
      expect(await shutdown.drain()).toMatchObject({
        result: 'cut',
        open: [`1 connection on ${listener.address} (${id} from 127.0.0.1:${port})`],
      })
      await seen.over
      expect(seen.error).toBe('ECONNRESET')
    })

    it('closes at once if the shutdown is draining already', async () => {
      const shutdown = new Shutdown()
      await shutdown.drain()
      const listener = await start(() => {}, { shutdown })
      const late = dialAndRead(listener)
      await late.over
      expect(late.error).toBe('ECONNREFUSED')
      await listener.close()
    })

    it('lets go of the shutdown when it is closed by itself', async () => {
      const shutdown = new Shutdown()
      const removed = vi.spyOn(shutdown.draining, 'removeEventListener')
      const listener = await start(() => {}, { shutdown })
      await listener.close()
      expect(removed).toHaveBeenCalledTimes(1)
      expect(await shutdown.drain()).toMatchObject({ result: 'drained' })
    })
  })

  it('is back at nothing after 2,000 connections', async () => {
    const listener = await start(async ({ socket, id }) => {
      // Some end, some are left to the listener, some fail.
      if (Number(id) % 3 === 0) socket.end('x')
      else if (Number(id) % 3 === 1) throw new SluiceError('PEEK_TIMEOUT', 'too slow')
    })
    await settle()
    const before = process.getActiveResourcesInfo().length
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const { socket, over } = dialAndRead(listener)
          await over
          socket.end()
          await closed(socket)
        }),
      )
      await closeSockets()
    }
    await until(() => listener.counts.serving === 0)
    await settle()
    expect(listener.counts).toMatchObject({ accepted: 2000, serving: 0, waiting: 0, refused: 0 })
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before)
  })
})
