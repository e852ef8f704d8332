import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { preferredType } from './accept.ts'

const OURS = ['text/plain', 'text/html', 'application/json']

describe('preferredType', () => {
  it.each([
    [undefined, 'text/plain', 'without the field'],
    ['*/*', 'text/plain', 'curl, fetch'],
    ['', 'text/plain', 'an empty list'],
    [
      'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
      'text/html',
      'a browser that navigates',
    ],
    ['application/json, text/plain, */*', 'application/json', 'axios: the first of what it names'],
    ['text/plain;q=0.5, application/json;q=0.9', 'application/json', 'the larger weight'],
    ['text/html;q=0.1, */*;q=0.2', 'text/plain', 'a large weight for the rest'],
    ['text/*', 'text/plain', 'the first of ours in a group'],
    ['text/*;q=0.3, text/html;q=0.4', 'text/html', 'the most exact range decides'],
    ['text/plain;q=0, */*', 'text/html', 'what it does not take is left out'],
    ['image/png, application/json;q=0.001', 'application/json', 'whatever it takes at all'],
    ['TEXT/HTML', 'text/html', 'without regard to case'],
    ['text/html;level=1;q=0.5, application/json;q=0.6', 'application/json', 'parameters beside the weight'],
    ['text/html;q=2, application/json;q=0.1', 'application/json', 'a weight that is none'],
    ['text/html;q=0.1234', 'text/plain', 'a weight with too many digits, and nothing else'],
    ['nonsense, ;;, /, text/', 'text/plain', 'nothing that can be understood'],
  ])('%j: %s (%s)', (accept, expected, _why) => {
    expect(preferredType(accept, OURS)).toBe(expected)
  })

  it('says that a client takes none of them', () => {
    expect(preferredType('image/*', OURS)).toBeUndefined()
    expect(preferredType('*/*;q=0', OURS)).toBeUndefined()
    expect(preferredType('text/html;q=0.0', ['text/html'])).toBeUndefined()
  })

  it('finds something of ours, or nothing, whatever the field says', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), accept => {
        expect([...OURS, undefined]).toContain(preferredType(accept, OURS))
      }),
    )
  })
})
