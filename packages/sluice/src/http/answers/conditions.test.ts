import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeaderList } from '../headers.ts'
import { judgeConditions, rangeOf, type Validators } from './conditions.ts'

const LAST_MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT'
const EARLIER = 'Sun, 06 Nov 1994 08:49:36 GMT'
const LATER = 'Sun, 06 Nov 1994 08:49:38 GMT'
const validators: Validators = {
  etag: 'W/"a-1"',
  lastModified: LAST_MODIFIED,
  modified: Date.UTC(1994, 10, 6, 8, 49, 37),
  settled: true,
}

describe('judgeConditions', () => {
  it.each<[Record<string, string>, 304 | 412 | undefined]>([
    [{}, undefined],
    [{ 'if-none-match': 'W/"a-1"' }, 304],
    [{ 'if-none-match': '"a-1"' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x", W/"y" ,, W/"a-1"' }, 304],
    [{ 'if-none-match': '"x,\x80", "a-1"' }, 304],
    [{ 'if-none-match': '"x"' }, undefined],
    [{ 'if-none-match': 'a-1' }, undefined],
    [{ 'if-none-match': '"x" "a-1' }, undefined],
    [{ 'if-none-match': 'w/"a-1"' }, undefined],
    [{ 'if-modified-since': LAST_MODIFIED }, 304],
    [{ 'if-modified-since': LATER }, 304],
    [{ 'if-modified-since': 'Sun Nov  6 08:49:37 1994' }, 304],
    [{ 'if-modified-since': EARLIER }, undefined],
    [{ 'if-modified-since': 'yesterday' }, undefined],
    // The tag goes before the date.
    [{ 'if-none-match': '"x"', 'if-modified-since': LATER }, undefined],
    [{ 'if-none-match': '"a-1"', 'if-modified-since': EARLIER }, 304],
    [{ 'if-match': '*' }, undefined],
    [{ 'if-match': 'W/"a-1"' }, 412],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-match': '*', 'if-unmodified-since': EARLIER }, undefined],
    [{ 'if-unmodified-since': LAST_MODIFIED }, undefined],
    [{ 'if-unmodified-since': EARLIER }, 412],
    [{ 'if-unmodified-since': 'never' }, undefined],
    [{ 'if-unmodified-since': EARLIER, 'if-none-match': '*' }, 412],
  ])('%j: %s', (fields, expected) => {
    expect(judgeConditions(new HeaderList(fields), validators)).toBe(expected)
  })

  it('comes to an end, whatever the list', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'"W/ ,a*\\'), maxLength: 30 }), list => {
        expect([304, undefined]).toContain(
          judgeConditions(new HeaderList({ 'if-none-match': list }), validators),
        )
      }),
    )
  })
})

describe('rangeOf', () => {
  const of = (range: string, size = 1000, more: Record<string, string> = {}) =>
    rangeOf(new HeaderList({ range, ...more }), size, validators)

  it.each([
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=0-499', { first: 0, last: 499 }],
    ['bytes=500-', { first: 500, last: 999 }],
    ['bytes=-1', { first: 999, last: 999 }],
    ['bytes=-2000', { first: 0, last: 999 }],
    ['bytes=990-2000', { first: 990, last: 999 }],
    ['BYTES=1-2', { first: 1, last: 2 }],
    ['bytes=1-9999999999999999', { first: 1, last: 999 }],
    ['bytes=1000-', 'unsatisfiable'],
    ['bytes=1000-2000', 'unsatisfiable'],
    ['bytes=9999999999999999-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    // What can't be understood, and several, are as if there were none.
    ['bytes=2-1', undefined],
    ['bytes=-', undefined],
    ['bytes=', undefined],
    ['bytes=a-b', undefined],
    ['bytes=+1-2', undefined],
    ['bytes=0-1,5-6', undefined],
    ['bytes=12345678901234567-', undefined],
    ['lines=1-2', undefined],
    ['bytes 1-2', undefined],
  ])('%s: %j', (range, expected) => {
    expect(of(range)).toEqual(expected)
  })

  it('finds nothing in what is empty', () => {
    expect(of('bytes=0-', 0)).toBe('unsatisfiable')
    expect(of('bytes=-5', 0)).toBe('unsatisfiable')
  })

  it('is for the version that If-Range names, by its date exactly', () => {
    expect(of('bytes=1-2', 1000, { 'if-range': LAST_MODIFIED })).toEqual({ first: 1, last: 2 })
    for (const other of [EARLIER, LATER, 'W/"a-1"', '"a-1"', '*', 'x']) {
      expect(of('bytes=1-2', 1000, { 'if-range': other })).toBeUndefined()
    }
    const young = { ...validators, settled: false }
    const fields = new HeaderList({ range: 'bytes=1-2', 'if-range': LAST_MODIFIED })
    expect(rangeOf(fields, 1000, young)).toBeUndefined()
  })

  it('lies within, or is nothing', () => {
    const number = fc.nat(30).map(String)
    fc.assert(
      fc.property(fc.option(number), fc.option(number), fc.nat(20), (from, to, size) => {
        const range = of(`bytes=${from ?? ''}-${to ?? ''}`, size)
        if (range === undefined || range === 'unsatisfiable') return
        expect(range.first).toBeGreaterThanOrEqual(0)
        expect(range.last).toBeGreaterThanOrEqual(range.first)
        expect(range.last).toBeLessThan(size)
      }),
    )
  })
})
