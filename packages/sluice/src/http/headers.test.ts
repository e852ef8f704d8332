import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeaderList } from './headers.ts'
import { Section } from './section.ts'

function parsedList(text: string, offsets: readonly number[]): HeaderList {
  return new HeaderList(new Section(text, offsets))
}

describe('HeaderList', () => {
  it('keeps order and case, and looks up without regard to case', () => {
    const headers = new HeaderList([
      ['X-One', '1'],
      ['host', 'a'],
      ['x-one', '2'],
    ])
    expect([...headers]).toEqual([
      ['X-One', '1'],
      ['host', 'a'],
      ['x-one', '2'],
    ])
    expect(headers.get('X-ONE')).toBe('1, 2')
    expect(headers.getAll('x-One')).toEqual(['1', '2'])
    expect(headers.has('HOST')).toBe(true)
    expect(headers.get('missing')).toBeUndefined()
    expect(headers.size).toBe(3)
  })

  it('joins cookie crumbs as cookies', () => {
    const crumbs = new HeaderList([
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ])
    expect(crumbs.get('Cookie')).toBe('a=1; b=2')
  })

  it('sets in the place of the first, and deletes all of a name', () => {
    const headers = new HeaderList({ A: '1', B: '2' }).append('a', '3').append('C', '4')
    headers.set('a', '5')
    expect([...headers]).toEqual([
      ['a', '5'],
      ['B', '2'],
      ['C', '4'],
    ])
    expect(headers.delete('b')).toBe(true)
    expect(headers.delete('b')).toBe(false)
    expect([...headers]).toEqual([
      ['a', '5'],
      ['C', '4'],
    ])
  })

  it.each([
    ['', 'a'],
    ['a b', 'a'],
    ['a:', 'a'],
    ['ä', 'a'],
    ['a', 'a\r\nb: c'],
    ['a', 'a\n'],
    ['a', '\0'],
    ['a', '\x7f'],
    ['a', '\u0100'],
  ])('refuses %j: %j', (name, value) => {
    const headers = new HeaderList()
    const refused = expect.objectContaining({ code: 'HTTP_HEADER_INVALID' })
    expect(() => headers.append(name, value)).toThrow(refused)
    expect(() => headers.set(name, value)).toThrow(refused)
    expect(headers.size).toBe(0)
  })

  it('takes names that are properties of every object as names', () => {
    const headers = new HeaderList([['__proto__', 'a']])
    expect(headers.get('__proto__')).toBe('a')
    expect(headers.get('constructor')).toBeUndefined()
    expect(headers.has('toString')).toBe(false)
  })

  it('strips space and tab around values, and nothing else', () => {
    expect(new HeaderList({ a: ' \tb c\t ' }).get('a')).toBe('b c')
    expect(new HeaderList({ a: '\xa0b\xa0' }).get('a')).toBe('\xa0b\xa0')
  })

  it('copies: what is done to one is not seen in the other', () => {
    const first = parsedList('a: 1\r\n', [0, 1, 3, 4])
    const second = new HeaderList(first)
    second.set('a', '2')
    expect(first.get('a')).toBe('1')
    expect(second.get('a')).toBe('2')
  })

  it('does to a parsed list what it does to a made one', () => {
    const name = fc.constantFrom('a', 'A', 'bb', 'Bb', 'c-c')
    const value = fc.constantFrom('', '1', 'two words')
    const action = fc.tuple(fc.constantFrom('append', 'set', 'delete'), name, value)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.array(action), (pairs, actions) => {
        let text = ''
        const offsets: number[] = []
        for (const [key, content] of pairs) {
          const start = text.length
          text += `${key}: ${content}\r\n`
          offsets.push(start, start + key.length, start + key.length + 2, text.length - 2)
        }
        const lists = [parsedList(text, offsets), new HeaderList(pairs)]
        for (const list of lists) {
          for (const [what, key, content] of actions) {
            if (what === 'append') list.append(key, content)
            else if (what === 'set') list.set(key, content)
            else list.delete(key)
          }
        }
        // The order of fields of different names means nothing (RFC 9110, 5.3); that of one name does.
        const byName = (one: [string, string], other: [string, string]): number =>
          one[0].toLowerCase().localeCompare(other[0].toLowerCase())
        const [parsed, made] = lists.map(list => [
          [...list].sort(byName),
          list.size,
          list.get('A'),
          list.getAll('bb'),
        ])
        expect(parsed).toEqual(made)
      }),
    )
  })
})
