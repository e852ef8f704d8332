import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, milliseconds, oneOf, sizeLimit, timeLimit, wholeNumber } from './units.ts'

describe('milliseconds', () => {
  it.each([
    [0, 0],
    [1500, 1500],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['24d', 2_073_600_000],
  ])('reads %s as %d', (written, expected) => {
    expect(milliseconds(written)).toBe(expected)
  })

  it.each([
    ['30', 'write a number and a unit'],
    ['', 'write a number and a unit'],
    ['s', 'write a number and a unit'],
    ['-1s', 'write a number and a unit'],
    ['1e3s', 'write a number and a unit'],
    ['1 s', 'write a number and a unit'],
    ['1s\n', 'write a number and a unit'],
    ['1S', 'write a number and a unit'],
    ['.5s', 'write a number and a unit'],
    ['1constructor', 'write a number and a unit'],
    [-1, 'write a number and a unit'],
    [Number.NaN, 'write a number and a unit'],
    [Number.POSITIVE_INFINITY, 'write a number and a unit'],
    ['25d', 'the longest is 24d'],
    [2 ** 31, 'the longest is 24d'],
    [`${'9'.repeat(400)}s`, 'the longest is 24d'],
  ])('refuses %j', (written, why) => {
    expect(() => milliseconds(written)).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID', message: expect.stringContaining(why) }),
    )
  })

  it('never gives what a timer would not wait for', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.double(), fc.integer(), fc.stringMatching(/^\d{1,12}(ms|s|m|h|d)$/)),
        written => {
          let value: number
          try {
            value = milliseconds(written)
          } catch {
            return
          }
          expect(Number.isInteger(value) && value >= 0 && value < 2 ** 31).toBe(true)
        },
      ),
    )
  })
})

describe('bytes', () => {
  it.each([
    [0, 0],
    [4096, 4096],
    ['512b', 512],
    ['16kb', 16_384],
    ['1.5kb', 1536],
    ['4mb', 4_194_304],
    ['1gb', 1_073_741_824],
  ])('reads %s as %d', (written, expected) => {
    expect(bytes(written)).toBe(expected)
  })

  it.each(['16', '16k', '16KB', '-1b', '16ms', -1, Number.NaN, `${'9'.repeat(20)}b`])(
    'refuses %j',
    written => {
      expect(() => bytes(written)).toThrow(
        expect.objectContaining({ code: 'SIZE_INVALID', message: expect.stringContaining('write a number') }),
      )
    },
  )
})

describe('limits', () => {
  const invalid = (message: string) => expect.objectContaining({ code: 'OPTION_INVALID', message })

  it('take what makes sense', () => {
    expect([timeLimit('timeout', '1ms'), sizeLimit('maxLength', '1kb')]).toEqual([1, 1024])
    expect([wholeNumber('backlog', 1), wholeNumber('maxWaiting', 0, 0)]).toEqual([1, 0])
    expect(oneOf('version', 2, [1, 2])).toBe(2)
  })

  it('of time and size are not nothing', () => {
    expect(() => timeLimit('timeout', '0s')).toThrow(invalid('timeout is "0s"; it must be 1ms at least'))
    expect(() => timeLimit('timeout', 0.4)).toThrow(invalid('timeout is "0.4"; it must be 1ms at least'))
    expect(() => sizeLimit('headLimit', 0)).toThrow(invalid('headLimit is "0"; it must be 1b at least'))
    expect(() => timeLimit('timeout', Number.NaN)).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    )
    expect(() => sizeLimit('headLimit', -1)).toThrow(expect.objectContaining({ code: 'SIZE_INVALID' }))
  })

  it.each([0, -1, 10.3, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5' as never])(
    'that count are no %s',
    value => {
      expect(() => wholeNumber('maxConnections', value)).toThrow(
        invalid(`maxConnections is ${value}; it must be a whole number of at least 1`),
      )
    },
  )

  it('are not what nobody knows', () => {
    expect(() => oneOf<string>('policy', 'requird', ['require', 'use'])).toThrow(
      invalid('policy is "requird"; it must be one of "require", "use"'),
    )
    expect(() => oneOf('version', '1' as never, [1, 2])).toThrow(
      invalid('version is "1"; it must be one of 1, 2'),
    )
  })
})
