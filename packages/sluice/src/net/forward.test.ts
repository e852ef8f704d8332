import { connect as dialTo, type Socket } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { captureLogs, type LogLine } from '../../test/support/logs.ts'
import { closeSockets, keep, read, type Seen, startServer, until } from '../../test/support/sockets.ts'
import { stack } from '../core/index.ts'
import { IpAddress } from './address.ts'
import type { ConnectLayer, Connector } from './connect.ts'
import type { Connection } from './connection.ts'
import { type ForwardOptions, forward } from './forward.ts'
import { listen } from './listen.ts'
import type { Listener } from './listen-options.ts'

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

interface Proxy {
  readonly listener: Listener
  readonly to: IpAddress
  /** The backend's ends. */
  readonly accepted: Socket[]
  /** Stops the backend's listening. */
  readonly stop: () => void
}

async function proxy(onConnection: (socket: Socket) => void, options: ForwardOptions = {}): Promise<Proxy> {
  const accepted: Socket[] = []
  const { server, address } = await startServer('tcp', socket => {
    accepted.push(socket)
    onConnection(socket)
  })
  const to = new IpAddress('ipv4', '127.0.0.1', 'port' in address ? address.port : 0)
  const listener = await listen('127.0.0.1:0', {}, stack<Connection>().service(forward(to, options)))
  listeners.push(listener)
  return { listener, to, accepted, stop: () => server.close() }
}

function dial({ listener: { address } }: Proxy): Seen & { socket: Socket } {
  if (address.family === 'unix') throw new Error('not here')
  const socket = keep(dialTo({ host: address.host, port: address.port, allowHalfOpen: true }))
  return Object.assign(read(socket), { socket })
}

/** A connector whose connecting is under way until it is told to go on, and that heeds the signal. */
function slowly() {
  const requests: { signal: AbortSignal | undefined; go: () => void }[] = []
  const layer =
    <C>(next: Connector<C>): Connector<C> =>
    async request => {
      await new Promise<void>((go, giveUp) => {
        request.signal?.addEventListener('abort', () => giveUp(new Error('given up')))
        requests.push({ signal: request.signal, go })
      })
      return next(request)
    }
  return { requests, layer }
}

describe('forward', () => {
  it('relays both ways and logs the outcome once', async () => {
    const one = await proxy(socket => {
      socket.once('data', chunk => socket.end(`you said ${chunk}`))
      socket.resume()
    })
    const client = dial(one)
    client.socket.write('hello')
    await client.over
    const port = client.socket.localPort
    client.socket.end()
    expect(Buffer.concat(client.chunks).toString()).toBe('you said hello')
    await until(() => one.listener.counts.serving === 0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'info',
      target: 'forward',
      msg: 'relayed',
      connection: expect.stringMatching(/^\d+$/),
      peer: `127.0.0.1:${port}`,
      to: String(one.to),
      reason: 'upstream-end',
      up: 5,
      down: 14,
      duration: expect.any(Number),
    })
  })

  it('passes on what a backend says first', async () => {
    const one = await proxy(socket => socket.write('220 ready'))
    const client = dial(one)
    await until(() => client.bytes === 9)
  })

  it('serves a client that has ended its side before the backend was connected', async () => {
    const slow = slowly()
    const one = await proxy(
      socket => {
        const seen = read(socket)
        void seen.over.then(() => socket.end(`${seen.bytes} bytes`))
      },
      { connect: slow.layer },
    )
    for (const request of ['', 'request']) {
      const client = dial(one)
      client.socket.end(request)
      await until(() => slow.requests.length > 0)
      // The end is there before the relay.
      for (let i = 0; i < 20; i += 1) await new Promise(next => setImmediate(next))
      slow.requests.pop()?.go()
      await client.over
      expect([Buffer.concat(client.chunks).toString(), client.error]).toEqual([
        `${request.length} bytes`,
        undefined,
      ])
    }
  })

  it('resets the client and logs one line when the backend is down', async () => {
    const one = await proxy(() => {})
    one.stop()
    const client = dial(one)
    await client.over
    expect(client.error).toBe('ECONNRESET')
    await until(() => one.listener.counts.serving === 0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'warn',
      code: 'CONNECT_REFUSED',
      msg: `${one.to} refused the connection; is the backend running there?`,
    })
  })

  it('gives up connecting when the client resets in the meantime', async () => {
    const slow = slowly()
    const one = await proxy(() => {}, { connect: slow.layer })
    const client = dial(one)
    await until(() => slow.requests.length === 1)
    client.socket.resetAndDestroy()
    await until(() => one.listener.counts.serving === 0)
    expect(slow.requests[0]?.signal?.aborted).toBe(true)
    expect(one.accepted).toHaveLength(0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'info',
      code: 'DOWNSTREAM_RESET',
      msg: `the client went away before a connection to ${one.to} had been made`,
    })
  })

  it('cuts the backend if the client went away and the connector did not heed it', async () => {
    const requests: (() => void)[] = []
    const one = await proxy(() => {}, {
      connect: next => async request => {
        const connected = await next({ ...request, signal: undefined })
        await new Promise<void>(go => requests.push(go))
        return connected
      },
    })
    const client = dial(one)
    await until(() => requests.length === 1)
    client.socket.resetAndDestroy()
    const seen = read(one.accepted[0]!)
    for (let i = 0; i < 20; i += 1) await new Promise(next => setImmediate(next))
    requests[0]?.()
    await seen.over
    expect(seen.error).toBe('ECONNRESET')
    await until(() => one.listener.counts.serving === 0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ reason: 'client-reset', up: 0, down: 0 })
  })

  it('gives up connecting when the listener cuts its connections', async () => {
    const slow = slowly()
    const one = await proxy(() => {}, { connect: slow.layer })
    dial(one)
    await until(() => slow.requests.length === 1)
    await one.listener.close(0)
    expect(slow.requests[0]?.signal?.aborted).toBe(true)
    expect(one.accepted).toHaveLength(0)
  })

  it('reads no more than a buffer ahead while it connects', async () => {
    const slow = slowly()
    const one = await proxy(socket => void read(socket), { connect: slow.layer })
    const client = dial(one)
    await until(() => slow.requests.length === 1)
    const chunk = Buffer.alloc(65_536)
    for (let i = 0; i < 320; i += 1) client.socket.write(chunk)
    let before = -1
    while (client.socket.writableLength !== before) {
      before = client.socket.writableLength
      for (let i = 0; i < 50; i += 1) await new Promise(next => setImmediate(next))
    }
    // What the kernel takes for both sockets is some megabytes; the rest waits at the client.
    expect(before).toBeGreaterThan(5_000_000)
    client.socket.end()
    slow.requests[0]?.go()
    await until(() => one.accepted.length === 1 && one.accepted[0]?.readableEnded === true)
    expect(one.accepted[0]?.bytesRead).toBe(320 * 65_536)
    one.accepted[0]?.end()
    await client.over
  })

  it('passes on the end of a backend that accepts and closes', async () => {
    const one = await proxy(socket => socket.end())
    const client = dial(one)
    await client.over
    expect([client.ended, client.error]).toEqual([true, undefined])
    client.socket.end()
    await until(() => one.listener.counts.serving === 0)
    expect(lines).toMatchObject([{ reason: 'upstream-end', up: 0, down: 0 }])
  })

  it('resets the client of a backend that resets as soon as it accepts', async () => {
    const one = await proxy(socket => socket.resetAndDestroy())
    const client = dial(one)
    await client.over
    expect(client.error).toBe('ECONNRESET')
    await until(() => one.listener.counts.serving === 0)
    // The platform may see the reset while it still connects, or after.
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines[0])).toContain('ECONNRESET')
  })

  it('resets the client of a backend that resets later', async () => {
    const one = await proxy(socket => {
      socket.once('data', () => socket.resetAndDestroy())
      socket.resume()
    })
    const client = dial(one)
    client.socket.write('x')
    await client.over
    expect(client.error).toBe('ECONNRESET')
    await until(() => one.listener.counts.serving === 0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ msg: 'relayed', reason: 'upstream-reset', code: 'ECONNRESET' })
  })

  it('lets a client wait whose backend does not read, until the drain limit cuts both', async () => {
    const one = await proxy(() => {})
    const client = dial(one)
    const chunk = Buffer.alloc(65_536)
    for (let i = 0; i < 640; i += 1) client.socket.write(chunk)
    let before = -1
    while (client.socket.writableLength !== before) {
      before = client.socket.writableLength
      for (let i = 0; i < 50; i += 1) await new Promise(next => setImmediate(next))
    }
    expect(before).toBeGreaterThan(10_000_000)
    await one.listener.close(20)
    await client.over
    expect(client.error).toMatch(/^(ECONNRESET|EPIPE)$/)
    const seen = read(one.accepted[0]!)
    await seen.over
    expect(seen.bytes).toBeLessThan(640 * 65_536)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ reason: 'cut' })
  })

  it('keeps to its idle limit', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const one = await proxy(() => {}, { idleTimeout: '10s' })
    const client = dial(one)
    await until(() => vi.getTimerCount() > 0)
    vi.advanceTimersByTime(10_000)
    await client.over
    expect(client.error).toBe('ECONNRESET')
    await until(() => lines.length > 0)
    expect(lines[0]).toMatchObject({ reason: 'idle', code: 'RELAY_IDLE' })
  })

  it('takes several connect layers, in the order in which they write', async () => {
    const saying =
      (word: string): ConnectLayer =>
      next =>
      async request => {
        const connected = await next(request)
        connected.socket.write(word)
        return connected
      }
    const one = await proxy(socket => socket.pipe(socket), { connect: [saying('first '), saying('second ')] })
    const client = dial(one)
    client.socket.end('client')
    await client.over
    expect(Buffer.concat(client.chunks).toString()).toBe('first second client')
  })

  it('refuses limits of nothing', () => {
    for (const options of [{ idleTimeout: 0 }, { halfClosedTimeout: 0 }, { connectTimeout: 0 }]) {
      const message = expect.stringContaining(Object.keys(options).join())
      expect(() => forward('127.0.0.1:1', options)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID', message }),
      )
    }
  })

  it('refuses bad addresses and limits when it is made', () => {
    expect(() => forward('not an address')).toThrow(expect.objectContaining({ code: 'ADDRESS_INVALID' }))
    for (const options of [{ idleTimeout: 'x' }, { halfClosedTimeout: 'x' }, { connectTimeout: 'x' }]) {
      expect(() => forward('127.0.0.1:1', options as never)).toThrow(
        expect.objectContaining({ code: 'DURATION_INVALID' }),
      )
    }
  })
})
