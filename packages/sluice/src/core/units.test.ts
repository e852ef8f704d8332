import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, milliseconds } from './units.ts'

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
