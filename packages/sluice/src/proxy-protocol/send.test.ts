import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/peers.ts'
import { configureLogging, errorCode, stack } from '../core/index.ts'
import {
  type Connected,
  type Connection,
  type ConnectLayer,
  connectTcp,
  forward,
  IpAddress,
  ipAddress,
  type Listener,
  listen,
  UnixAddress,
} from '../net/index.ts'
import { acceptProxyHeader } from './accept.ts'
import { parseProxyHeader, serializeProxyHeader } from './codec.ts'
import type { MaybeProxied } from './proxied.ts'
import {
  type ProxyHeaderClient,
  type SendProxyHeaderOptions,
  sendProxyHeader,
  type TerminatedTls,
} from './send.ts'
import { Tlvs } from './tlvs.ts'

configureLogging({ directives: 'off' })

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A backend that tells the bytes that it gets up to the end of each connection. */
async function backend(): Promise<{
  address: IpAddress
  received: () => Promise<Buffer>
  sockets: Socket[]
}> {
  const sockets: Socket[] = []
  const server: Server = createServer(socket => {
    socket.on('error', () => {})
    sockets.push(socket)
    server.emit('accepted', socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not on TCP')
  return {
    address: ipAddress('127.0.0.1', address.port),
    sockets,
    received: async () => {
      const [socket]: Socket[] = sockets.length > 0 ? sockets : await once(server, 'accepted')
      const chunks: Buffer[] = []
      for await (const chunk of socket ?? []) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
  }
}

/** A client's connection of which only the facts matter. */
function client(facts: Partial<ProxyHeaderClient> = {}): ProxyHeaderClient {
  const { signal } = new AbortController()
  return {
    id: '42',
    // biome-ignore lint/suspicious/noExplicitAny: nothing reads it
    socket: undefined as any,
    peer: ipAddress('203.0.113.7', 4711),
    local: ipAddress('198.51.100.1', 443),
    draining: signal,
    aborted: signal,
    taken: 0,
    reset: () => {},
    ...facts,
  }
}

/** What the backend gets when a connection is made for a client. */
async function sent(options: SendProxyHeaderOptions, from: ProxyHeaderClient | undefined): Promise<Buffer> {
  const { address, received } = await backend()
  const connector = sendProxyHeader(options)(connectTcp())
  const { socket } = await connector({ to: address, client: from })
  socket.end('payload')
  const bytes = await received()
  expect(bytes.toString('latin1')).toMatch(/payload$/)
  return bytes.subarray(0, -'payload'.length)
}

/** As `sent`, taken apart. */
async function announced(options: SendProxyHeaderOptions, from: ProxyHeaderClient | undefined) {
  const bytes = await sent(options, from)
  const head = parseProxyHeader(bytes)
  expect(head?.consumed).toBe(bytes.length)
  if (head === undefined) throw new Error('no header')
  const { addresses, ...rest } = head.value
  return { ...rest, ends: addresses && `${addresses.source} > ${addresses.destination}` }
}

const tls: TerminatedTls = {
  serverName: 'example.com',
  alpn: 'h2',
  version: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
}

const proxied = {
  version: 2,
  command: 'proxy',
  transport: 'stream',
  claimed: true,
  source: ipAddress('192.0.2.99', 1),
  destination: ipAddress('192.0.2.100', 2),
  tlvs: new Tlvs([{ kind: 0xea, value: Buffer.from('x') }]),
} as const

describe('sendProxyHeader', () => {
  it('writes the client and the address that it dialled before anything else', async () => {
    expect(await announced({}, client())).toMatchObject({
      version: 2,
      command: 'proxy',
      transport: 'stream',
      ends: '203.0.113.7:4711 > 198.51.100.1:443',
    })
    expect((await sent({ version: 1 }, client())).toString()).toBe(
      'PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n',
    )
  })

  it('writes the client that a trusted header claimed', async () => {
    const through = client({ proxied })
    expect((await announced({}, through)).ends).toBe('192.0.2.99:1 > 192.0.2.100:2')
    expect((await announced({ version: 1 }, through)).ends).toBe('192.0.2.99:1 > 192.0.2.100:2')
  })

  it('writes the connection itself where a trusted header claimed nothing', async () => {
    const through = client()
    const local = { ...proxied, command: 'local', transport: 'unspec', claimed: false } as const
    Object.assign(through, { proxied: { ...local, source: through.peer, destination: through.local } })
    expect(await announced({}, through)).toMatchObject({
      command: 'proxy',
      transport: 'stream',
      ends: '203.0.113.7:4711 > 198.51.100.1:443',
    })
  })

  it('maps IPv4 to IPv6 where the families differ', async () => {
    const mixed = client({ peer: ipAddress('2001:db8::1', 4711) })
    expect((await sent({}, mixed)).subarray(13, 52).toString('hex')).toBe(
      '21' +
        '0024' +
        '20010db8000000000000000000000001' +
        '00000000000000000000ffffc6336401' +
        '1267' +
        '01bb',
    )
    expect((await sent({ version: 1 }, mixed)).toString()).toBe(
      'PROXY TCP6 2001:db8::1 ::ffff:c633:6401 4711 443\r\n',
    )
  })

  it('writes unix sockets as AF_UNIX, and as UNKNOWN in version 1', async () => {
    const unix = client({ peer: new UnixAddress(''), local: new UnixAddress('/run/app.sock') })
    expect((await announced({}, unix)).ends).toBe('unix: > unix:/run/app.sock')
    expect((await sent({ version: 1 }, unix)).toString()).toBe('PROXY UNKNOWN\r\n')
  })

  it('announces LOCAL where no family has both addresses', async () => {
    const odd = client({ peer: new UnixAddress('') })
    expect(await announced({ crc32c: true }, odd)).toMatchObject({ command: 'local', ends: undefined })
    expect((await sent({ version: 1 }, odd)).toString()).toBe('PROXY UNKNOWN\r\n')
  })

  it('keeps the transport of the claim', async () => {
    const datagrams = client({ proxied: { ...proxied, transport: 'dgram' } })
    expect((await announced({}, datagrams)).transport).toBe('dgram')
    expect((await sent({ version: 1 }, datagrams)).toString()).toBe('PROXY UNKNOWN\r\n')
  })

  it('tells what TLS proved when it was terminated here', async () => {
    const { tlvs } = await announced({}, client({ tls }))
    expect([...tlvs].map(({ kind }) => kind)).toEqual([0x01, 0x02, 0x20])
    expect(tlvs.alpn).toBe('h2')
    expect(tlvs.authority).toBe('example.com')
    expect(tlvs.ssl).toEqual({
      tls: true,
      certificateOnConnection: false,
      certificateInSession: false,
      verified: false,
      version: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
    })
  })

  it('leaves out what the client did not say: SNI, ALPN', async () => {
    const { tlvs } = await announced({}, client({ tls: { version: 'TLSv1.2', cipher: 'X' } }))
    expect([...tlvs].map(({ kind }) => kind)).toEqual([0x20])
    expect((await announced({}, client())).tlvs.length).toBe(0)
    expect((await announced({ version: 1 }, client({ tls }))).tlvs.length).toBe(0)
  })

  it("tells the client certificate's common name, and whether it was verified", async () => {
    const ssl = async (clientCertificate: TerminatedTls['clientCertificate'], resumed?: boolean) =>
      (await announced({}, client({ tls: { ...tls, clientCertificate, resumed } }))).tlvs.ssl
    expect(await ssl({ commonName: 'Ada é', verified: true })).toMatchObject({
      certificateOnConnection: true,
      certificateInSession: true,
      verified: true,
      commonName: 'Ada é',
    })
    expect(await ssl({ commonName: 'Ada', verified: false })).toMatchObject({
      verified: false,
      commonName: 'Ada',
    })
    expect(await ssl({ commonName: 'Ada', verified: true }, true)).toMatchObject({
      certificateOnConnection: false,
      certificateInSession: true,
      verified: true,
    })
    expect(await ssl({ verified: true })).not.toHaveProperty('commonName')
    expect(await ssl({ commonName: 'x'.repeat(257), verified: true })).not.toHaveProperty('commonName')
    expect(await ssl({ commonName: 'x'.repeat(256), verified: true })).toHaveProperty('commonName')
  })

  it('adds TLVs of the caller, the same for all or made for each', async () => {
    const own = { kind: 0xea, value: Buffer.from('mine') }
    expect([...(await announced({ tlvs: [own] }, client({ tls }))).tlvs].map(({ kind }) => kind)).toEqual([
      0xea, 0x01, 0x02, 0x20,
    ])
    const made = await announced({ tlvs: ({ id }) => [{ kind: 0xeb, value: Buffer.from(id) }] }, client())
    expect(Buffer.from(made.tlvs.get(0xeb) ?? []).toString()).toBe('42')
    const passed = await announced({ tlvs: ({ proxied }) => proxied?.tlvs }, client({ proxied }))
    expect(Buffer.from(passed.tlvs.get(0xea) ?? []).toString()).toBe('x')
  })

  it("lets the caller's TLVs stand instead of its own", async () => {
    const { tlvs } = await announced({ tlvs: [{ kind: 0x02, value: Buffer.from('other') }] }, client({ tls }))
    expect([...tlvs].filter(({ kind }) => kind === 0x02)).toHaveLength(1)
    expect(tlvs.authority).toBe('other')
  })

  it('reads a list of TLVs that can be read only once', async () => {
    const { address, received } = await backend()
    const once = [{ kind: 0xea, value: Buffer.from('x') }].values()
    const connector = sendProxyHeader({ tlvs: once })(connectTcp())
    const first = await connector({ to: address, client: client() })
    first.socket.end()
    expect(parseProxyHeader(await received())?.value.tlvs.length).toBe(1)
    const again = await backend()
    const second = await connector({ to: again.address, client: client() })
    second.socket.end()
    expect(parseProxyHeader(await again.received())?.value.tlvs.length).toBe(1)
  })

  it('adds a unique id and a checksum on request', async () => {
    const { tlvs } = await announced({ uniqueId: ({ id }) => Buffer.from(id), crc32c: true }, client())
    expect(Buffer.from(tlvs.uniqueId ?? []).toString()).toBe('42')
    // A wrong sum would have been refused by the parser.
    expect(tlvs.get(0x03)).toHaveLength(4)
  })

  it('announces a connection without a client as LOCAL, in version 1 by its own addresses', async () => {
    expect(await announced({ crc32c: true }, undefined)).toMatchObject({ command: 'local', ends: undefined })
    const own = (await sent({ version: 1 }, undefined)).toString()
    expect(own).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/)
  })

  it('announces a connection without a client over a unix socket too', async () => {
    const folder = temporaryFolder()
    closers.push(folder.remove)
    const path = `${folder.path}/backend.sock`
    const server = createServer().listen(path)
    closers.push(() => server.close())
    await once(server, 'listening')
    const connection = once(server, 'connection')
    const { socket } = await sendProxyHeader({ version: 1 })(connectTcp())({ to: new UnixAddress(path) })
    socket.end()
    const [accepted]: Socket[] = await connection
    const chunks: Buffer[] = []
    for await (const chunk of accepted ?? []) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('PROXY UNKNOWN\r\n')
    socket.destroy()
  })

  it('does not connect for what can not be announced', async () => {
    let connected = 0
    const next = (): Connected => {
      connected++
      throw new Error('never')
    }
    const fails = (options: SendProxyHeaderOptions) =>
      Promise.resolve(
        sendProxyHeader(options)(next)({ to: ipAddress('127.0.0.1', 1), client: client() }),
      ).catch(errorCode)
    expect(await fails({ uniqueId: () => Buffer.alloc(129) })).toBe('PROXY_HEADER_UNSENDABLE')
    expect(await fails({ tlvs: [{ kind: 1, value: Buffer.alloc(70_000) }] })).toBe('PROXY_HEADER_UNSENDABLE')
    expect(
      await fails({
        tlvs: () => {
          throw new TypeError('x')
        },
      }),
    ).toBe('INTERNAL')
    expect(connected).toBe(0)
  })

  it('does not write a version that there is not', () => {
    for (const version of [0, 3, '1']) {
      expect(() => sendProxyHeader({ version: version as never })).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    }
  })

  it('passes on what the connector below throws', async () => {
    const connector = sendProxyHeader()(connectTcp())
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    server.close()
    await once(server, 'close')
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await expect(connector({ to: ipAddress('127.0.0.1', port), client: client() })).rejects.toMatchObject({
      code: 'CONNECT_REFUSED',
    })
  })
})

describe('a proxy between two proxies', () => {
  /** A TCP proxy that takes a header and writes one, in front of a backend. */
  async function proxy(to: IpAddress): Promise<number> {
    const listener: Listener = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .layer(acceptProxyHeader({ trust: ['127.0.0.1'], policy: 'use' }))
        .service(forward(to, { connect: sendProxyHeader() })),
    )
    closers.push(() => listener.close(0))
    if (!(listener.address instanceof IpAddress)) throw new Error('not on TCP')
    return listener.address.port
  }

  it('passes on the client that was claimed, and what followed the header', async () => {
    const { address, received } = await backend()
    const socket = connect(await proxy(address), '127.0.0.1')
    const claim = { source: ipAddress('203.0.113.7', 4711), destination: ipAddress('198.51.100.1', 443) }
    socket.end(Buffer.concat([serializeProxyHeader({ version: 1, addresses: claim }), Buffer.from('hello')]))
    expect(await received()).toEqual(
      Buffer.concat([serializeProxyHeader({ addresses: claim }), Buffer.from('hello')]),
    )
    socket.destroy()
  })

  it('writes the real client where nobody claimed another', async () => {
    const { address, received } = await backend()
    const port = await proxy(address)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const real = ipAddress('127.0.0.1', socket.localPort ?? 0)
    socket.end('hello')
    const header = serializeProxyHeader({
      addresses: { source: real, destination: ipAddress('127.0.0.1', port) },
    })
    expect(await received()).toEqual(Buffer.concat([header, Buffer.from('hello')]))
    socket.destroy()
  })

  it('lets no client forge the header that the backend believes', async () => {
    const { address, received } = await backend()
    const port = await proxy(address)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const forged = serializeProxyHeader({
      addresses: { source: ipAddress('10.0.0.1', 1), destination: ipAddress('10.0.0.2', 2) },
    })
    const real = { source: ipAddress('203.0.113.7', 4711), destination: ipAddress('198.51.100.1', 443) }
    // A trusted proxy in front wrote its header; what the client sent after it is payload, whatever it looks like.
    socket.end(Buffer.concat([serializeProxyHeader({ addresses: real }), forged]))
    expect(parseProxyHeader(await received())?.value.addresses).toEqual(real)
    socket.destroy()
  })
})

describe('the types of sendProxyHeader', () => {
  it('fit connections with and without what layers add', () => {
    sendProxyHeader() satisfies ConnectLayer<Connection>
    sendProxyHeader() satisfies ConnectLayer<Connection & MaybeProxied>
    sendProxyHeader() satisfies ConnectLayer<Connection & { tls: TerminatedTls }>
    sendProxyHeader({
      uniqueId: (from: Connection) => Buffer.from(from.id),
    }) satisfies ConnectLayer<Connection>
    stack<Connection>()
      .layer(acceptProxyHeader({ trust: ['loopback'] }))
      .service(forward('1', { connect: sendProxyHeader({ tlvs: ({ proxied }) => proxied?.tlvs }) }))
    // @ts-expect-error `tls` of another shape would be read wrongly
    sendProxyHeader() satisfies ConnectLayer<Connection & { tls: { version: number; cipher: string } }>
    const named = sendProxyHeader({
      uniqueId: (from: Connection & { name: string }) => Buffer.from(from.name),
    })
    // @ts-expect-error the connections here have no name
    named satisfies ConnectLayer<Connection>
  })
})
