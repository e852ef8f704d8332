import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { httpDate, parseHttpDate } from './date.ts'

const TIME = Date.UTC(1994, 10, 6, 8, 49, 37)

describe('parseHttpDate', () => {
  it('reads the three forms of RFC 9110', () => {
    expect(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(TIME)
    expect(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT')).toBe(TIME)
    expect(parseHttpDate('Sun Nov  6 08:49:37 1994')).toBe(TIME)
    expect(parseHttpDate('Wed Nov 16 08:49:37 1994')).toBe(TIME + 10 * 86_400_000)
    expect(parseHttpDate('Saturday, 01-Jan-50 00:00:00 GMT')).toBe(Date.UTC(2050, 0, 1))
  })

  it('reads what is sent as Date and Last-Modified', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 0) / 1000 }), seconds => {
        expect(parseHttpDate(new Date(seconds * 1000).toUTCString())).toBe(seconds * 1000)
      }),
    )
    expect(Math.abs((parseHttpDate(httpDate()) ?? 0) - Date.now())).toBeLessThan(3000)
  })

  it.each([
    '',
    'now',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 nov 1994 08:49:37 GMT',
    'Sun, 06 anF 1994 08:49:37 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
  ])('takes %j for no date', text => {
    expect(parseHttpDate(text)).toBeUndefined()
  })
})
