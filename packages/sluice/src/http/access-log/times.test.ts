import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clockTime, commonLogTime, decimal, isoTime } from './times.ts'

const time = fc.integer({ min: Date.UTC(2020), max: Date.UTC(2100) })

describe('times of an access log', () => {
  it('are what Date says, in any order', () => {
    fc.assert(
      fc.property(time, at => {
        const date = new Date(at)
        expect(isoTime(at)).toBe(date.toISOString())
        const [, day, month, year, clock, zone] =
          /^(\d\d)\/(\w{3})\/(\d{4}):([\d:]{8}) ([+-]\d{4})$/.exec(commonLogTime(at)) ?? []
        expect(clockTime(at)).toBe(clock)
        expect(Date.parse(`${day} ${month} ${year} ${clock} ${zone}`)).toBe(Math.floor(at / 1000) * 1000)
      }),
    )
  })
})

describe('decimal', () => {
  it('has three decimals, and is the same number', () => {
    expect([0, 0.0004, 0.0005, 1, 1.2345, 999.9999, 12_345.678, -1].map(decimal)).toEqual([
      '0.000',
      '0.000',
      '0.001',
      '1.000',
      '1.235',
      '1000.000',
      '12345.678',
      '0.000',
    ])
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), number => {
        expect(decimal(number)).toMatch(/^\d+\.\d{3}$/)
        expect(Math.abs(Number(decimal(number)) - number)).toBeLessThan(0.001)
      }),
    )
  })
})
