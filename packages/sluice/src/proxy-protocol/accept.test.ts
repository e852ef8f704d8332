import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/peers.ts'
import {
  configureLogging,
  errorCode,
  isSluiceError,
  type Layer,
  type SluiceError,
  stack,
} from '../core/index.ts'
import { type Connection, IpAddress, ipAddress, type Listener, listen } from '../net/index.ts'
import { type AcceptProxyHeaderOptions, acceptProxyHeader } from './accept.ts'
import { serializeProxyHeader } from './codec.ts'
import type { MaybeProxied, Proxied, ProxiedInfo } from './proxied.ts'

/** What became of a connection: what the service got, or the error that ended it. */
interface Outcome {
  readonly connection: Connection
  readonly proxied?: ProxiedInfo | undefined
  readonly payload?: string
  readonly error?: SluiceError
}

configureLogging({ directives: 'off' })

const listeners: Listener[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
})

/** A listener that reads each connection to its end below the layer, and tells what became of each in turn. */
async function serve(options: AcceptProxyHeaderOptions) {
  const waiting: ((outcome: Outcome) => void)[] = []
  const come: Outcome[] = []
  const tell = (outcome: Outcome) => {
    const next = waiting.shift()
    if (next === undefined) come.push(outcome)
    else next(outcome)
  }
  const service = stack<Connection>()
    .layer(acceptProxyHeader(options))
    .service(async connection => {
      const chunks: Buffer[] = []
      for await (const chunk of connection.socket) chunks.push(chunk)
      const payload = Buffer.concat(chunks).toString('latin1')
      tell({ connection, proxied: connection.proxied, payload })
    })
  const listener = await listen('127.0.0.1:0', {}, async connection => {
    try {
      await service(connection)
    } catch (error) {
      if (isSluiceError(error)) tell({ connection, error })
      throw error
    }
  })
  listeners.push(listener)
  const { address } = listener
  if (!(address instanceof IpAddress)) throw new Error('not on TCP')
  return {
    port: address.port,
    outcome: () => {
      const first = come.shift()
      return first === undefined ? new Promise<Outcome>(resolve => waiting.push(resolve)) : first
    },
  }
}

/** Connects and sends; from another loopback address if told, which stands for a peer elsewhere. */
async function dial(port: number, from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  sockets.push(socket)
  // Who is refused at once may be reset before it knows that it is connected.
  await new Promise<void>(resolve => {
    socket.once('connect', resolve)
    socket.on('error', () => resolve())
  })
  return socket
}

async function exchange(
  options: AcceptProxyHeaderOptions,
  bytes: Buffer | string,
  from?: string,
): Promise<Outcome> {
  const server = await serve(options)
  const socket = await dial(server.port, from)
  socket.end(bytes)
  return server.outcome()
}

const STRANGER = '127.0.0.9'
const trust = ['127.0.0.1']
const addresses = { source: ipAddress('203.0.113.7', 4711), destination: ipAddress('198.51.100.1', 443) }
const v1 = serializeProxyHeader({ version: 1, addresses })
const v2 = serializeProxyHeader({
  addresses,
  tlvs: [{ kind: 0x02, value: Buffer.from('example.com') }],
  crc32c: true,
})
const http = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const withPayload = (header: Buffer, payload: string) =>
  Buffer.concat([header, Buffer.from(payload, 'latin1')])

describe('acceptProxyHeader', () => {
  it('tells who the client is, beside the peer and never instead of it', async () => {
    const { connection, proxied, payload } = await exchange({ trust }, withPayload(v2, http))
    expect(proxied).toMatchObject({
      version: 2,
      command: 'proxy',
      transport: 'stream',
      claimed: true,
      ...addresses,
    })
    expect(proxied?.tlvs.authority).toBe('example.com')
    expect(String(connection.peer)).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(String(connection.local)).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(payload).toBe(http)
  })

  it('reads version 1 as well', async () => {
    const { proxied, payload } = await exchange({ trust }, withPayload(v1, http))
    expect(proxied).toMatchObject({
      version: 1,
      command: 'proxy',
      transport: 'stream',
      claimed: true,
      ...addresses,
    })
    expect(proxied?.tlvs.length).toBe(0)
    expect(payload).toBe(http)
  })

  it('leaves what comes behind the header untouched: a ClientHello, a second header, 100 kB', async () => {
    const hello = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
    for (const payload of ['', hello, v2.toString('latin1'), v1.toString('latin1'), 'x'.repeat(100_000)]) {
      for (const header of [v1, v2]) {
        const outcome = await exchange({ trust }, withPayload(header, payload))
        expect(outcome.proxied?.source).toEqual(addresses.source)
        expect(outcome.payload).toBe(payload)
      }
    }
  })

  it('reads a header that comes one byte at a time', async () => {
    for (const header of [v1, v2]) {
      const server = await serve({ trust })
      const socket = await dial(server.port)
      socket.setNoDelay(true)
      for (const byte of withPayload(header, http)) {
        socket.write(Buffer.of(byte))
        await turn()
      }
      socket.end()
      const { proxied, payload } = await server.outcome()
      expect(proxied?.source).toEqual(addresses.source)
      expect(payload).toBe(http)
    }
  })

  it('takes the addresses of the connection itself where the header names none', async () => {
    const cases: [Buffer, 'proxy' | 'local'][] = [
      [serializeProxyHeader({ command: 'local' }), 'local'],
      [serializeProxyHeader({ command: 'proxy' }), 'proxy'],
      [Buffer.from('PROXY UNKNOWN\r\n'), 'proxy'],
      [Buffer.from('PROXY UNKNOWN 203.0.113.7 198.51.100.1 1 2\r\n'), 'proxy'],
    ]
    for (const [header, command] of cases) {
      const { connection, proxied } = await exchange({ trust }, header)
      expect(proxied).toMatchObject({ command, claimed: false })
      expect(proxied?.source).toBe(connection.peer)
      expect(proxied?.destination).toBe(connection.local)
    }
  })

  it('ignores addresses in a LOCAL header', async () => {
    const forged = Buffer.from(v2)
    forged[12] = 0x20
    forged[13] = 0x11
    const spoofing = Buffer.concat([forged.subarray(0, 14), Buffer.from([0, 12]), forged.subarray(16, 28)])
    const { connection, proxied } = await exchange({ trust }, spoofing)
    expect(proxied).toMatchObject({ command: 'local', claimed: false })
    expect(proxied?.source).toBe(connection.peer)
  })

  it('refuses a connection without a header, and says what it began with', async () => {
    const { error, connection } = await exchange({ trust }, http)
    expect(error?.code).toBe('PROXY_HEADER_MISSING')
    expect(error?.message).toContain(
      `${connection.peer} began with "GET / HTTP/1.1", not with a PROXY header`,
    )
  })

  it('resets what it refuses', async () => {
    const server = await serve({ trust })
    const socket = await dial(server.port)
    const error = once(socket, 'error').then(([cause]) => cause.code)
    socket.write(http)
    expect(await error).toBe('ECONNRESET')
  })

  it('refuses a header that is cut off by the end of the connection', async () => {
    for (const header of [v1, v2]) {
      for (const cut of [0, 1, 5, 12, 16, header.length - 1]) {
        const { error } = await exchange({ trust }, header.subarray(0, cut))
        expect(error?.code).toBe('DOWNSTREAM_CLOSED')
      }
    }
  })

  it('refuses a connection whose header does not come in time, not one byte of it or not its last', async () => {
    const server = await serve({ trust, timeout: '40ms' })
    for (const bytes of [v1.subarray(0, 0), v1.subarray(0, 5), v2.subarray(0, v2.length - 1)]) {
      const socket = await dial(server.port)
      socket.write(bytes)
      const { error } = await server.outcome()
      expect(error?.code).toBe('PROXY_HEADER_TIMEOUT')
      expect(error?.message).toContain('within 40 ms')
    }
  })

  it('survives a peer that resets at any point', async () => {
    const server = await serve({ trust })
    for (const cut of [0, 3, 20, v2.length]) {
      const socket = await dial(server.port)
      if (cut > 0) await new Promise<void>(resolve => socket.write(v2.subarray(0, cut), () => resolve()))
      socket.resetAndDestroy()
    }
    const socket = await dial(server.port)
    socket.end(v2)
    // The outcomes of those that were reset come in any order, if they come at all.
    let outcome = await server.outcome()
    while (outcome.payload === undefined) {
      expect(outcome.error?.code ?? 'none').toMatch(/^DOWNSTREAM_(?:RESET|CLOSED)$|^none$/)
      outcome = await server.outcome()
    }
    expect(outcome.proxied?.source).toEqual(addresses.source)
  })

  it('refuses malformed, oversized and falsified headers', async () => {
    const falsified = Buffer.from(v2)
    falsified.writeUInt8(1, 16)
    const cases: [Buffer, string][] = [
      [Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n'), 'PROXY_HEADER_MALFORMED'],
      [Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`), 'PROXY_HEADER_TOO_LARGE'],
      [serializeProxyHeader({ tlvs: [{ kind: 4, value: Buffer.alloc(5000) }] }), 'PROXY_HEADER_TOO_LARGE'],
      [falsified, 'PROXY_HEADER_CHECKSUM'],
    ]
    for (const [bytes, code] of cases) {
      const { error } = await exchange({ trust, maxLength: '4kb' }, bytes)
      expect(error?.code).toBe(code)
    }
  })

  it('demands a checksum when told to', async () => {
    const plain = serializeProxyHeader({ addresses })
    for (const header of [v1, plain]) {
      expect((await exchange({ trust, requireCrc32c: true }, header)).error?.code).toBe(
        'PROXY_HEADER_CHECKSUM',
      )
    }
    expect((await exchange({ trust, requireCrc32c: true }, v2)).proxied?.claimed).toBe(true)
  })

  it('believes peers by network, by name and on unix sockets', async () => {
    expect((await exchange({ trust: ['loopback'] }, v2, STRANGER)).proxied?.claimed).toBe(true)
    expect((await exchange({ trust: ['127.0.0.0/8'] }, v2, STRANGER)).proxied?.claimed).toBe(true)
    expect((await exchange({ trust: ['unix', '10.0.0.0/8'] }, v2)).error?.code).toBe('PROXY_HEADER_UNTRUSTED')
    expect((await exchange({ trust: [] }, v2)).error?.code).toBe('PROXY_HEADER_UNTRUSTED')
  })

  it('believes peers on unix sockets where they are trusted', async () => {
    const folder = temporaryFolder()
    const results: unknown[] = []
    for (const trust of [['unix'], ['loopback']]) {
      const path = `${folder.path}/${trust}.sock`
      const service = stack<Connection>()
        .layer(acceptProxyHeader({ trust }))
        .service(({ proxied }) => void results.push(String(proxied.source)))
      const listener = await listen(`unix:${path}`, {}, async connection => {
        try {
          await service(connection)
        } catch (error) {
          results.push(errorCode(error))
        }
      })
      listeners.push(listener)
      const socket = connect(path)
      sockets.push(socket)
      socket.on('error', () => {})
      socket.end(v2)
      socket.resume()
      await new Promise(resolve => socket.once('close', resolve))
    }
    folder.remove()
    expect(results).toEqual(['203.0.113.7:4711', 'PROXY_HEADER_UNTRUSTED'])
  })

  it('checks its options at once', () => {
    expect(() => acceptProxyHeader({ trust: ['everyone'] })).toThrow(
      expect.objectContaining({ code: 'CIDR_INVALID' }),
    )
    expect(() => acceptProxyHeader({ trust, timeout: '3 s' as '3s' })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    )
    expect(() => acceptProxyHeader({ trust, maxLength: 'x' as '1kb' })).toThrow(
      expect.objectContaining({ code: 'SIZE_INVALID' }),
    )
  })

  it('does not start with an option that it does not understand, which might let everyone in', () => {
    for (const options of [{ policy: 'requird' }, { policy: 'Require' }, { timeout: 0 }, { maxLength: 0 }]) {
      const message = expect.stringContaining(`${Object.keys(options).join()} is`)
      expect(() => acceptProxyHeader({ trust, ...options } as never)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID', message }),
      )
    }
  })
})

describe('the policies of acceptProxyHeader', () => {
  const seen = (outcome: Outcome) =>
    outcome.error?.code ??
    `${outcome.proxied ? outcome.proxied.source.toString() : 'none'} ${outcome.payload?.length}`
  const believed = `203.0.113.7:4711 ${http.length}`
  const passed = `none ${http.length}`
  const untouched = `none ${http.length + v2.length}`

  it.each<[NonNullable<AcceptProxyHeaderOptions['policy']>, string, string, string, string]>([
    // policy, trusted with header, trusted without, untrusted with header, untrusted without
    ['require', believed, 'PROXY_HEADER_MISSING', 'PROXY_HEADER_UNTRUSTED', 'PROXY_HEADER_UNTRUSTED'],
    ['use', believed, passed, 'PROXY_HEADER_UNTRUSTED', passed],
    ['ignore', passed, passed, 'PROXY_HEADER_UNTRUSTED', passed],
    ['reject', 'PROXY_HEADER_REJECTED', passed, 'PROXY_HEADER_REJECTED', passed],
    ['skip', untouched, passed, untouched, passed],
  ])('%s', async (policy, trustedWith, trustedWithout, strangerWith, strangerWithout) => {
    const options = { trust, policy }
    expect(seen(await exchange(options, withPayload(v2, http)))).toBe(trustedWith)
    expect(seen(await exchange(options, http))).toBe(trustedWithout)
    expect(seen(await exchange(options, withPayload(v2, http), STRANGER))).toBe(strangerWith)
    expect(seen(await exchange(options, http, STRANGER))).toBe(strangerWithout)
  })

  it('require refuses an untrusted peer before it has said anything', async () => {
    const server = await serve({ trust, timeout: '1h' })
    await dial(server.port, STRANGER)
    expect((await server.outcome()).error?.message).toContain(
      'connected where a PROXY header is required, and it is not in `trust` (127.0.0.1/32)',
    )
  })

  it('ignore still refuses what is not a well-formed header', async () => {
    const { error } = await exchange({ trust, policy: 'ignore' }, 'PROXY TCP4 x\r\n')
    expect(error?.code).toBe('PROXY_HEADER_MALFORMED')
  })

  it('use, ignore and reject do not pass on a client that says nothing: a header might come later', async () => {
    for (const policy of ['use', 'ignore', 'reject'] as const) {
      const server = await serve({ trust, policy, timeout: '30ms' })
      await dial(server.port)
      expect((await server.outcome()).error?.code).toBe('PROXY_HEADER_TIMEOUT')
    }
  })

  it('use and reject pass on what merely begins as a header would', async () => {
    for (const policy of ['use', 'ignore', 'reject'] as const) {
      for (const text of [
        'POST / HTTP/1.1\r\n',
        'PROPFIND /',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\r\n\r\nGET /',
      ]) {
        expect((await exchange({ trust, policy }, text, STRANGER)).payload).toBe(text)
      }
    }
  })
})

describe('forged headers from strangers', () => {
  const forgeries: [string, Buffer][] = [
    ['v1', v1],
    ['v2', v2],
    [
      'v2 with the address of a trusted peer',
      serializeProxyHeader({ addresses: { ...addresses, source: ipAddress('127.0.0.1', 1) } }),
    ],
    ['LOCAL', serializeProxyHeader({ command: 'local' })],
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
    ['v1 then v2', Buffer.concat([v1, v2])],
    ['a truncated v2', v2.subarray(0, 20)],
    ['a v2 that announces 65535 bytes', Buffer.concat([v2.subarray(0, 14), Buffer.from([255, 255])])],
    ['a malformed v1', Buffer.from('PROXY TCP4 \r\n')],
    ['a v1 without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ]

  it.each(forgeries)('%s is never believed', async (_, bytes) => {
    for (const policy of ['require', 'use', 'ignore'] as const) {
      const { error, proxied } = await exchange({ trust, policy }, bytes, STRANGER)
      expect(error?.code).toBe('PROXY_HEADER_UNTRUSTED')
      expect(proxied).toBeUndefined()
    }
  })

  it.each(forgeries)('%s behind a real header is payload', async (_, bytes) => {
    const { proxied, payload } = await exchange({ trust }, Buffer.concat([v2, bytes]))
    expect(proxied?.source).toEqual(addresses.source)
    expect(payload).toBe(bytes.toString('latin1'))
  })
})

describe('the types of acceptProxyHeader', () => {
  it('promise a header for require alone', () => {
    const trust = ['loopback']
    acceptProxyHeader({ trust }) satisfies Layer<Connection, Proxied>
    acceptProxyHeader({ trust, policy: 'require' }) satisfies Layer<Connection, Proxied>
    acceptProxyHeader({ trust, policy: 'use' }) satisfies Layer<Connection, MaybeProxied>
    // @ts-expect-error there may be no header
    acceptProxyHeader({ trust, policy: 'use' }) satisfies Layer<Connection, Proxied>
    const options: AcceptProxyHeaderOptions = { trust, policy: 'require' }
    // @ts-expect-error the policy is not known when this is compiled
    acceptProxyHeader(options) satisfies Layer<Connection, Proxied>
    // @ts-expect-error nobody is trusted by default
    expect(() => acceptProxyHeader({})).toThrow()
    stack<Connection>()
      .layer(acceptProxyHeader({ trust, policy: 'ignore' }))
      // @ts-expect-error 'proxied' is possibly undefined
      .service(({ proxied }) => void proxied.source)
    stack<Connection>()
      .layer(acceptProxyHeader({ trust }))
      .service(({ proxied }) => void proxied.source)
    // @ts-expect-error no layer added 'proxied'
    stack<Connection>().service(({ proxied }) => proxied)
  })
})
