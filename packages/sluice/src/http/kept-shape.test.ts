import { describe, expect, it } from 'vitest'
import { Body } from './body.ts'
import { HeaderList } from './headers.ts'
import { isSuitable } from './kept-shape.ts'
import { empty, type HttpResponse, respond, text } from './response.ts'

interface Parts {
  readonly target?: string
  readonly fields?: Record<string, string>
  readonly body?: Body
}

const request = ({ target = '/', fields = {}, body = Body.empty }: Parts) => ({
  target,
  headers: new HeaderList({ Host: 'a', 'User-Agent': 'b', Accept: '*/*', ...fields }),
  body,
})

describe('a request whose shape is kept', () => {
  it('is a plain one with a small answer', () => {
    expect(isSuitable(request({}), text('ok'))).toBe(true)
  })

  it.each<[what: string, parts: Parts]>([
    ['a cookie', { fields: { Cookie: 'session=1' } }],
    ['credentials', { fields: { Authorization: 'Bearer 1' } }],
    ['a key that only the application knows', { fields: { 'X-Api-Key': '1' } }],
    ['a query', { target: '/?token=1' }],
    ['a body', { body: Body.from('x') }],
  ])('has not %s', (_what, parts) => {
    expect(isSuitable(request(parts), text('ok'))).toBe(false)
  })

  it.each<[what: string, answer: HttpResponse]>([
    ['sets a cookie', text('ok', { headers: { 'set-cookie': 'session=1' } })],
    ['is large', text('x'.repeat(5000))],
    ['changes the protocol', { ...empty(200), tunnel: () => {} }],
    ['is informational', { ...respond(Body.empty), status: 101 }],
  ])('has no answer that %s', (_what, answer) => {
    expect(isSuitable(request({}), answer)).toBe(false)
  })
})
