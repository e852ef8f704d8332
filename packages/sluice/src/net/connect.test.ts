import dns from 'node:dns'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  closed,
  closeSockets,
  keep,
  read,
  socketPath,
  startServer,
  until,
} from '../../test/support/sockets.ts'
import { type Endpoint, IpAddress, NamedAddress, UnixAddress } from './address.ts'
import type { Connected } from './connect.ts'
import { connectTcp } from './connect.ts'

type LookupDone = (error: Error | null, addresses: { address: string; family: number }[]) => void

const servers: Server[] = []

afterEach(async () => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  await closeSockets()
  await Promise.all(servers.splice(0).map(server => new Promise(done => server.close(done))))
})

const connector = connectTcp()

async function connect(to: Endpoint, signal?: AbortSignal): Promise<Connected> {
  const stream = await connector({ to, signal })
  keep(stream.socket)
  return stream
}

/** A server that speaks first. */
async function speaking(): Promise<{ to: IpAddress; accepted: Socket[] }> {
  const accepted: Socket[] = []
  const { address } = await startServer('tcp', socket => {
    accepted.push(socket)
    socket.write('banner')
  })
  return { to: new IpAddress('ipv4', '127.0.0.1', 'port' in address ? address.port : 0), accepted }
}

async function listenOn(host: string): Promise<number> {
  const server = createServer(socket => keep(socket).end(host))
  servers.push(server)
  await new Promise<void>(done => server.listen({ host, port: 0, ipv6Only: true }, done))
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}

/** A port of 127.0.0.1 on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const bound = server.address()
  await new Promise(done => server.close(done))
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}

/** A signal that tells whether listeners were left on it. */
function countedSignal() {
  const controller = new AbortController()
  let listening = 0
  const { signal } = controller
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = ((...args: Parameters<typeof add>) => {
    listening += 1
    add(...args)
  }) as typeof signal.addEventListener
  signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
    listening -= 1
    remove(...args)
  }) as typeof signal.removeEventListener
  return { controller, signal, listening: () => listening }
}

describe('connectTcp', () => {
  it('connects over TCP, with halves that end apart', async () => {
    const { to, accepted } = await speaking()
    const { socket } = await connect(to)
    expect(socket.allowHalfOpen).toBe(true)
    await until(() => accepted.length === 1)
    const seen = read(socket)
    await until(() => seen.bytes === 6)
    accepted[0]?.end()
    await seen.over
    // Its own side is still open after the other's end.
    const atServer = read(accepted[0]!)
    socket.end('late')
    await atServer.over
    expect(atServer.bytes).toBe(4)
  })

  it('sets TCP_NODELAY and keep-alive on the socket of the system', async () => {
    const { to } = await speaking()
    const { socket } = await connect(to)
    const { _handle } = socket as Socket & { _handle: object }
    const handles = Object.getPrototypeOf(_handle)
    const nagle = vi.spyOn(handles, 'setNoDelay')
    const alive = vi.spyOn(handles, 'setKeepAlive')
    await connect(to)
    expect(nagle).toHaveBeenCalledWith(true)
    expect(alive.mock.calls[0]?.slice(0, 2)).toEqual([true, 60])
  })

  it('reads nothing before somebody reads', async () => {
    const { to, accepted } = await speaking()
    const { socket } = await connect(to)
    await until(() => accepted[0]?.writableLength === 0)
    for (let i = 0; i < 20; i += 1) await new Promise(next => setImmediate(next))
    expect([socket.bytesRead, socket.readableLength]).toEqual([0, 0])
    const seen = read(socket)
    await until(() => seen.bytes === 6)
  })

  it('connects to a unix socket', async () => {
    const { address } = await startServer('unix', socket => socket.end('hi'))
    const { socket } = await connect(new UnixAddress('path' in address ? address.path : ''))
    const seen = read(socket)
    await seen.over
    expect(seen.bytes).toBe(2)
  })

  it.each(['127.0.0.1', '::1'])(
    'finds a server by name that listens on %s only, whichever address comes first',
    async host => {
      const port = await listenOn(host)
      const both = [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ]
      for (const addresses of [both, both.toReversed()]) {
        vi.spyOn(dns, 'lookup').mockImplementation(((_name: string, _options: object, done: LookupDone) =>
          done(null, addresses)) as never)
        const { socket } = await connect(new NamedAddress('backend.test', port))
        const seen = read(socket)
        await seen.over
        expect(Buffer.concat(seen.chunks).toString()).toBe(host)
      }
    },
  )

  it('resets what it connected', async () => {
    const { to, accepted } = await speaking()
    const stream = await connect(to)
    await until(() => accepted.length === 1)
    const seen = read(accepted[0]!)
    stream.reset()
    await seen.over
    expect(seen.error).toBe('ECONNRESET')
  })

  it('says that nobody listens', async () => {
    const to = new IpAddress('ipv4', '127.0.0.1', await freePort())
    await expect(connect(to)).rejects.toMatchObject({
      code: 'CONNECT_REFUSED',
      message: `${to} refused the connection; is the backend running there?`,
      side: 'upstream',
      cause: { code: 'ECONNREFUSED' },
    })
  })

  it('says that nobody listens on any address of a name', async () => {
    const to = new NamedAddress('localhost', await freePort())
    await expect(connect(to)).rejects.toMatchObject({
      code: 'CONNECT_REFUSED',
      cause: { code: 'ECONNREFUSED' },
    })
  })

  it('says that a unix socket does not exist, or has nobody behind it', async () => {
    const path = socketPath()
    await expect(connect(new UnixAddress(path))).rejects.toMatchObject({
      code: 'CONNECT_REFUSED',
      message: `unix:${path} does not exist; is the backend running there?`,
    })
  })

  it('says that a name does not exist', async () => {
    await expect(connect(new NamedAddress('nobody.invalid', 80))).rejects.toMatchObject({
      code: 'CONNECT_NAME',
      message: expect.stringMatching(/^nobody\.invalid:80 has a name that /),
    })
  })

  it('gives a code to what the platform refuses by throwing', async () => {
    await expect(connect(new IpAddress('ipv4', '127.0.0.1', 70_000))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    })
  })

  it('gives up when the time is over, and closes its socket', async () => {
    const { to } = await speaking()
    const opened = spyOnConnecting()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const promise = connectTcp({ timeout: '2s' })({ to })
    // In the same turn: the handshake has not been seen yet.
    vi.advanceTimersByTime(2000)
    await expect(promise).rejects.toMatchObject({
      code: 'CONNECT_TIMEOUT',
      message: `${to} did not accept a connection within 2000 ms`,
      status: 504,
    })
    expect(vi.getTimerCount()).toBe(0)
    expect(opened()).toBe(0)
  })

  it('does not connect at all for a signal that is aborted already', async () => {
    const { to, accepted } = await speaking()
    const reason = new Error('enough')
    await expect(connect(to, AbortSignal.abort(reason))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: `connecting to ${to} was given up`,
      cause: reason,
    })
    await connect(to)
    await until(() => accepted.length > 0)
    expect(accepted).toHaveLength(1)
  })

  it('gives up at the signal, and leaves nothing on it', async () => {
    const { to } = await speaking()
    const { controller, signal, listening } = countedSignal()
    const promise = connect(to, signal)
    expect(listening()).toBe(1)
    controller.abort()
    await expect(promise).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    expect(listening()).toBe(0)
  })

  it('leaves no listener on the signal and no timer when it has connected or failed', async () => {
    const { to } = await speaking()
    const { signal, listening } = countedSignal()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { socket } = await connect(to, signal)
    expect(socket.listenerCount('connect')).toBe(0)
    await expect(connect(new IpAddress('ipv4', '127.0.0.1', await freePort()), signal)).rejects.toMatchObject(
      { code: 'CONNECT_REFUSED' },
    )
    expect([listening(), vi.getTimerCount()]).toEqual([0, 0])
  })

  it('takes an error of a socket that nobody listens to yet', async () => {
    const { to, accepted } = await speaking()
    const { socket } = await connectTcp()({ to })
    await until(() => accepted.length === 1)
    socket.destroy(new Error('lost'))
    await closed(socket)
  })

  it('refuses a limit of nothing', () => {
    expect(() => connectTcp({ timeout: 0 })).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
  })

  it('refuses a limit that is no duration', () => {
    expect(() => connectTcp({ timeout: 'soon' as never })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    )
  })
})

/** Counts the sockets of the process that are open or connecting, against now. */
function spyOnConnecting(): () => number {
  const count = (): number =>
    process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap' || name === 'TCPConnectWrap')
      .length
  const before = count()
  return () => Math.max(0, count() - before - 1)
}
