// Whatever clients and backends do, the terminator goes on: nothing uncaught, each connection's end told in exactly one
// line, nothing left open, and the next good request served.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  damaged,
  helloMessage,
  inRecords,
  other,
  record,
  supportedVersions,
} from '../support/client-hello.ts'
import { captureLogs, type LogLine } from '../support/logs.ts'
import { freePort } from '../support/peers.ts'
import {
  all,
  dial,
  greet,
  plainBackend,
  REQUEST,
  realHello,
  secure,
  Terminator,
  type TerminatorOptions,
} from '../support/terminator.ts'

const lines = captureLogs('info')
const faults: unknown[] = []
const fault = (what: unknown): unknown => faults.push(what)
const warning = (what: Error): unknown => what.name !== 'ExperimentalWarning' && faults.push(what)

let usual: Terminator
/** Sluice does not read the ClientHello: TLS sees every byte first. */
let unread: Terminator
let behind: Terminator
let hello: Buffer
const cleanups: (() => unknown)[] = []

beforeAll(async () => {
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', fault)
  process.on('warning', warning)
  usual = await Terminator.start()
  unread = await Terminator.start({ clientHello: false })
  behind = await Terminator.start({ acceptProxy: true })
  hello = await realHello({ servername: 'localhost' })
})
afterAll(async () => {
  await Promise.all([usual.close(), unread.close(), behind.close()])
  process.off('uncaughtException', fault)
  process.off('unhandledRejection', fault)
  process.off('warning', warning)
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function started(options: TerminatorOptions): Promise<Terminator> {
  const terminator = await Terminator.start(options)
  cleanups.push(() => terminator.close())
  return terminator
}

async function backend(serve: (socket: Socket) => void): Promise<string> {
  const { to, close } = await plainBackend(serve)
  cleanups.push(close)
  return to
}

/** Looked at every few milliseconds; the limit of the test is its limit. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await wait(5)
}

const PROXY_HEADER = 'PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n'

/** Proves that all is well: a good request is served, and nothing went wrong in this process. */
async function expectGood(terminator: Terminator): Promise<void> {
  const { answer, from } = await greet(terminator.port, terminator === behind ? PROXY_HEADER : '')
  const client = terminator === behind ? '192.0.2.7:4321' : `127.0.0.1:${from}`
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer).toContain(`hello client ${client}`)
  expect(faults).toEqual([])
}

interface Aftermath {
  /** The line in which each connection's end was told. */
  readonly ends: readonly LogLine[]
  /** What the service behind said besides. */
  readonly failures: readonly LogLine[]
}

/** What was said of so many connections, when all of them are gone. */
async function after(terminator: Terminator, connections: number, act: () => unknown): Promise<Aftermath> {
  const accepted = terminator.edge.counts.accepted
  const before = lines.length
  await act()
  await until(() => terminator.edge.counts.accepted - accepted === connections && terminator.isIdle)
  const own = [usual, unread, behind].includes(terminator)
  await expectGood(own ? terminator : usual)
  await until(() => terminator.isIdle && usual.isIdle)

  const said = lines.slice(before)
  const edge = String(terminator.edge.address)
  const ends = said.filter(line => line.msg === 'relayed' || line.address === edge)
  const ids = ends.map(line => line.connection)
  expect(new Set(ids).size, 'one line a connection').toBe(ids.length)
  // The last is that of the good request.
  expect(ends.pop()).toMatchObject({ msg: 'relayed' })
  expect(ends, JSON.stringify(said, null, 1)).toHaveLength(connections)
  const failures = said.filter(line => line.code !== undefined && !ends.includes(line))
  const failed = failures.map(line => line.connection)
  expect(new Set(failed).size, JSON.stringify(failures, null, 1)).toBe(failed.length)
  return { ends, failures }
}

/** A connection that the terminator has begun to serve. */
async function served(terminator: Terminator): Promise<Socket> {
  const socket = await dial(terminator.port)
  await until(() => terminator.edge.counts.serving === 1)
  return socket
}

/** A connection on which something has been sent in clear. */
async function sent(terminator: Terminator, bytes: string | Buffer): Promise<Socket> {
  const socket = await served(terminator)
  await new Promise(resolve => socket.write(bytes, resolve))
  return socket
}

/** A TLS connection, which the service behind has begun to serve, with the TCP connection below. */
async function relayed(terminator: Terminator): Promise<{ socket: Socket; tls: TLSSocket }> {
  const socket = await served(terminator)
  const tls = await secure(socket)
  await until(() => terminator.service.counts.serving === 1)
  return { socket, tls }
}

const codes = (said: readonly LogLine[]): readonly unknown[] => said.map(({ code }) => code)

describe.each([
  ['with the ClientHello read', () => usual],
  ['with the ClientHello unread', () => unread],
])('a client that resets its connection, %s', (_, terminator) => {
  it('after connecting', async () => {
    const { ends } = await after(terminator(), 1, async () => (await served(terminator())).resetAndDestroy())
    expect(codes(ends)).toEqual(['TLS_HANDSHAKE_CLOSED'])
  })

  it.each([1, 5, 6, 43, 200, -1])('in the ClientHello, at offset %d', async offset => {
    const { ends } = await after(terminator(), 1, async () =>
      (await sent(terminator(), hello.subarray(0, offset))).resetAndDestroy(),
    )
    expect(codes(ends)).toEqual(['TLS_HANDSHAKE_CLOSED'])
  })

  it('in the middle of the handshake', async () => {
    const { ends } = await after(terminator(), 1, async () => {
      const socket = await sent(terminator(), hello)
      await once(socket, 'data')
      socket.resetAndDestroy()
    })
    expect(codes(ends)).toEqual(['TLS_HANDSHAKE_CLOSED'])
  })

  it('right after the handshake', async () => {
    const { ends } = await after(terminator(), 1, async () => {
      const socket = await served(terminator())
      await secure(socket)
      socket.resetAndDestroy()
    })
    // Whether the client's last message or its reset is seen first, is up to the system.
    expect([undefined, 'TLS_HANDSHAKE_CLOSED', 'DOWNSTREAM_RESET']).toContain(ends[0]?.code)
  })

  it.each([
    ['before the request', ''],
    ['in the middle of the request', 'GET / HTTP/1.1\r\nHost: loc'],
    [
      'in the middle of an upload',
      `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(100_000)}`,
    ],
    [
      'in the middle of a chunk',
      'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx',
    ],
  ])('%s', async (_, bytes) => {
    const { ends } = await after(terminator(), 1, async () => {
      const { socket, tls } = await relayed(terminator())
      await new Promise<unknown>(resolve => (bytes === '' ? resolve(0) : tls.write(bytes, resolve)))
      socket.resetAndDestroy()
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'client-reset', code: 'ECONNRESET' }])
  })

  it('in the middle of the answer', async () => {
    const { ends } = await after(terminator(), 1, async () => {
      const { socket, tls } = await relayed(terminator())
      tls.write('GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
      await once(tls, 'data')
      socket.resetAndDestroy()
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'client-reset' }])
  })
})

describe('a client behind a load balancer', () => {
  it.each([1, 6, 20, PROXY_HEADER.length - 1])('resets in the PROXY header, at offset %d', async offset => {
    const { ends } = await after(behind, 1, async () =>
      (await sent(behind, PROXY_HEADER.slice(0, offset))).resetAndDestroy(),
    )
    // Node 22 takes a reset that comes right behind data for an end.
    expect(['DOWNSTREAM_RESET', 'DOWNSTREAM_CLOSED']).toContain(ends[0]?.code)
  })

  it('resets between the PROXY header and the ClientHello', async () => {
    const { ends } = await after(behind, 1, async () => (await sent(behind, PROXY_HEADER)).resetAndDestroy())
    expect(['TLS_HANDSHAKE_CLOSED', 'DOWNSTREAM_RESET', 'DOWNSTREAM_CLOSED']).toContain(ends[0]?.code)
  })

  it.each([
    ['no header', () => hello, 'PROXY_HEADER_MISSING'],
    ['a malformed header', () => 'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n', 'PROXY_HEADER_MALFORMED'],
    ['a header that never ends', () => `PROXY TCP4 ${'1'.repeat(200)}`, 'PROXY_HEADER_TOO_LARGE'],
  ])('sends %s', async (_, bytes, code) => {
    const { ends } = await after(behind, 1, async () => all(await sent(behind, bytes())))
    expect(codes(ends)).toEqual([code])
  })
})

describe('a client that sends one byte at a time', () => {
  /** Passes on what clients send, byte by byte, each in a segment of its own. */
  async function slowly(to: number): Promise<number> {
    const server = createServer(async client => {
      client.on('error', () => {})
      const upstream = await dial(to)
      upstream.pipe(client)
      for await (const chunk of client) {
        for (const byte of chunk as Buffer) {
          upstream.write(Buffer.of(byte))
          await turn()
        }
      }
      upstream.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanups.push(() => server.close())
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  it.each([
    ['with the ClientHello read', () => usual],
    ['with the ClientHello unread', () => unread],
    ['behind a PROXY header', () => behind],
  ])('is served, %s', async (_, terminator) => {
    const port = await slowly(terminator().port)
    const { ends, failures } = await after(terminator(), 1, async () => {
      const { answer } = await greet(port, terminator() === behind ? PROXY_HEADER : '')
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello client /)
    })
    expect(ends).toMatchObject([{ msg: 'relayed' }])
    expect(failures).toEqual([])
  })
})

describe.each([
  ['with the ClientHello read', () => usual],
  ['with the ClientHello unread', () => unread],
])('a client that sends something else than TLS, %s', (_, terminator) => {
  it('plain HTTP', async () => {
    const { ends } = await after(terminator(), 1, async () => all(await sent(terminator(), REQUEST)))
    expect(codes(ends)).toEqual(['TLS_PLAIN_HTTP'])
  })

  it('garbage', async () => {
    const some = fc.uint8Array({ minLength: 1, maxLength: 300, size: 'max' })
    const inputs = fc.sample(some, { seed: 1, numRuns: 60 })
    const { ends } = await after(terminator(), inputs.length, async () => {
      for (const bytes of inputs) {
        const socket = await dial(terminator().port)
        socket.end(bytes)
        await all(socket)
      }
    })
    for (const code of codes(ends)) expect(code).toMatch(/^TLS_/)
    expect(codes(ends)).toContain('TLS_NOT_TLS')
  })

  it('a damaged ClientHello', async () => {
    const inputs = fc.sample(damaged(fc.constant(hello)), { seed: 1, numRuns: 60 })
    const { ends } = await after(terminator(), inputs.length, async () => {
      for (const bytes of inputs) {
        const socket = await dial(terminator().port)
        socket.end(bytes)
        await all(socket)
      }
    })
    for (const code of codes(ends)) expect(code).toMatch(/^TLS_/)
  })

  it('a ClientHello of 64 KB', async () => {
    const extensions = [supportedVersions([0x0304]), other(0xfafa, Buffer.alloc(65_000))]
    const { ends } = await after(terminator(), 1, async () => {
      const socket = await served(terminator())
      socket.end(inRecords(helloMessage({ extensions })))
      await all(socket)
    })
    if (terminator() === usual) expect(codes(ends)).toEqual(['TLS_CLIENT_HELLO_TOO_LARGE'])
    else expect(ends[0]?.code).toMatch(/^TLS_/)
  })

  it('a ClientHello of records with a byte each, or with none', async () => {
    for (const sizes of [1, 0]) {
      const { ends } = await after(terminator(), 1, async () => {
        const socket = await served(terminator())
        const records = Array.from({ length: 13_000 }, () => record(Buffer.alloc(sizes, 1)))
        socket.end(Buffer.concat(records))
        await all(socket)
      })
      expect(ends[0]?.code).toMatch(/^TLS_/)
    }
  })

  it('garbage in the middle of the handshake', async () => {
    const { ends } = await after(terminator(), 1, async () => {
      const socket = await sent(terminator(), hello)
      await once(socket, 'data')
      socket.end(Buffer.alloc(500, 0x17))
      await all(socket)
    })
    expect(ends[0]?.code).toMatch(/^TLS_/)
  })
})

it('survives garbage below TLS, after the handshake', async () => {
  const { ends } = await after(usual, 1, async () => {
    const { socket } = await relayed(usual)
    socket.write(Buffer.alloc(500, 0x17))
    await until(() => usual.isIdle)
    socket.destroy()
  })
  expect(ends).toMatchObject([{ msg: 'relayed', reason: 'client-reset' }])
})

describe('a client that closes its half', () => {
  it.each([
    ['after connecting', () => ''],
    ['in the ClientHello', () => hello.subarray(0, 100)],
    ['after the ClientHello', () => hello],
  ])('%s', async (_, bytes) => {
    for (const terminator of [usual, unread]) {
      const { ends } = await after(terminator, 1, async () => {
        const socket = await served(terminator)
        socket.end(bytes())
        await all(socket)
      })
      expect(codes(ends)).toEqual(['TLS_HANDSHAKE_CLOSED'])
    }
  })

  it('after the handshake', async () => {
    const { ends, failures } = await after(usual, 1, async () => {
      const { tls } = await relayed(usual)
      tls.end()
      expect(await all(tls)).toBe('')
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'client-end' }])
    expect(failures).toEqual([])
  })

  it('in the middle of a request', async () => {
    const { ends, failures } = await after(usual, 1, async () => {
      const { tls } = await relayed(usual)
      tls.end('GET / HTTP/1.1\r\nHost: loc')
      await all(tls)
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'client-end' }])
    expect(codes(failures)).toEqual(['DOWNSTREAM_CLOSED'])
  })

  it('after its request, and gets the answer', async () => {
    const { failures } = await after(usual, 1, async () => {
      const { tls } = await relayed(usual)
      tls.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      expect(await all(tls)).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello client /)
    })
    expect(failures).toEqual([])
  })
})

describe('behind TLS', () => {
  it.each([
    ['garbage', '\0\x01\x02\r\n\r\n', 400],
    ['no method', ' / HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx', 400],
    ['a bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 400],
    ['a head without an end', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}`, 431],
    [
      'a chunk that is none',
      'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
      400,
    ],
  ])('answers %s, and says so once', async (_, bytes, status) => {
    const { ends, failures } = await after(usual, 1, async () => {
      const { tls } = await relayed(usual)
      const answer = all(tls)
      tls.write(bytes)
      expect(await answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      tls.end()
    })
    expect(ends).toMatchObject([{ msg: 'relayed' }])
    expect(failures).toHaveLength(1)
    expect(failures[0]?.code).toMatch(/^HTTP_/)
  })

  it.each([
    ['garbage', Buffer.alloc(300, 0xff)],
    ['a frame that is too long', Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])],
    ['data on a stream that nobody opened', Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 7, 0])],
    ['settings with a bad length', Buffer.from([0, 0, 1, 4, 0, 0, 0, 0, 0, 0])],
  ])('ends an HTTP/2 session for %s after the preface, and says so once', async (_, bytes) => {
    const { ends, failures } = await after(usual, 1, async () => {
      const socket = await served(usual)
      const tls = await secure(socket, { ALPNProtocols: ['h2'] })
      expect(tls.alpnProtocol).toBe('h2')
      const answer = all(tls)
      tls.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
      tls.write(bytes)
      await answer
      tls.end()
    })
    expect(ends).toMatchObject([{ msg: 'relayed' }])
    expect(codes(failures)).toEqual(['HTTP2_PROTOCOL'])
  })
})

describe('a backend', () => {
  it('that is down', async () => {
    const down = await started({ to: `127.0.0.1:${await freePort()}` })
    const { ends } = await after(down, 5, async () => {
      for (let count = 0; count < 5; count++) await greet(down.port).catch(() => {})
    })
    expect(new Set(codes(ends))).toEqual(new Set(['CONNECT_REFUSED']))
  })

  it('that accepts and closes', async () => {
    const closing = await started({ to: await backend(socket => socket.resume().end()) })
    const { ends } = await after(closing, 5, async () => {
      for (let count = 0; count < 5; count++) {
        const tls = await secure(await served(closing))
        expect(await all(tls)).toBe('')
        tls.end()
        await until(() => closing.isIdle)
      }
    })
    for (const end of ends) expect(end).toMatchObject({ msg: 'relayed', reason: 'upstream-end' })
  })

  it('that accepts and resets', async () => {
    const resetting = await started({ to: await backend(socket => socket.resetAndDestroy()) })
    const { ends } = await after(resetting, 5, async () => {
      for (let count = 0; count < 5; count++) {
        await greet(resetting.port).catch(() => {})
        await until(() => resetting.isIdle)
      }
    })
    // Whether it has connected before it is reset, is up to the system.
    for (const { code, reason } of ends)
      expect(['CONNECT_FAILED', 'upstream-reset']).toContain(reason ?? code)
  })

  it('that resets in the middle of its answer, which the client must not take for its end', async () => {
    const to = await backend(socket => {
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf', () =>
          setImmediate(() => gate.then(() => socket.resetAndDestroy())),
        ),
      )
    })
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const resetting = await started({ to })
    let ended = false
    const { ends } = await after(resetting, 1, async () => {
      const tls = await secure(await served(resetting))
      tls.on('end', () => {
        ended = true
      })
      const error = new Promise<NodeJS.ErrnoException>(resolve => tls.on('error', resolve))
      tls.write(REQUEST)
      const [half] = await once(tls, 'data')
      expect(String(half)).toMatch(/half$/)
      open()
      expect((await error).code).toBe('ECONNRESET')
    })
    expect(ended).toBe(false)
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'upstream-reset', code: 'ECONNRESET' }])
  })

  /** What the kernel's buffers of two connections and the process's own hold at the most; endless would pass it in no time. */
  const MOST = 64 * 1024 * 1024

  /** Writes for as long as somebody takes it; how much that was. */
  function pump(socket: Socket): () => number {
    const chunk = Buffer.alloc(64 * 1024)
    let total = 0
    const more = (): void => {
      if (socket.destroyed || total > MOST) return
      total += chunk.length
      if (socket.write(chunk)) setImmediate(more)
    }
    socket.on('drain', more)
    more()
    return () => total
  }

  it('that never reads', async () => {
    const to = await backend(socket => socket.pause())
    const stuck = await started({ to, idleTimeout: 1000 })
    let taken = (): number => 0
    const { ends } = await after(stuck, 1, async () => {
      const tls = await secure(await served(stuck))
      taken = pump(tls)
      await new Promise(resolve => tls.on('close', resolve))
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'idle', code: 'RELAY_IDLE' }])
    expect(taken()).toBeLessThan(MOST)
  })

  it('whose client never reads', async () => {
    let taken = (): number => 0
    const to = await backend(socket => {
      taken = pump(socket.resume())
    })
    const stuck = await started({ to, idleTimeout: 1000 })
    const { ends } = await after(stuck, 1, async () => {
      const socket = await served(stuck)
      const tls = await secure(socket)
      tls.pause()
      socket.pause()
      await until(() => stuck.isIdle)
      socket.destroy()
    })
    expect(ends).toMatchObject([{ msg: 'relayed', reason: 'idle', code: 'RELAY_IDLE' }])
    expect(taken()).toBeLessThan(MOST)
  })
})
