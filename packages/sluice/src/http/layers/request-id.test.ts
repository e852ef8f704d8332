import { afterEach, describe, expect, it } from 'vitest'
import { exchange, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { type Service, SluiceError, stack } from '../../core/index.ts'
import { empty, type HttpRequest, type HttpResponse, text } from '../index.ts'
import { type RequestIdOptions, requestId, type WithRequestId } from './request-id.ts'

captureLogs('silent')
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

type Identified = HttpRequest & WithRequestId

const NEW = /^[A-Za-z0-9_-]{16}$/

/** Asks a service below the layer; gives the id that the service saw, its field, and the answer's. */
async function ask(
  fields: readonly string[],
  options: RequestIdOptions = {},
  service: Service<Identified, HttpResponse> = () => text('hi'),
) {
  const header = options.header ?? 'x-request-id'
  const seen: { id?: string; field?: string | undefined; names?: string[] } = {}
  const { port } = await startHttp(
    stack<HttpRequest, HttpResponse>()
      .layer(requestId(options))
      .tap(request => {
        seen.id = request.requestId
        seen.field = request.headers.get(header)
        seen.names = [...request.headers].map(([name]) => name.toLowerCase())
      })
      .service(service),
  )
  const lines = ['GET / HTTP/1.1', 'Host: a', 'Connection: close', ...fields, '', '']
  const { received } = await exchange(port, lines.join('\r\n'))
  const answered = new RegExp(`^${header}: (.*)\r$`, 'im').exec(received)?.[1]
  return { ...seen, answered, received }
}

describe('requestId', () => {
  it('makes an id, and sets it for services, upstreams and the client', async () => {
    const { id, field, answered } = await ask([])
    expect(id).toMatch(NEW)
    expect(field).toBe(id)
    expect(answered).toBe(id)
  })

  it('makes another one for each request', async () => {
    const ids: string[] = []
    const { port } = await startHttp(
      stack<HttpRequest, HttpResponse>()
        .layer(requestId())
        .service(request => {
          ids.push(request.requestId)
          return empty()
        }),
    )
    // More than are made at once.
    const many = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1100)
    await exchange(port, `${many}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect(new Set(ids).size).toBe(1101)
    expect(ids.filter(id => !NEW.test(id))).toEqual([])
  })

  it('takes nothing from a stranger, and puts its own in place of what it sent', async () => {
    const { id, field, answered, names } = await ask(['X-Request-Id: mine', 'x-request-id: mine-too'])
    expect(id).toMatch(NEW)
    expect(field).toBe(id)
    expect(answered).toBe(id)
    expect(names?.filter(name => name === 'x-request-id')).toHaveLength(1)
  })

  it('keeps the id of a trusted client', async () => {
    for (const own of ['a', `${'0'.repeat(120)}aZ09._~-`]) {
      const { id, field, answered } = await ask([`X-Request-Id: ${own}`], { trust: ['loopback'] })
      expect([id, field, answered]).toEqual([own, own, own])
    }
    expect((await ask(['X-Request-Id: mine'], { trust: ['10.0.0.0/8'] })).id).toMatch(NEW)
  })

  it.each([['a'.repeat(129)], ['a b'], ['a,b'], ['a"b'], ['<a>'], ['\u00e9'], ['']])(
    'makes a new one where that of a trusted client is %j',
    async own => {
      const { id, field } = await ask([`X-Request-Id: ${own}`], { trust: ['loopback'] })
      expect(id).toMatch(NEW)
      expect(field).toBe(id)
    },
  )

  it('makes a new one where a trusted client sent two', async () => {
    const { id } = await ask(['X-Request-Id: a', 'X-Request-Id: b'], { trust: ['loopback'] })
    expect(id).toMatch(NEW)
  })

  it('uses another field, and leaves the answer alone, if told so', async () => {
    const other = await ask([], { header: 'X-Correlation-Id' })
    expect(other.field).toBe(other.id)
    expect(other.answered).toBe(other.id)
    expect((await ask([], { respond: false })).answered).toBeUndefined()
    expect(() => requestId({ header: 'a b' })).toThrow(
      expect.objectContaining({ code: 'HTTP_HEADER_INVALID' }),
    )
  })

  it('replaces the id that a service answers with, and leaves an answer that is used again as it was', async () => {
    const shared = empty(200, { 'X-Request-Id': 'theirs' })
    const first = await ask([], {}, () => shared)
    const second = await ask([], {}, async () => shared)
    expect(first.answered).toBe(first.id)
    expect(second.answered).toBe(second.id)
    expect(shared.headers.get('x-request-id')).toBe('theirs')
  })

  it('is in the answer to a failed request, in the field and in the body, unless it is not to respond', async () => {
    const failing = (): never => {
      throw new SluiceError('HTTP_UPSTREAM_TIMEOUT', 'too slow')
    }
    const told = await ask([], {}, failing)
    expect(told.answered).toBe(told.id)
    expect(told.received).toMatch(new RegExp(`HTTP_UPSTREAM_TIMEOUT\nrequest ${told.id}\n$`))
    const silent = await ask([], { respond: false }, failing)
    expect(silent.answered).toBeUndefined()
  })

  it('leaves it to the server to refuse what is no answer', async () => {
    const { received } = await ask([], {}, () => undefined as unknown as HttpResponse)
    expect(received).toMatch(/^HTTP\/1\.1 500 [\s\S]*HTTP_RESPONSE_INVALID/)
  })
})
