// Clients for churn: each kind makes one connection, or one session, and does with it what its name says. What a kind asks of
// the origin is in its path; see churn-origins.ts.
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { RawClient } from './http.ts'
import {
  block,
  data,
  END_STREAM,
  type Fields,
  FrameClient,
  fields,
  GET,
  headers,
  POST,
  rstStream,
} from './http2-frames.ts'
import { dial, secure } from './terminator.ts'

interface Ports {
  readonly plain: number
  readonly tls: number
}

/** How many requests it makes, and what it does. */
export type Kind = readonly [name: string, requests: number, run: (ports: Ports) => Promise<void>]

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (path: string, fields: string, body = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const CLOSE = 'Connection: close\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const WEBSOCKET = 'Connection: upgrade\r\nUpgrade: websocket\r\n'
const BIG = 200_000

/** Says what was answered, if it was not this. */
function expectStatuses(client: RawClient, ...wanted: readonly number[]): void {
  const got = client.statuses.filter(status => status >= 200)
  if (String(got) !== String(wanted)) {
    throw new Error(`wanted ${wanted}, got ${got} in ${JSON.stringify(client.received.slice(0, 300))}`)
  }
}

function isOver(client: RawClient): boolean {
  return client.ended || client.failed !== undefined || client.socket.destroyed
}

/** Sends, reads to the end of the connection, and compares the statuses. */
async function exchanges(port: number, bytes: string, ...statuses: readonly number[]): Promise<void> {
  const client = (await RawClient.connect(port)).send(bytes)
  await client.until(() => isOver(client)).catch(() => undefined)
  expectStatuses(client, ...statuses)
  client.socket.destroy()
  await closed(client)
}

/** Sends, waits until something has come, and resets the connection. */
async function aborted(port: number, bytes: string, seen: (received: string) => boolean): Promise<void> {
  const client = (await RawClient.connect(port)).send(bytes)
  await client.until(() => seen(client.received) || isOver(client))
  client.socket.resetAndDestroy()
  await closed(client)
}

function closed({ socket }: RawClient): Promise<unknown> {
  return socket.closed ? Promise.resolve() : once(socket, 'close')
}

const plain =
  (bytes: string, ...statuses: readonly number[]) =>
  ({ plain: port }: Ports): Promise<void> =>
    exchanges(port, bytes, ...statuses)

const abort =
  (bytes: string, seen: (received: string) => boolean) =>
  ({ plain: port }: Ports): Promise<void> =>
    aborted(port, bytes, seen)

const atOnce = (): boolean => true
const headSeen = (received: string): boolean => received.includes('\r\n\r\n')

async function overTls({ tls: port }: Ports, path: string, status: number): Promise<void> {
  const socket = await dial(port)
  const client = new RawClient(await secure(socket)).send(get(path, CLOSE))
  await client.until(() => isOver(client)).catch(() => undefined)
  expectStatuses(client, status)
  client.socket.destroy()
  socket.destroy()
}

/** A session of HTTP/2 without TLS. What a stream ends with is up to the kind. */
async function overHttp2(
  { plain: port }: Ports,
  run: (session: ClientHttp2Session) => Promise<unknown>,
): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  await once(session, 'connect')
  await run(session)
  session.destroy()
  if (!session.socket?.destroyed) await once(session, 'close').catch(() => undefined)
}

/** Asks over HTTP/2, and reads to the end of the stream; the status, or 0 if there was none. */
async function asks(session: ClientHttp2Session, path: string, body?: string): Promise<number> {
  const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' })
  let status = 0
  stream.on('response', headers => {
    status = Number(headers[':status'])
  })
  stream.on('error', () => undefined)
  stream.resume()
  stream.end(body)
  if (!stream.closed) await once(stream, 'close').catch(() => undefined)
  return status
}

async function answers(ports: Ports, path: string, wanted: number, body?: string): Promise<void> {
  await overHttp2(ports, async session => {
    const status = await asks(session, path, body)
    if (status !== wanted) throw new Error(`${path} over HTTP/2: wanted ${wanted}, got ${status}`)
  })
}

/** Resets a stream when an event has come. */
async function resets(
  ports: Ports,
  path: string,
  when: (stream: ClientHttp2Stream) => Promise<unknown>,
): Promise<void> {
  await overHttp2(ports, async session => {
    const stream = session.request({ ':path': path })
    stream.on('error', () => undefined)
    await when(stream)
    stream.close(8)
    if (!stream.closed) await once(stream, 'close').catch(() => undefined)
  })
}

/** Sends frames on a session without TLS, waits for something, and resets the connection. */
async function framed(
  { plain: port }: Ports,
  frames: readonly Buffer[],
  until: (client: FrameClient) => boolean,
): Promise<void> {
  const client = (await FrameClient.connect(port)).send(...frames)
  await client.until(() => until(client) || client.isOver)
  const held = until(client)
  client.raw.socket.resetAndDestroy()
  await closed(client.raw)
  if (!held) throw new Error(`it ended before: ${client.goaway}`)
}

const framedUntil =
  (frames: readonly Buffer[], until: (client: FrameClient) => boolean) =>
  (ports: Ports): Promise<void> =>
    framed(ports, frames, until)

const has =
  (status: number) =>
  (client: FrameClient): boolean =>
    client.isDone(1) && client.answer(1).statuses.includes(status)
const isReset = (client: FrameClient): boolean => client.answer(1).reset !== undefined
const isFlood = (client: FrameClient): boolean => client.goaway === 'ENHANCE_YOUR_CALM'

/** Frames on stream 1: a request, and what follows it. */
const request = (base: Fields, path: string, more: Fields, ...rest: readonly Buffer[]): readonly Buffer[] => [
  headers(1, block(...fields(base, { ':path': path }, ...more)), rest.length === 0 ? END_STREAM : 0),
  ...rest,
]

const said: Fields = [['content-length', '10']]
const tooShort = request(POST, '/h1/silent', said, data(1, 'hello', END_STREAM))
const tooLong = request(POST, '/h1/silent', said, data(1, 'hello hello'))
const whole = request(POST, '/h1/silent', [], data(1, 'hello', END_STREAM))
const rapidResets = Array.from({ length: 250 }, (_, at) => [
  headers(2 * at + 1, block(...GET)),
  rstStream(2 * at + 1),
]).flat()

/** Sends the beginning of a body, resets the stream, and goes. */
async function resetsBody({ plain: port }: Ports, path: string): Promise<void> {
  const client = await FrameClient.connect(port)
  await client.send(...request(POST, path, [], data(1, 'hello'))).seen()
  await client.send(rstStream(1)).seen()
  client.raw.socket.resetAndDestroy()
  await closed(client.raw)
}

/** A session over TLS, which vanishes with an answer under way and another behind it. */
async function abortsOverTls({ tls: port }: Ports): Promise<void> {
  const socket = await dial(port)
  const session = connectHttp2('https://localhost', {
    createConnection: () => connectTls({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false }),
  })
  session.on('error', () => undefined)
  const stream = session.request({ ':path': `/h1/ok/${BIG}` })
  stream.on('error', () => undefined)
  session.request({ ':path': '/h1/silent' }).on('error', () => undefined)
  await once(stream, 'response')
  const gone = new Promise(resolve => session.on('close', resolve))
  socket.resetAndDestroy()
  session.destroy()
  await gone
}

/** A WebSocket over HTTP/2 (RFC 8441), in which the client ends its side or resets it once it has heard something. */
async function tunnelOverHttp2(ports: Ports, way: string, code?: number): Promise<void> {
  await overHttp2(ports, async session => {
    if (session.pendingSettingsAck || session.remoteSettings?.enableConnectProtocol !== true)
      await once(session, 'remoteSettings')
    const stream = session.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': `/h1/${way}` },
      { endStream: false },
    )
    let status = 0
    stream.on('response', answer => {
      status = Number(answer[':status'])
    })
    stream.on('error', () => undefined)
    const over = new Promise(resolve => stream.on('close', resolve))
    await Promise.race([new Promise(resolve => stream.once('data', resolve)), over])
    if (status !== 200) throw new Error(`${way} over HTTP/2: ${status}`)
    if (code === undefined) stream.end()
    else stream.close(code)
    stream.resume()
    await over
  })
}

/** The stream has its number, and so has been sent. */
async function begun(stream: ClientHttp2Stream): Promise<void> {
  if (stream.pending) await once(stream, 'ready')
}

const complete: readonly Kind[] = [
  ['close', 1, plain(get('/h1/ok/2', CLOSE), 200)],
  ['keep-alive', 3, plain(get('/h1/ok/2') + get('/h1/chunks/700') + get('/h1/empty', CLOSE), 200, 200, 204)],
  ['a large answer', 1, plain(get(`/h1/ok/${BIG}`, CLOSE), 200)],
  ['large chunks', 1, plain(get(`/h1/chunks/${BIG}`, CLOSE), 200)],
  ['an answer that ends with its connection', 1, plain(get('/h1/until-close/700', CLOSE), 200)],
  ['HTTP/1.0', 1, plain('GET /h1/chunks/7 HTTP/1.0\r\n\r\n', 200)],
  ['a body', 1, plain(post('/h1/ok/2', `${CLOSE}Content-Length: 5\r\n`, 'hello'), 200)],
  [
    'chunks with trailers',
    1,
    plain(post('/h1/ok/2', CLOSE + CHUNKED, '5\r\nhello\r\n0\r\nX: y\r\n\r\n'), 200),
  ],
  ['a large body', 1, plain(post('/h1/ok/2', `${CLOSE}Content-Length: ${BIG}\r\n`, 'x'.repeat(BIG)), 200)],
  ['103 and 100', 2, plain(get('/h1/hints/2') + get('/h1/continue/2', CLOSE), 200, 200)],
  ['over TLS', 1, ports => overTls(ports, '/h1/ok/700', 200)],
  ['to an upstream over TLS', 1, plain(get('/tls/ok/700', CLOSE), 200)],
  ['to an upstream over HTTP/2', 2, plain(get('/h2/ok/700') + get('/h2/ok/2', CLOSE), 200, 200)],
  ['over HTTP/2', 1, ports => answers(ports, '/h1/ok/700', 200)],
  ['a body over HTTP/2', 1, ports => answers(ports, '/h1/ok/2', 200, 'x'.repeat(50_000))],
  ['over HTTP/2 to HTTP/2', 1, ports => answers(ports, '/h2/ok/70000', 200, 'hello')],
  [
    'many at once over HTTP/2',
    10,
    ports =>
      overHttp2(ports, session =>
        Promise.all(Array.from({ length: 10 }, () => asks(session, '/h1/chunks/700'))),
      ),
  ],
]

const byClient: readonly Kind[] = [
  ['nothing', 0, abort('', atOnce)],
  ['in a head', 0, abort('GET /h1/ok HTTP/1.1\r\nHo', atOnce)],
  ['while it waits', 1, abort(get('/h1/silent'), atOnce)],
  ['in an answer', 1, abort(get('/h1/stuck'), headSeen)],
  ['in a large answer', 1, abort(get(`/h1/ok/${BIG}`), headSeen)],
  ['in a body', 1, abort(post('/h1/silent', 'Content-Length: 1000\r\n', 'hello'), atOnce)],
  ['in chunks', 1, abort(post('/h1/silent', CHUNKED, '5\r\nhel'), atOnce)],
  [
    'before it sends what it was asked for',
    1,
    abort(post('/h1/continue/2', 'Content-Length: 5\r\nExpect: 100-continue\r\n'), headSeen),
  ],
  [
    'with a body that nobody wants',
    1,
    abort(post('/h1/refuse', 'Content-Length: 1000\r\n', 'hello'), headSeen),
  ],
  ['while it waits for a connection that fails', 1, abort(get('/dead'), atOnce)],
  ['in a tunnel', 1, abort(get('/h1/ws-echo', WEBSOCKET), received => received.includes('hello'))],
  ['before an upgrade is granted', 1, abort(get('/h1/silent', WEBSOCKET), atOnce)],
  ['a stream while it waits', 1, ports => resets(ports, '/h1/silent', begun)],
  ['a stream in its answer', 1, ports => resets(ports, '/h1/stuck', stream => once(stream, 'response'))],
  ['a stream to HTTP/2', 1, ports => resets(ports, '/h2/silent', begun)],
  [
    'a session with streams',
    3,
    ports =>
      overHttp2(ports, async session => {
        const paths = ['/h1/silent', '/h1/stuck', '/h2/silent']
        const streams = paths.map(path => session.request({ ':path': path }).on('error', () => undefined))
        await once(streams[1] as ClientHttp2Stream, 'response')
      }),
  ],
  ['in a body over HTTP/2', 1, ports => resetsBody(ports, '/h1/silent')],
  ['in a body over HTTP/2 to HTTP/2', 1, ports => resetsBody(ports, '/h2/silent')],
  ['a session over TLS in an answer', 1, abortsOverTls],
  ['an upstream over TLS while it waits', 1, abort(get('/tls/silent'), atOnce)],
  ['an upstream over TLS in an answer', 1, abort(get('/tls/stuck'), headSeen)],
]

const byOrigin: readonly Kind[] = [
  ...['end', 'reset', 'head-end', 'head-reset', 'malformed', 'flood'].map(
    (way): Kind => [`by the origin: ${way}`, 1, plain(get(`/h1/${way}`, CLOSE), 502)],
  ),
  ...['body-end', 'body-reset', 'chunk-end', 'bad-chunk'].map(
    (way): Kind => [`by the origin: ${way}`, 1, cutOrRefused(`/h1/${way}`)],
  ),
  ['bytes after an answer', 2, plain(get('/h1/extra/2') + get('/h1/ok/2', CLOSE), 200, 200)],
  ['an early answer', 1, plain(post('/h1/refuse', `${CLOSE}Content-Length: 5\r\n`, 'hello'), 200)],
  ['nobody listens', 1, plain(get('/dead', CLOSE), 502)],
  ['over TLS: reset', 1, plain(get('/tls/reset', CLOSE), 502)],
  ['over TLS: body-end', 1, cutOrRefused('/tls/body-end')],
  ['over HTTP/2: reset', 1, plain(get('/h2/reset', CLOSE), 502)],
  ['over HTTP/2: half', 1, cutOrRefused('/h2x/half')],
  // Others on the same session go down with it.
  ['over HTTP/2: goaway', 1, cutOrRefused('/h2x/goaway/2', true)],
  ['over HTTP/2: the session', 1, plain(get('/h2x/session', CLOSE), 502)],
  ['to HTTP/2: reset', 1, ports => answers(ports, '/h1/reset', 502)],
  ['to HTTP/2: body-reset', 1, ports => overHttp2(ports, session => asks(session, '/h1/body-reset'))],
]

/** The answer is cut off, or its head had not been written when it broke. */
function cutOrRefused(path: string, orWhole: boolean = false): (ports: Ports) => Promise<void> {
  return async ({ plain: port }) => {
    const client = (await RawClient.connect(port)).send(get(path, CLOSE))
    await client.until(() => isOver(client)).catch(() => undefined)
    if (!orWhole && /^HTTP\/1\.1 200 [\s\S]*\r\n0\r\n\r\n$/.test(client.received))
      throw new Error(`${path} was not cut`)
    client.socket.destroy()
    await closed(client)
  }
}

const refused: readonly Kind[] = [
  ['400', 0, plain('GET / HTTP/1.1\r\n\r\n', 400)],
  ['431', 0, plain(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431)],
  ['414', 0, plain(`GET /${'x'.repeat(17_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414)],
  ['501', 0, plain('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 501)],
  ['413', 0, plain(post('/h1/ok/2', 'Content-Length: 300001\r\n', 'hello'), 413)],
  ['413 in chunks', 1, plain(post('/h1/silent', CHUNKED, `${(300_001).toString(16)}\r\nhello`), 413)],
  ['a broken chunk', 1, plain(post('/h1/silent', CHUNKED, '5\r\nhello\r\nx'), 400)],
  ['400 over HTTP/2', 0, framedUntil(request(GET, '/h1/ok/2', [['X', 'y']]), has(400))],
  ['a body over HTTP/2 that is too short', 1, framedUntil(tooShort, isReset)],
  ['a body over HTTP/2 that is too long', 1, framedUntil(tooLong, isReset)],
  ['DATA behind the end of a request', 1, framedUntil([...whole, data(1, 'hello')], isReset)],
  ['a session that resets streams without end', 0, framedUntil(rapidResets, isFlood)],
  ['413 over HTTP/2', 1, ports => answers(ports, '/h1/silent', 413, 'x'.repeat(300_001))],
]

const tunnels: readonly Kind[] = [
  ['the client ends a tunnel', 1, ports => tunnel(ports, '/h1/ws-echo', client => client.socket.end())],
  ['the origin ends a tunnel', 1, ports => tunnel(ports, '/h1/ws-end', client => client.socket.end())],
  ['the origin resets a tunnel', 1, ports => tunnel(ports, '/h1/ws-reset', () => undefined)],
  ['the client ends a tunnel over HTTP/2', 1, ports => tunnelOverHttp2(ports, 'ws-echo')],
  ['the client resets a tunnel over HTTP/2', 1, ports => tunnelOverHttp2(ports, 'ws-echo', 8)],
  ['the origin ends a tunnel over HTTP/2', 1, ports => tunnelOverHttp2(ports, 'ws-end')],
  ['the origin resets a tunnel over HTTP/2', 1, ports => tunnelOverHttp2(ports, 'ws-reset')],
  ['an upgrade that is refused', 2, plain(get('/h1/ok/2', WEBSOCKET) + get('/h1/ok/2', CLOSE), 200, 200)],
]

async function tunnel(
  { plain: port }: Ports,
  path: string,
  leave: (client: RawClient) => unknown,
): Promise<void> {
  const client = (await RawClient.connect(port)).send(get(path, WEBSOCKET))
  await client.until(() => client.received.includes('hello') || isOver(client))
  leave(client)
  await client.until(() => isOver(client)).catch(() => undefined)
  client.socket.destroy()
  await closed(client)
}

/** These take a time limit of a second each. */
const slow: readonly Kind[] = [
  ['504', 1, plain(get('/h1/silent', CLOSE), 504)],
  ['408', 0, plain('GET / HTTP/1.1\r\nHost: a\r\n', 408)],
  [
    'an expectation that nobody answers',
    1,
    plain(post('/h1/silent', `${CLOSE}Content-Length: 5\r\nExpect: 100-continue\r\n`, 'hello'), 504),
  ],
]

/** Each as often as it stands here, but for those that take long, of which each comes once in a few hundred. */
export const KINDS: readonly Kind[] = [...complete, ...byClient, ...byOrigin, ...refused, ...tunnels]
export const SLOW_KINDS: readonly Kind[] = slow
