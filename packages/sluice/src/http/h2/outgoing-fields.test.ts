import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { Body, empty, HeaderList, type HttpResponse, respond, text } from '../index.ts'

const logs = captureLogs()
const sessions: ClientHttp2Session[] = []
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await stopHttp()
  logs.length = 0
})

interface Answer {
  readonly headers: IncomingHttpHeaders
  /** Name, value, name, value … */
  readonly raw: readonly string[]
  readonly body: string
  readonly trailers: IncomingHttpHeaders
  readonly rawTrailers: readonly string[]
}

/** What a client gets of an answer. */
async function answerTo(response: () => HttpResponse, method: string = 'GET'): Promise<Answer> {
  const { port } = await startHttp(response)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  sessions.push(session)
  const stream = session.request({ ':path': '/', ':method': method })
  let headers: IncomingHttpHeaders = {}
  let raw: readonly string[] = []
  let trailers: IncomingHttpHeaders = {}
  let rawTrailers: readonly string[] = []
  let body = ''
  stream.setEncoding('latin1')
  stream.on('response', (fields, _flags, list) => {
    headers = fields
    raw = list as unknown as string[]
  })
  stream.on('trailers', (fields, _flags, list) => {
    trailers = fields
    rawTrailers = list as unknown as string[]
  })
  stream.on('data', (chunk: string) => {
    body += chunk
  })
  await new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
  return { headers, raw, body, trailers, rawTrailers }
}

const withFields = (fields: readonly (readonly [string, string])[], response: HttpResponse = text('a')) => ({
  ...response,
  headers: new HeaderList(fields),
})

describe('the fields of an answer over HTTP/2', () => {
  it('are in lower case, in their order, without those of a connection', async () => {
    const { headers } = await answerTo(() =>
      withFields([
        ['X-B', '2'],
        ['Connection', 'close'],
        ['Keep-Alive', '5'],
        ['Proxy-Connection', 'close'],
        ['Transfer-Encoding', 'chunked'],
        ['Upgrade', 'h2c'],
        ['HTTP2-Settings', 'x'],
        ['TE', 'trailers'],
        ['x-a', '1'],
        ['Set-Cookie', 'a'],
        ['Set-Cookie', 'b'],
      ]),
    )
    expect(Object.keys(headers)).toEqual([':status', 'x-b', 'x-a', 'set-cookie', 'date', 'content-length'])
    expect(headers['set-cookie']).toEqual(['a', 'b'])
    expect(logs).toEqual([])
  })

  it('may be there twice, also those that have one value as a rule', async () => {
    const { raw } = await answerTo(() =>
      withFields([
        ['age', '1'],
        ['x-content-type-options', 'nosniff'],
        ['set-cookie', 'a'],
        ['x-content-type-options', 'nosniff'],
        ['set-cookie', 'b'],
      ]),
    )
    expect(raw.slice(0, 12)).toEqual([
      ...[':status', '200', 'age', '1', 'x-content-type-options', 'nosniff', 'set-cookie', 'a'],
      ...['x-content-type-options', 'nosniff', 'set-cookie', 'b'],
    ])
    expect(logs).toEqual([])
  })

  it.each([
    ['a 204', () => withFields([['content-length', '5']], empty()), 'GET', undefined],
    ['a 205', () => text('none', { status: 205 }), 'GET', undefined],
    ['a 304', () => empty(304), 'GET', undefined],
    ['a 304 that says it', () => empty(304, { 'content-length': '5' }), 'GET', '5'],
    ['HEAD', () => text('hello'), 'HEAD', '5'],
    ['text', () => text('hello'), 'GET', '5'],
    ['nothing', () => respond(''), 'GET', '0'],
    [
      'a length that was told',
      () => respond(chunks('hello'), { headers: { 'content-length': '5' } }),
      'GET',
      '5',
    ],
    ['chunks', () => respond(chunks('hello')), 'GET', undefined],
  ])('say the length of %s', async (_name, response, method, length) => {
    const { headers, body } = await answerTo(response, method)
    expect(headers['content-length']).toBe(length)
    expect(body).toBe(method === 'GET' && Number(headers[':status']) === 200 && length !== '0' ? 'hello' : '')
    expect(logs).toEqual([])
  })

  it.each<readonly [name: string, fields: [string, string][], trailers: boolean]>([
    ['come behind a body of unknown length', [], true],
    [
      'come behind a body of a known length, where they are announced',
      [
        ['content-length', '5'],
        ['trailer', 'x-sum'],
      ],
      true,
    ],
    ['are left out where they are not', [['content-length', '5']], false],
  ])('that are trailers %s', async (_name, fields, come) => {
    const { body, trailers, rawTrailers } = await answerTo(() =>
      withFields(fields, {
        ...empty(200),
        body: Body.of({
          start: sink =>
            queueMicrotask(() => {
              sink.data(Buffer.from('hello'))
              sink.end(
                new HeaderList([
                  ['X-Sum', '1'],
                  ['age', '2'],
                  ['age', '3'],
                  ['connection', 'close'],
                ]),
              )
            }),
          pause: () => undefined,
          resume: () => undefined,
          cancel: () => undefined,
        }),
      }),
    )
    expect(body).toBe('hello')
    expect(rawTrailers).toEqual(come ? ['x-sum', '1', 'age', '2', 'age', '3'] : [])
    expect(trailers.connection).toBeUndefined()
  })
})

async function* chunks(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}
