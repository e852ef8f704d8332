import { once } from 'node:events'
import { connect as connectHttp2, performServerHandshake } from 'node:http2'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { closed, echo, listenTls, type TlsListener } from '../../test/support/tls.ts'
import { configureLogging, type Layer, type Service, stack } from '../core/index.ts'
import { type Connection, forward } from '../net/index.ts'
import { acceptProxyHeader, type ProxyHeaderClient, sendProxyHeader } from '../proxy-protocol/index.ts'
import { type AcceptTlsOptions, acceptTls } from './accept-tls.ts'
import { type CertificateSource, certificateAuthority, issueBy, selfSigned } from './certificates/index.ts'
import type { ClientHello } from './client-hello/index.ts'
import type { ClientCertificate, Secure } from './info.ts'

configureLogging({ directives: 'off' })

const certificate = selfSigned()
const open: TlsListener[] = []
const sockets: Socket[] = []

beforeAll(async () => {
  await certificate.certificate()
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(open.splice(0).map(({ listener }) => listener.close(0)))
})

async function serve(
  options: Partial<AcceptTlsOptions> = {},
  service: Service<Connection & Secure> = echo,
  above?: Layer<Connection>,
): Promise<TlsListener> {
  const listener = await listenTls({ certificate, ...options }, service, above)
  open.push(listener)
  return listener
}

/** A TLS client that trusts anyone. */
async function client({ port }: TlsListener, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  sockets.push(socket)
  await once(socket, 'secureConnect')
  return socket
}

/** Hands on what a TLS client sends in pieces of some size, and what comes back as it comes. */
async function inPieces(port: number, size: number): Promise<number> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, from => {
    const to = connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    sockets.push(from, to)
    to.on('error', () => {})
    from.on('error', () => {})
    to.pipe(from)
    let sent = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      sent = sent.then(async () => {
        for (let at = 0; at < chunk.length; at += size) {
          to.write(chunk.subarray(at, at + size))
          await turn()
        }
      })
    })
    from.on('end', () => sent.then(() => to.end()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  const address = server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

async function echoed(socket: TLSSocket, text: string): Promise<string> {
  const done = closed(socket)
  socket.end(text)
  return String((await done).data)
}

describe('acceptTls', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('says what was agreed on over %s', async version => {
    const listener = await serve({ alpn: ['h2', 'http/1.1'] })
    const socket = await client(listener, {
      maxVersion: version,
      servername: 'App.example',
      ALPNProtocols: ['other', 'http/1.1'],
    })
    const { tls } = await listener.next()
    const { name, standardName } = socket.getCipher()
    expect(tls).toMatchObject({
      serverName: 'App.example',
      alpn: 'http/1.1',
      version,
      cipher: name,
      cipherStandardName: standardName,
      resumed: false,
    })
    expect(await echoed(socket, 'over and back')).toBe('over and back')
  })

  it('says nothing of what was not agreed on', async () => {
    const listener = await serve()
    const socket = await client(listener, { ALPNProtocols: ['h2'] })
    const { tls } = await listener.next()
    expect(tls).toMatchObject({ serverName: undefined, alpn: undefined, clientCertificate: undefined })
    expect(socket.alpnProtocol).toBe(false)
  })

  it('prefers the order of its own protocols', async () => {
    const listener = await serve({ alpn: ['h2', 'http/1.1'] })
    expect((await client(listener, { ALPNProtocols: ['http/1.1', 'h2'] })).alpnProtocol).toBe('h2')
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes sessions over %s', async version => {
    const listener = await serve()
    const first = await client(listener, { maxVersion: version })
    const session = new Promise<Buffer>(resolve => first.once('session', resolve))
    // The tickets of TLS 1.3 come with the first data.
    first.write('x')
    const ticket = version === 'TLSv1.2' ? first.getSession() : await session
    expect((await listener.next()).tls?.resumed).toBe(false)
    const second = await client(listener, { maxVersion: version, session: ticket ?? Buffer.alloc(0) })
    expect(second.isSessionReused()).toBe(true)
    expect((await listener.next()).tls?.resumed).toBe(true)
    expect(await echoed(second, 'again')).toBe('again')
  })

  it('reads the ClientHello when asked to, and leaves its bytes to TLS', async () => {
    const listener = await serve({ clientHello: true })
    const socket = await client(listener, { servername: 'a.example', ALPNProtocols: ['h2'] })
    const { tls } = await listener.next()
    const hello = (tls as { clientHello?: ClientHello }).clientHello
    expect(hello).toMatchObject({ serverName: 'a.example', alpn: ['h2'] })
    expect(hello?.ja4).toMatch(/^t13d/)
    expect(await echoed(socket, 'hello')).toBe('hello')
  })

  it.each([
    { size: 1, clientHello: false },
    { size: 1, clientHello: true },
    { size: 100, clientHello: true },
  ])(
    'takes a handshake in pieces of $size bytes (clientHello: $clientHello)',
    async ({ size, clientHello }) => {
      const listener = await serve({ clientHello })
      const port = await inPieces(listener.port, size)
      const socket = await client({ ...listener, port }, { servername: 'a.example' })
      expect((await listener.next()).tls?.serverName).toBe('a.example')
      expect(await echoed(socket, 'piece by piece')).toBe('piece by piece')
    },
  )

  it.each([false, true])('goes below a PROXY header (clientHello: %s)', async clientHello => {
    let claimed: unknown
    const listener = await serve(
      { clientHello },
      connection => {
        claimed = String((connection as unknown as { proxied: { source: unknown } }).proxied.source)
        return echo(connection)
      },
      acceptProxyHeader({ trust: ['loopback'] }),
    )
    const raw = connectTcp(listener.port, '127.0.0.1')
    raw.write('PROXY TCP4 192.0.2.1 192.0.2.2 1111 443\r\n')
    const socket = await client(listener, { socket: raw })
    expect(await echoed(socket, 'below')).toBe('below')
    expect(claimed).toBe('192.0.2.1:1111')
  })

  it('keeps the other half open when one is closed', async () => {
    const listener = await serve({}, async ({ socket }) => {
      socket.resume()
      await once(socket, 'end')
      socket.end('said after the end')
      await once(socket, 'close')
    })
    const socket = await client(listener)
    expect(await echoed(socket, 'all')).toBe('said after the end')
  })

  it('resets the connection below TLS', async () => {
    const listener = await serve({}, async connection => {
      connection.socket.once('data', () => connection.reset())
      await once(connection.socket, 'close')
    })
    const socket = await client(listener)
    const done = closed(socket)
    socket.write('cut me')
    expect((await done).error?.code).toBe('ECONNRESET')
  })

  it('survives a service that throws right after the handshake', async () => {
    const listener = await serve({}, () => {
      throw new Error('not here')
    })
    for (let round = 0; round < 10; round++) {
      const socket = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false })
      sockets.push(socket)
      socket.write('anything')
      await closed(socket)
    }
    expect(listener.listener.counts).toMatchObject({ accepted: 10 })
  })

  it.each([false, true])('gives a socket that HTTP/2 works on (clientHello: %s)', async clientHello => {
    const listener = await serve({ clientHello, alpn: ['h2'] }, async ({ socket }) => {
      const session = performServerHandshake(socket)
      session.on('stream', stream => {
        stream.respond({ ':status': 200 })
        stream.end('over h2')
      })
      session.on('error', () => {})
      await once(socket, 'close')
    })
    const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { rejectUnauthorized: false })
    const stream = session.request({ ':path': '/' })
    let body = ''
    for await (const chunk of stream.setEncoding('utf8')) body += chunk
    expect(body).toBe('over h2')
    session.close()
    await once(session, 'close')
  })

  it('moves what is larger than any buffer', async () => {
    const listener = await serve()
    const socket = await client(listener)
    const done = closed(socket)
    const sent = Buffer.alloc(3_000_000, 'abcdefg')
    socket.end(sent)
    expect((await done).data.equals(sent)).toBe(true)
  })

  it('tells a backend about TLS in the PROXY header', async () => {
    const backend = createServer({ allowHalfOpen: true }, from => {
      from.once('data', chunk => from.end(chunk))
    })
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    const { port } = backend.address() as { port: number }
    const listener = await serve({ alpn: ['http/1.1'] }, forward(port, { connect: sendProxyHeader() }))
    const socket = await client(listener, { servername: 'a.example', ALPNProtocols: ['http/1.1'] })
    const header = await echoed(socket, '')
    expect(header).toContain('a.example')
    expect(header).toContain('TLSv1.3')
    expect(header).toContain('http/1.1')
    backend.close()
  })

  it('refuses renegotiation', async () => {
    const listener = await serve()
    const socket = await client(listener, { maxVersion: 'TLSv1.2' })
    const done = closed(socket)
    socket.renegotiate({}, () => {})
    socket.write('go on')
    expect((await done).error).toMatchObject({ code: 'EPROTO' })
  })

  it('keeps nothing of a handshake that is over', async () => {
    const listener = await serve()
    for (let round = 0; round < 20; round++) {
      await echoed(await client(listener), 'x')
      const raw = connectTcp(listener.port, '127.0.0.1')
      raw.end('not tls')
      await closed(raw)
    }
    await listener.listener.close('5s')
    expect(listener.listener.counts.serving).toBe(0)
  })
})

describe('acceptTls and server names', () => {
  it.each(['a\r\nX: y', '../../etc', 'a b', '\u001b[2J', 'a..b'])(
    'refuses %j, with its ClientHello read or not',
    async servername => {
      for (const clientHello of [false, true]) {
        const listener = await serve({ clientHello })
        const socket = connect({
          port: listener.port,
          host: '127.0.0.1',
          servername,
          rejectUnauthorized: false,
        })
        sockets.push(socket)
        await closed(socket)
        expect((await listener.next()).error?.code).toBe(
          clientHello ? 'TLS_CLIENT_HELLO_MALFORMED' : 'TLS_SERVER_NAME_REFUSED',
        )
      }
    },
  )

  it('knows the name of a resumed TLS 1.2 session where the ClientHello is read', async () => {
    const listener = await serve({ clientHello: true, maxVersion: 'TLSv1.2' })
    const first = await client(listener, { servername: 'first.example' })
    const session = first.getSession()!
    await listener.next()
    for (const servername of ['first.example', 'second.example']) {
      await client(listener, { servername, session })
      const { tls } = await listener.next()
      expect(tls?.serverName).toBe(servername)
    }
  })
})

describe('acceptTls and certificates', () => {
  it('serves a certificate that came later, and its successors', async () => {
    const sources = [selfSigned({ names: ['one.example'] }), selfSigned({ names: ['two.example'] })]
    const [one, two] = await Promise.all(sources.map(source => source.certificate()))
    let current: ReturnType<CertificateSource['certificate']> = turn().then(() => one!)
    const listener = await serve({
      certificate: { certificate: () => current, describe: () => sources[0]!.describe() },
    })
    const name = async () => (await client(listener)).getPeerX509Certificate()?.subject
    expect(await name()).toBe('CN=one.example')
    current = one!
    expect(await name()).toBe('CN=one.example')
    current = two!
    expect(await name()).toBe('CN=two.example')
    expect(await echoed(await client(listener), 'still')).toBe('still')
  })

  it('ends connections, and nothing else, while there is no certificate', async () => {
    const listener = await serve({
      certificate: {
        certificate: () => Promise.reject(new Error('no entropy')),
        describe: () => Promise.reject(new Error('no entropy')),
      },
    })
    const raw = connectTcp(listener.port, '127.0.0.1')
    await closed(raw)
    expect(listener.listener.counts.serving).toBe(0)
  })

  it('issues by server name', async () => {
    const authority = certificateAuthority()
    const ca = await authority.certificate()
    const listener = await serve({ certificate: issueBy(authority), alpn: ['http/1.1'] })
    for (const servername of ['a.example', 'b.example', 'a.example']) {
      const socket = await client(listener, { servername, ca, rejectUnauthorized: true })
      expect(socket.authorized).toBe(true)
      expect(socket.getPeerX509Certificate()?.checkHost(servername)).toBe(servername)
    }
    const unnamed = await client(listener)
    expect(unnamed.getPeerX509Certificate()?.checkHost('localhost')).toBe('localhost')
  })

  it('fails a handshake, with its code, when the name is refused or can not be issued for', async () => {
    const authority = certificateAuthority()
    const listener = await serve({
      certificate: issueBy(
        {
          certificate: () => authority.certificate(),
          export: () => authority.export(),
          issue: names =>
            names[0] === 'localhost' ? authority.issue(names) : Promise.reject(new Error('away')),
        },
        { allow: name => name !== 'no.example' },
      ),
    })
    const failure = async (servername: string) => {
      const socket = connect({
        port: listener.port,
        host: '127.0.0.1',
        servername,
        rejectUnauthorized: false,
      })
      await closed(socket)
      return (await listener.next()).error
    }
    expect(await failure('no.example')).toMatchObject({ code: 'TLS_SERVER_NAME_REFUSED' })
    expect(await failure('under_score.example')).toMatchObject({ code: 'TLS_SERVER_NAME_REFUSED' })
    expect(await failure('yes.example')).toMatchObject({
      code: 'TLS_ISSUE_FAILED',
      cause: { message: 'away' },
    })
    expect((await client(listener)).encrypted).toBe(true)
  })

  it.each(['throws', 'rejects', 'answers nonsense'])('survives a source that %s by name', async way => {
    const listener = await serve({
      certificate: {
        certificate: () => certificate.certificate(),
        describe: () => certificate.describe(),
        byServerName: () => {
          if (way === 'throws') throw new Error('thrown')
          if (way === 'rejects') return Promise.reject('not even an error')
          return { cert: 'nonsense' } as never
        },
      },
    })
    const socket = connect({
      port: listener.port,
      host: '127.0.0.1',
      servername: 'a.example',
      rejectUnauthorized: false,
    })
    await closed(socket)
    expect((await listener.next()).error?.code).toBe('TLS_ISSUE_FAILED')
    expect((await client(listener)).encrypted).toBe(true)
  })
})

describe('acceptTls and a certificate source that hangs', () => {
  const describeIt = () => certificate.describe()
  const never = new Promise<never>(() => {})
  const hanging: CertificateSource = { certificate: () => never, describe: describeIt }
  const hangingByName: CertificateSource = {
    certificate: () => certificate.certificate(),
    byServerName: () => never,
    describe: describeIt,
  }
  /** A client that says nothing, or begins a handshake, and is cut by the TCP socket that this gives. */
  const silent = (port: number): Socket => {
    const socket = connectTcp(port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    return socket
  }
  const tls = (port: number): Socket => {
    const socket = silent(port)
    const secure = connect({ socket, servername: 'a.example', rejectUnauthorized: false })
    secure.on('error', () => {})
    return socket
  }

  it.each([
    ['the certificate', hanging, 'TLS_ISSUE_FAILED'],
    ['that of a name', hangingByName, 'TLS_HANDSHAKE_TIMEOUT'],
  ])('holds no connection past the limit: %s', async (_, source, code) => {
    const listener = await serve({ certificate: source, handshakeTimeout: 60 })
    await closed(tls(listener.port))
    expect((await listener.next()).error?.code).toBe(code)
    await closed(silent(listener.port))
    await listener.listener.close('5s')
    expect(listener.listener.counts.serving).toBe(0)
  })

  it.each([
    ['says nothing', silent, hanging, false],
    ['has sent its ClientHello', tls, hanging, false],
    ['has sent its ClientHello, which was read', tls, hanging, true],
    ['has named a server', tls, hangingByName, false],
  ])('holds no connection of a client that leaves: it %s', async (_, come, source, clientHello) => {
    const asked = Promise.withResolvers<void>()
    const listener = await serve({
      clientHello,
      certificate: {
        certificate: () => {
          if (source === hanging) asked.resolve()
          return source.certificate()
        },
        ...(source.byServerName && {
          byServerName: () => {
            asked.resolve()
            return never
          },
        }),
        describe: describeIt,
      },
    })
    for (const way of ['destroy', 'resetAndDestroy'] as const) {
      const socket = come(listener.port)
      await once(socket, 'connect')
      await asked.promise
      while (listener.listener.counts.serving === 0) await turn()
      socket[way]()
      expect((await listener.next()).error?.code).toBe('TLS_HANDSHAKE_CLOSED')
    }
  })

  it('ends with a drain whose time is over', async () => {
    const listener = await serve({ certificate: hanging })
    const socket = tls(listener.port)
    await once(socket, 'connect')
    while (listener.listener.counts.serving === 0) await turn()
    await listener.listener.close(0)
    expect((await listener.next()).error?.code).toBe('TLS_HANDSHAKE_CLOSED')
  })

  it.each([false, true])('goes on where it comes late (clientHello: %s)', async clientHello => {
    const late = Promise.withResolvers<Awaited<ReturnType<CertificateSource['certificate']>>>()
    const listener = await serve({
      clientHello,
      certificate: { certificate: () => late.promise, describe: describeIt },
    })
    // Long enough that the ClientHello does not come at once.
    const port = await inPieces(listener.port, 50)
    const early = client({ ...listener, port })
    const whole = client(listener)
    while (listener.listener.counts.serving < 2) await turn()
    for (let round = 0; round < 20; round++) await turn()
    late.resolve(await certificate.certificate())
    expect(await echoed(await early, 'in pieces')).toBe('in pieces')
    expect(await echoed(await whole, 'whole')).toBe('whole')
  })

  it('takes no more of a client that talks on', async () => {
    let served: Socket | undefined
    const listener = await serve(
      { certificate: hanging, handshakeTimeout: 300 },
      echo,
      next => connection => {
        served = connection.socket
        return next(connection)
      },
    )
    const socket = silent(listener.port)
    socket.write(Buffer.alloc(20_000_000))
    expect((await listener.next()).error?.code).toBe('TLS_ISSUE_FAILED')
    expect(served?.bytesRead).toBeGreaterThan(16_384)
    expect(served?.bytesRead).toBeLessThan(500_000)
  })
})

describe('acceptTls and the log', () => {
  afterEach(() => configureLogging({ directives: 'off' }))

  it('logs each handshake that is done, and leaves one that fails to the listener', async () => {
    const lines: { target: string; msg: string }[] = []
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const listener = await serve({ alpn: ['h2'] })
    const once = async (directives: string) => {
      configureLogging({ directives, format: 'json', destination })
      const socket = await client(listener, { servername: 'a.example', ALPNProtocols: ['h2'] })
      const { tls } = await listener.next()
      socket.destroy()
      return tls
    }
    await once('info,tls=info')
    expect(lines).toEqual([])
    const tls = await once('info,tls=debug')
    expect(lines).toEqual([
      expect.objectContaining({
        target: 'tls',
        level: 'debug',
        msg: 'TLS accepted',
        connection: expect.stringMatching(/^\d+$/),
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        serverName: 'a.example',
        alpn: 'h2',
        version: 'TLSv1.3',
        cipher: tls?.cipher,
        resumed: false,
      }),
    ])
    const raw = connectTcp(listener.port, '127.0.0.1')
    raw.end('not tls')
    await Promise.all([closed(raw), listener.next()])
    expect(lines.slice(1)).toMatchObject([{ target: 'net', code: 'TLS_NOT_TLS' }])
  })
})

describe('acceptTls types', () => {
  it('give the ClientHello and the client certificate only where they were asked for', () => {
    const ca = ''
    // Never called: only the types matter.
    const check = () => {
      stack<Connection>()
        .layer(acceptTls({ certificate }))
        .tap(({ tls }) => {
          expectTypeOf(tls.version).toEqualTypeOf<'TLSv1.2' | 'TLSv1.3'>()
          expectTypeOf(tls.clientCertificate).toEqualTypeOf<ClientCertificate | undefined>()
          // @ts-expect-error: nobody asked for it
          void tls.clientHello
        })
      stack<Connection>()
        .layer(acceptTls({ certificate, clientHello: true }))
        .tap(({ tls }) => {
          expectTypeOf(tls.clientHello).toEqualTypeOf<ClientHello>()
          expectTypeOf(tls.clientCertificate).toEqualTypeOf<ClientCertificate | undefined>()
        })
      stack<Connection>()
        .layer(acceptTls({ certificate, clientHello: true, clientCertificates: { ca, require: true } }))
        .tap(({ tls }) => {
          expectTypeOf(tls.clientHello).toEqualTypeOf<ClientHello>()
          expectTypeOf(tls.clientCertificate.commonName).toEqualTypeOf<string | undefined>()
        })
      stack<Connection>()
        .layer(acceptTls({ certificate, clientCertificates: { ca, require: false } }))
        .tap(({ tls }) => {
          // @ts-expect-error: it may be missing
          void tls.clientCertificate.commonName
        })
      stack<Connection>()
        .layer(acceptTls({ certificate, clientCertificates: { ca } }))
        .tap(({ tls }) => {
          expectTypeOf(tls.clientCertificate.commonName).toEqualTypeOf<string | undefined>()
        })
      const some = Math.random() > 0.5
      stack<Connection>()
        .layer(acceptTls({ certificate, clientCertificates: { ca, require: some } }))
        .tap(({ tls }) => {
          // @ts-expect-error: it may be missing
          void tls.clientCertificate.commonName
        })
      const options: AcceptTlsOptions = { certificate }
      stack<Connection>()
        .layer(acceptTls(options))
        .tap(({ tls }) => {
          // @ts-expect-error: it may be missing
          void tls.clientCertificate.commonName
        })
      stack<Connection>()
        .layer(acceptTls({ certificate, clientHello: some }))
        .tap(({ tls }) => {
          // @ts-expect-error: it may be missing
          void tls.clientHello
        })
      // @ts-expect-error: the option is called minVersion
      acceptTls({ certificate, minversion: 'TLSv1.2' })
      // @ts-expect-error: the option is called require
      acceptTls({ certificate, clientCertificates: { ca, requires: false } })
      // @ts-expect-error: there is no default for whom to trust
      acceptTls({ certificate, clientCertificates: {} })
    }
    expect(check).toBeTypeOf('function')
  })

  it('are what sendProxyHeader reads', () => {
    expectTypeOf<Connection & Secure>().toExtend<ProxyHeaderClient>()
  })
})
