// HTTP/2 frame by frame: what RFC 9113 wants, in the order of its sections, and what happens. The cases are those of
// h2spec and more.
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  ACK,
  block,
  CONTINUATION,
  data,
  END_HEADERS,
  END_STREAM,
  type Fields,
  FrameClient,
  fields,
  frame,
  GET,
  GOAWAY,
  HEADERS,
  headers,
  literal,
  PADDED,
  PING,
  POST,
  PRIORITIZED,
  PRIORITY,
  PUSH_PROMISE,
  RST_STREAM,
  rstStream,
  SETTINGS,
  settings,
  uint32,
  WINDOW_UPDATE,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { text } from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** What is sent; at 'asked' the service has the request, at 'answered' the client has all of the answer. */
type Step = Buffer | string
type Case = readonly [name: string, ...steps: Step[]]

interface Seen {
  readonly client: FrameClient
  /** Requests whose body came to its end. */
  readonly complete: string[]
  readonly failed: string[]
}

/** Sends frames to a service that reads every body, and answers; but `/wait` waits for ever. */
async function send(steps: readonly Step[], first?: Buffer): Promise<Seen> {
  const complete: string[] = []
  const failed: string[] = []
  let asked = 0
  const { port } = await startHttp(async ({ method, path, body, headers }) => {
    asked++
    if (path === '/wait') await new Promise(() => undefined)
    const content = await body.text().catch(error => {
      failed.push(error.code)
      throw error
    })
    const rest = [...headers, ...(body.trailers ?? [])].map(([name, value]) => `${name}=${value}`)
    complete.push([method, path, content, ...rest].join(' ').trimEnd())
    return text('hi')
  })
  const client = await FrameClient.connect(port, first)
  for (const step of steps) {
    if (step === 'asked') await until(() => asked === 1)
    else if (step === 'answered') await client.until(() => client.isDone(1))
    else client.send(step as Buffer)
  }
  await client.seen()
  return { client, complete, failed }
}

/** The connection ends, and that is logged once. */
async function refusesConnection(steps: readonly Step[], code: string, first?: Buffer): Promise<void> {
  const { client, complete } = await send(steps, first)
  await client.over()
  expect(client.goaway).toBe(code)
  expect(complete).toEqual([])
  expect(logs.filter(line => line.code === 'HTTP2_PROTOCOL')).toHaveLength(1)
}

/** The stream is reset or its request answered with an error; the connection may end (RFC 9113, 5.4.2). */
async function refusesStream(steps: readonly Step[]): Promise<void> {
  const { client, complete } = await send(steps)
  await client.until(() => client.isDone(1) || client.goaway !== undefined)
  const { statuses, reset } = client.answer(1)
  if (reset === undefined && client.goaway === undefined) expect(statuses).toEqual([400])
  if (reset !== undefined) expect(reset).toBe('PROTOCOL_ERROR')
  expect(complete).toEqual([])
}

async function serves(steps: readonly Step[], request: string, first?: Buffer): Promise<void> {
  const { client, complete } = await send(steps, first)
  await client.until(() => client.isDone(1))
  expect(client.answer(1)).toMatchObject({ statuses: [200], body: 'hi', ended: true })
  expect(complete).toEqual([request])
  expect(client.goaway).toBeUndefined()
  expect(logs).toEqual([])
}

const bytes = (text: string) => Buffer.from(text, 'latin1')
/** Fields of a GET that are other ones, and fields behind them. */
type Changes = [replaced: Record<string, string | undefined>, ...more: Fields]
const get = (replaced: Record<string, string | undefined> = {}, ...more: Fields) =>
  headers(1, block(...fields(GET, replaced, ...more)))
const post = (...more: Fields) => headers(1, block(...POST, ...more), 0)
const trailers = (...all: Fields) => headers(1, block(...all))
const waiting = get({ ':path': '/wait' })
const whole = block(...GET)
const GET_HEADERS = END_STREAM | END_HEADERS
const FIRST = PRIORITIZED | GET_HEADERS

describe('RFC 9113: frames', () => {
  it.each<Case>([
    ['4.1 a frame of an unknown type', frame(99, 0, 0, 'x'), get()],
    ['4.1 flags that mean nothing', headers(1, whole, END_STREAM | 0x50)],
    ['4.1 the reserved bit', frame(HEADERS, GET_HEADERS, 2 ** 31 + 1, whole)],
    [
      '6.2 padding',
      frame(HEADERS, GET_HEADERS | PADDED, 1, Buffer.concat([bytes('\x02'), whole, bytes('\0\0')])),
    ],
    ['6.2 a priority', frame(HEADERS, FIRST, 1, Buffer.concat([uint32(3), bytes('\x10'), whole]))],
    [
      '6.2 fields in several frames',
      frame(HEADERS, END_STREAM, 1, whole.subarray(0, 9)),
      frame(CONTINUATION, 0, 1, whole.subarray(9, 9)),
      frame(CONTINUATION, END_HEADERS, 1, whole.subarray(9)),
    ],
    ['6.3 a priority for a stream to come', frame(PRIORITY, 0, 3, '\0\0\0\0\x10'), get()],
    ['6.5.2 an unknown setting', settings([0x99, 7]), get()],
    ['6.5.2 the largest frames and windows', settings([4, 2 ** 31 - 1], [5, 2 ** 24 - 1]), get()],
    ['6.9 a window', windowUpdate(0, 100_000), get()],
    ['5.1 a reset of a stream that is done', get(), 'answered', rstStream(1)],
    ['5.1 a window for a stream that is done', get(), 'answered', windowUpdate(1, 5)],
    ['5.1 a priority for a stream that is done', get(), 'answered', frame(PRIORITY, 0, 1, '\0\0\0\0\x10')],
  ])('are read: %s', async (_name, ...steps) => serves(steps, 'GET /'))

  it.each<Case>([
    ['6.1 padding', post(), data(1, '\x02hello\0\0', PADDED | END_STREAM)],
    [
      '6.1 padding and nothing else',
      post(),
      data(1, 'hello'),
      data(1, '\x02\0\0', PADDED),
      data(1, '', END_STREAM),
    ],
    [
      '8.1.1 the length that was told',
      post(['content-length', '5']),
      data(1, 'he'),
      data(1, 'llo', END_STREAM),
    ],
  ])('bring bodies: %s', async (_name, ...steps) => {
    const { client, complete } = await send(steps)
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([200])
    expect(complete[0]).toMatch(/^POST \/ hello/)
  })

  it.each<readonly [code: string, ...Case]>([
    ['PROTOCOL_ERROR', '5.1 DATA on an idle stream', data(1, 'x')],
    ['PROTOCOL_ERROR', '5.1 RST_STREAM on an idle stream', rstStream(1)],
    ['PROTOCOL_ERROR', '5.1 WINDOW_UPDATE on an idle stream', windowUpdate(1, 9)],
    ['PROTOCOL_ERROR', '5.1 CONTINUATION on an idle stream', frame(CONTINUATION, END_HEADERS, 1, whole)],
    ['STREAM_CLOSED', '5.1 HEADERS behind END_STREAM', waiting, 'asked', trailers(['x-a', 'b'])],
    [
      'PROTOCOL_ERROR',
      '5.1 CONTINUATION behind END_HEADERS',
      waiting,
      'asked',
      frame(CONTINUATION, END_HEADERS, 1, ''),
    ],
    ['PROTOCOL_ERROR', '5.1.1 a stream of an even number', headers(2, whole)],
    ['PROTOCOL_ERROR', '5.1.1 HEADERS on stream 0', headers(0, whole)],
    [
      'PROTOCOL_ERROR',
      '5.3.1 a stream that depends on itself',
      frame(HEADERS, FIRST, 1, Buffer.concat([uint32(1), bytes('\x10'), whole])),
    ],
    ['FRAME_SIZE_ERROR', '4.2 DATA over the largest size', post(), data(1, 'x'.repeat(16_385))],
    ['FRAME_SIZE_ERROR', '4.2 HEADERS over the largest size', get({}, ['x-a', 'b'.repeat(16_384)])],
    [
      'COMPRESSION_ERROR',
      '4.3 fields that can not be read',
      headers(1, bytes('\xff\xff\xff\xff\xff\xff\xff\xff')),
    ],
    ['COMPRESSION_ERROR', '4.3 index 0', headers(1, Buffer.concat([whole, bytes('\x80')]))],
    [
      'COMPRESSION_ERROR',
      '4.3 a change of the table behind a field',
      headers(1, Buffer.concat([whole, bytes('\x20')])),
    ],
    [
      'COMPRESSION_ERROR',
      '4.3 a table over the largest size',
      headers(1, Buffer.concat([bytes('\x3f\xe2\x1f'), whole])),
    ],
    ['PROTOCOL_ERROR', '6.1 DATA on stream 0', data(0, 'x')],
    ['PROTOCOL_ERROR', '6.1 padding longer than DATA', post(), 'asked', data(1, '\xffxx', PADDED)],
    ['PROTOCOL_ERROR', '6.1 padding as long as DATA', post(), 'asked', data(1, '\x03xx', PADDED)],
    ['PROTOCOL_ERROR', '6.1 padding without its length', post(), 'asked', data(1, '', PADDED)],
    [
      'PROTOCOL_ERROR',
      '6.2 padding longer than HEADERS',
      frame(HEADERS, GET_HEADERS | PADDED, 1, Buffer.concat([bytes('\xff'), whole])),
    ],
    ['PROTOCOL_ERROR', '6.2 DATA among the fields', frame(HEADERS, 0, 1, whole), data(1, 'x')],
    [
      'PROTOCOL_ERROR',
      '6.2 another stream among the fields',
      frame(HEADERS, END_STREAM, 1, whole),
      headers(3, whole),
    ],
    [
      'PROTOCOL_ERROR',
      '6.2 PRIORITY among the fields',
      frame(HEADERS, END_STREAM, 1, whole),
      frame(PRIORITY, 0, 3, '\0\0\0\0\x10'),
    ],
    [
      'PROTOCOL_ERROR',
      '6.2 an unknown frame among the fields',
      frame(HEADERS, END_STREAM, 1, whole),
      frame(99, 0, 0, 'x'),
    ],
    ['FRAME_SIZE_ERROR', '6.3 PRIORITY of 4 bytes', frame(PRIORITY, 0, 1, '\0\0\0\0')],
    ['PROTOCOL_ERROR', '6.4 RST_STREAM on stream 0', rstStream(0)],
    ['FRAME_SIZE_ERROR', '6.4 RST_STREAM of 3 bytes', post(), 'asked', frame(RST_STREAM, 0, 1, '\0\0\0')],
    ['FRAME_SIZE_ERROR', '6.5 an acknowledgement with settings', frame(SETTINGS, ACK, 0, '\0\x01\0\0\0\0')],
    ['PROTOCOL_ERROR', '6.5 SETTINGS on a stream', frame(SETTINGS, 0, 1, '')],
    ['FRAME_SIZE_ERROR', '6.5 SETTINGS of 5 bytes', frame(SETTINGS, 0, 0, '\0\x01\0\0\0')],
    ['PROTOCOL_ERROR', '6.5.2 ENABLE_PUSH of 2', settings([2, 2])],
    ['FLOW_CONTROL_ERROR', '6.5.2 INITIAL_WINDOW_SIZE of 2^31', settings([4, 2 ** 31])],
    ['PROTOCOL_ERROR', '6.5.2 MAX_FRAME_SIZE of 16383', settings([5, 16_383])],
    ['PROTOCOL_ERROR', '6.5.2 MAX_FRAME_SIZE of 2^24', settings([5, 2 ** 24])],
    ['PROTOCOL_ERROR', '8441, 3 ENABLE_CONNECT_PROTOCOL of 2', settings([8, 2])],
    [
      'PROTOCOL_ERROR',
      '8.4 PUSH_PROMISE of a client',
      post(),
      'asked',
      frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), whole])),
    ],
    ['FRAME_SIZE_ERROR', '6.7 PING of 6 bytes', frame(PING, 0, 0, '123456')],
    ['PROTOCOL_ERROR', '6.7 PING on a stream', frame(PING, 0, 1, '12345678')],
    ['PROTOCOL_ERROR', '6.8 GOAWAY on a stream', frame(GOAWAY, 0, 1, '\0\0\0\0\0\0\0\0')],
    ['FRAME_SIZE_ERROR', '6.8 GOAWAY of 4 bytes', frame(GOAWAY, 0, 0, '\0\0\0\0')],
    ['PROTOCOL_ERROR', '6.9 a window for the connection by nothing', windowUpdate(0, 0)],
    ['FRAME_SIZE_ERROR', '6.9 WINDOW_UPDATE of 3 bytes', frame(WINDOW_UPDATE, 0, 0, '\0\0\x01')],
    [
      'FLOW_CONTROL_ERROR',
      '6.9.1 a window for the connection over 2^31-1',
      windowUpdate(0, 2 ** 31 - 1),
      windowUpdate(0, 1),
    ],
    [
      'FLOW_CONTROL_ERROR',
      '6.9.2 settings that make a window too large',
      post(),
      'asked',
      windowUpdate(1, 2 ** 31 - 65_536),
      settings([4, 65_536]),
    ],
    [
      'PROTOCOL_ERROR',
      '6.10 CONTINUATION on another stream',
      frame(HEADERS, END_STREAM, 1, whole),
      frame(CONTINUATION, END_HEADERS, 3, ''),
    ],
    [
      'PROTOCOL_ERROR',
      '6.10 CONTINUATION on stream 0',
      frame(HEADERS, END_STREAM, 1, whole),
      frame(CONTINUATION, END_HEADERS, 0, ''),
    ],
    [
      'PROTOCOL_ERROR',
      '6.10 CONTINUATION behind DATA',
      post(),
      'asked',
      data(1, 'x'),
      frame(CONTINUATION, END_HEADERS, 1, ''),
    ],
  ])('end the connection with %s: %s', async (code, _name, ...steps) => refusesConnection(steps, `${code}`))

  it('end the connection when SETTINGS do not come first (3.4)', async () =>
    refusesConnection([], 'PROTOCOL_ERROR', get()))

  it.each<Case>([
    ['5.1 DATA behind END_STREAM', waiting, 'asked', data(1, 'x')],
    [
      '8.1 DATA behind trailers',
      headers(1, block(...fields(POST, { ':path': '/wait' })), 0),
      'asked',
      trailers(['x-a', 'b']),
      data(1, 'x'),
    ],
    ['6.9 a window for a stream by nothing', post(), 'asked', windowUpdate(1, 0)],
    [
      '6.9.1 a window for a stream over 2^31-1',
      post(),
      'asked',
      windowUpdate(1, 2 ** 31 - 1),
      windowUpdate(1, 1),
    ],
    [
      '5.2.1 more DATA than the window has room for',
      headers(1, block(...fields(POST, { ':path': '/wait' })), 0),
      'asked',
      ...Array.from({ length: 20 }, () => data(1, 'x'.repeat(16_384))),
    ],
  ])('end the stream, or the connection: %s', async (_name, ...steps) => {
    const { client, complete } = await send(steps)
    await client.until(() => client.goaway !== undefined || client.answer(1).reset !== undefined)
    expect(complete).toEqual([])
  })
})

describe('RFC 9113: requests', () => {
  it.each<readonly [name: string, replaced: Record<string, string | undefined>, ...Fields]>([
    ['8.2.1 a name in upper case', {}, ['X-A', 'b']],
    ['8.2.2 connection', {}, ['connection', 'close']],
    ['8.2.2 keep-alive', {}, ['keep-alive', '5']],
    ['8.2.2 proxy-connection', {}, ['proxy-connection', 'close']],
    ['8.2.2 transfer-encoding', {}, ['transfer-encoding', 'chunked']],
    ['8.2.2 upgrade', {}, ['upgrade', 'x']],
    ['8.2.2 te that is not trailers', {}, ['te', 'gzip']],
    ['8.2.2 te twice, the second not trailers', {}, ['te', 'trailers'], ['te', 'gzip']],
    ['8.3 an unknown pseudo-field', { ':path': undefined }, [':path', '/'], [':x', 'y']],
    ['8.3 a pseudo-field of responses', { ':path': undefined }, [':path', '/'], [':status', '200']],
    ['8.3 a pseudo-field behind a field', { ':path': undefined }, ['x-a', 'b'], [':path', '/']],
    ['8.3.1 no :method', { ':method': undefined }],
    ['8.3.1 no :scheme', { ':scheme': undefined }],
    ['8.3.1 no :path', { ':path': undefined }],
    ['8.3.1 neither :authority nor host', { ':authority': undefined }],
    ['8.3.1 an empty :path', { ':path': '' }],
    ['8.3.1 an empty :authority', { ':authority': '' }],
    ['8.3.1 an empty :method', { ':method': '' }],
    ['8.3.1 a :method that is none', { ':method': 'G T' }],
    ['8.3.1 :method twice', {}, [':method', 'GET']],
    ['8.3.1 :scheme twice', {}, [':scheme', 'http']],
    ['8.3.1 :path twice', {}, [':path', '/']],
    ['8.3.1 :authority twice', {}, [':authority', 'a']],
    ['8.3.1 another :scheme', { ':scheme': 'ftp' }],
    ['8.3.1 a :path that is a whole URL', { ':path': 'http://a/' }],
    ['8.3.1 :path * for GET', { ':path': '*' }],
    ['8.3.1 a user in :authority', { ':authority': 'u@a' }],
    ['8.3.1 host that contradicts :authority', {}, ['host', 'b']],
    ['8.3.1 host twice', {}, ['host', 'a'], ['host', 'a']],
    ['8.3.1 a line end in :path', { ':path': '/a\r\nx-b: c' }],
    ['8.3.1 a line end in :authority', { ':authority': 'a\r\nx-b: c' }],
    ['8.3.1 a line end in :method', { ':method': 'GET / HTTP/1.1\r\nx: ' }],
    ['8.3.1 a fragment in :path', { ':path': '/a#b' }],
    ['8.3.1 a line end in host', { ':authority': undefined }, ['host', 'a\nb']],
    ['8.5 CONNECT with :path', { ':method': 'CONNECT' }],
  ])('are refused: %s', async (_name, ...what) => refusesStream([get(...(what as Changes))]))

  it.each<readonly [name: string, request: string, replaced: Record<string, string | undefined>, ...Fields]>([
    ['host in place of :authority', 'GET /  host=a', { ':authority': undefined }, ['host', 'a']],
    ['host that means the same', 'GET /  host=A:80', {}, ['host', 'A:80']],
    ['te: trailers', 'GET /  te=trailers', {}, ['te', 'trailers']],
    ['* for OPTIONS', 'OPTIONS *', { ':method': 'OPTIONS', ':path': '*' }],
    [
      '8.2.3 crumbs of a cookie, as one',
      'GET /  x=y cookie=a=1; b=2; c=3',
      {},
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['x', 'y'],
      ['cookie', 'c=3'],
    ],
    ['8.2.1 bytes beyond ASCII', 'GET /  x=\xe4', {}, ['x', '\xe4']],
    ['a length of nothing', 'GET /  content-length=0', {}, ['content-length', '0']],
  ])('are served: %s', async (_name, request, ...what) =>
    serves([get(...(what as unknown as Changes))], String(request)),
  )

  it.each<Case>([
    ['too little', post(['content-length', '5']), 'asked', data(1, 'abc', END_STREAM)],
    [
      'too little, in several frames',
      post(['content-length', '5']),
      'asked',
      data(1, 'ab'),
      data(1, 'c', END_STREAM),
    ],
    [
      'too little, and trailers',
      post(['content-length', '5']),
      'asked',
      data(1, 'ab'),
      trailers(['x-a', 'b']),
    ],
    ['nothing', headers(1, block(...POST, ['content-length', '5']))],
    ['too much', post(['content-length', '5']), 'asked', data(1, 'abcdefg', END_STREAM)],
    ['too much, and no end', post(['content-length', '5']), 'asked', data(1, 'abcdefg')],
    ['too much, later', post(['content-length', '5']), 'asked', data(1, 'abcde'), data(1, 'f', END_STREAM)],
    ['too much, at once with the head', post(['content-length', '5']), data(1, 'abcdefg', END_STREAM)],
  ])(
    'have no whole body where content-length says 5 bytes and there are %s (8.1.1)',
    async (_name, ...steps) => {
      const { client, complete, failed } = await send(steps)
      await client.until(() => client.isDone(1) || client.goaway !== undefined)
      const { statuses, reset } = client.answer(1)
      expect(statuses).toEqual([])
      if (client.goaway === undefined) expect(reset).toBe('PROTOCOL_ERROR')
      expect(complete).toEqual([])
      if (steps.includes('asked')) expect(failed).toEqual(['HTTP_BODY_INCOMPLETE'])
    },
  )

  it.each(['5x', '+5', '', '5, 5', '-1', '0x5', '99999999999999999999', '5 5'])(
    'are refused with a content-length of %j',
    async length => refusesStream([post(['content-length', length]), data(1, 'abcde', END_STREAM)]),
  )

  it('are refused with two of them', async () =>
    refusesStream([post(['content-length', '5'], ['content-length', '5']), data(1, 'abcde', END_STREAM)]))

  it.each<readonly [name: string, ...Fields]>([
    ['a pseudo-field', [':method', 'GET']],
    ['a name in upper case', ['X-A', 'b']],
    ['a field of connections', ['connection', 'close']],
    ['a length', ['content-length', '1']],
    ['te', ['te', 'trailers']],
    ['a host', ['host', 'a']],
  ])('are refused with trailers that have %s (8.1)', async (_name, ...all) => {
    await refusesStream([post(), 'asked', data(1, 'a'), trailers(...(all as unknown as Fields))])
  })

  it('are refused with a second HEADERS that does not end them (8.1)', async () =>
    refusesStream([post(), 'asked', headers(1, block(['x-a', 'b']), 0), data(1, 'a', END_STREAM)]))

  it.each([
    ['100-continue', 'x'],
    ['x', '100-continue'],
  ])('have to expect what there is, all of it: %s and %s', async (one, other) => {
    const { client, complete } = await send([post(['expect', one], ['expect', other])])
    await client.until(() => client.isDone(1))
    expect(client.answer(1).statuses).toEqual([417])
    expect(complete).toEqual([])
  })
})

describe('RFC 9113: streams that are closed', () => {
  it.each<readonly [code: string, ...Case]>([
    ['STREAM_CLOSED', 'DATA behind a reset', post(), 'asked', rstStream(1), data(1, 'x')],
    ['STREAM_CLOSED', 'HEADERS behind a reset', post(), 'asked', rstStream(1), trailers(['x-a', 'b'])],
    ['PROTOCOL_ERROR', 'PRIORITY on stream 0', frame(PRIORITY, 0, 0, '\0\0\0\0\x10')],
  ])('end the connection with %s: %s (5.1, 6.3)', async (code, _name, ...steps) =>
    refusesConnection(steps, `${code}`),
  )

  it.each<Case>([
    ['DATA on a stream that is done', get(), 'answered', data(1, 'x')],
    ['HEADERS on a stream that is done', get(), 'answered', get()],
  ])('end the connection for %s (5.1)', async (_name, ...steps) => {
    const { client, complete } = await send(steps)
    await client.over()
    expect(client.goaway).toBe('STREAM_CLOSED')
    expect(client.answer(1).statuses).toEqual([200])
    expect(complete).toEqual(['GET /'])
  })

  it('end the connection for a stream of a lower number than one before (5.1.1)', async () => {
    const { client, complete } = await send([headers(5, whole), 'asked', get({ ':path': '/late' })])
    await client.over()
    expect(client.goaway).toBe('PROTOCOL_ERROR')
    expect(client.answer(1).statuses).toEqual([])
    expect(complete).toEqual(['GET /'])
  })

  it('pass over what was under way when they were reset by the server', async () => {
    // The window is opened by nothing, so that the stream is reset.
    const { client } = await send([
      post(),
      'asked',
      windowUpdate(1, 0),
      data(1, 'x'),
      trailers(['x-a', 'b']),
      headers(3, whole),
    ])
    await client.until(() => client.isDone(3))
    expect(client.answer(1)).toMatchObject({ statuses: [], reset: 'PROTOCOL_ERROR' })
    expect(client.answer(3)).toMatchObject({ statuses: [200], ended: true })
    expect(client.goaway).toBeUndefined()
  })
})

describe('RFC 9113: fields', () => {
  it.each<readonly [name: string, field: readonly [name: string, value: string]]>([
    ['a space in its name', ['x a', 'b']],
    ['a colon in its name', ['x:a', 'b']],
    ['a NUL in its name', ['x\0a', 'b']],
    ['no name', ['', 'b']],
    ['a name beyond ASCII', ['x\xe4', 'b']],
    ['CR in its value', ['x-a', 'b\rc']],
    ['LF in its value', ['x-a', 'b\nx-c: d']],
    ['NUL in its value', ['x-a', 'b\0c']],
    ['a control character in its value', ['x-a', 'b\x01c']],
    ['a line end in a cookie', ['cookie', 'b\r\nx-c: d']],
    ['a space before its value', ['x-a', ' b']],
    ['a space behind its value', ['x-a', 'b ']],
  ])('make a request malformed: %s (8.2.1)', async (_name, field) => {
    const { client, complete } = await send([get({}, field)])
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ statuses: [400], ended: true })
    expect(complete).toEqual([])
    expect(logs).toMatchObject([{ code: 'HTTP_FIELD_MALFORMED' }])
  })

  it('make a request malformed that are among its trailers (8.2.1)', async () => {
    const { client, complete } = await send([post(), data(1, 'a'), trailers(['x-a', 'b\r\nc'], ['x-b', 'c'])])
    await client.until(() => client.isDone(1))
    expect(client.answer(1)).toMatchObject({ statuses: [400], ended: true })
    expect(complete).toEqual([])
  })

  it('may say another :scheme: the connection is taken for what it is (8.3.1)', async () =>
    serves([get({ ':scheme': 'https' })], 'GET /'))

  it.each([
    ['PING', frame(PING, ACK, 0, '12345678')],
    ['SETTINGS', Buffer.concat([1, 2, 3].map(() => frame(SETTINGS, ACK, 0)))],
  ])('are served though an acknowledgement of %s came that nobody waits for', async (_name, unasked) =>
    serves([unasked, get()], 'GET /'),
  )

  it('stay in the table when their request is refused (4.3)', async () => {
    // The refused request adds a field to the table, and the next one uses it.
    const added = Buffer.concat([block(...fields(GET, { ':scheme': 'ftp' })), literal('x-a', 'b', true)])
    const { client, complete } = await send([
      headers(1, added),
      headers(3, Buffer.concat([whole, bytes('\xbe')])),
    ])
    await client.until(() => client.isDone(3))
    expect(client.answer(1).statuses).toEqual([400])
    expect(complete).toEqual(['GET /  x-a=b'])
  })
})
