// Durations, sizes and limits as people write them. Inside, everything is milliseconds and bytes.
import { SluiceError } from './errors.ts'

/** A number of milliseconds, or a number with a unit: `'250ms'`, `'30s'`, `'5m'`, `'1h'`, `'2d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** A number of bytes, or a number with a unit, in powers of 1024: `'512b'`, `'16kb'`, `'4mb'`, `'1gb'`. */
export type Size = number | `${number}${'b' | 'kb' | 'mb' | 'gb'}`

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

/** The longest time that a platform timer can wait, about 24.8 days; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Milliseconds in a duration.
 *
 * @throws {SluiceError} `DURATION_INVALID` for anything that is not a non-negative number with a known unit, or is
 *   longer than a timer can wait.
 */
export function milliseconds(duration: Duration | string): number {
  const value = parse(duration, MILLISECONDS)
  if (value === undefined) {
    throw new SluiceError(
      'DURATION_INVALID',
      `"${duration}" is not a duration; write a number and a unit, such as 250ms, 30s, 5m or 1h`,
    )
  }
  if (value > LONGEST_TIMER) {
    throw new SluiceError('DURATION_INVALID', `"${duration}" is too long a duration; the longest is 24d`)
  }
  return Math.round(value)
}

/**
 * Bytes in a size.
 *
 * @throws {SluiceError} `SIZE_INVALID` for anything that is not a non-negative number with a known unit.
 */
export function bytes(size: Size | string): number {
  const value = parse(size, BYTES)
  if (value === undefined || value > Number.MAX_SAFE_INTEGER) {
    throw new SluiceError(
      'SIZE_INVALID',
      `"${size}" is not a size; write a number and a unit, such as 512b, 16kb or 4mb`,
    )
  }
  return Math.round(value)
}

/**
 * A limit of time in milliseconds: a duration of at least one. With none, nothing would ever be in time.
 *
 * @param name of the option, for the message
 * @throws {SluiceError} `DURATION_INVALID`, `OPTION_INVALID` for less than a millisecond
 */
export function timeLimit(name: string, duration: Duration | string): number {
  const value = milliseconds(duration)
  if (value > 0) return value
  throw new SluiceError('OPTION_INVALID', `${name} is "${duration}"; it must be 1ms at least`)
}

/**
 * A limit of size in bytes: at least one. With none, nothing would ever fit.
 *
 * @param name of the option, for the message
 * @throws {SluiceError} `SIZE_INVALID`, `OPTION_INVALID` for less than a byte
 */
export function sizeLimit(name: string, size: Size | string): number {
  const value = bytes(size)
  if (value > 0) return value
  throw new SluiceError('OPTION_INVALID', `${name} is "${size}"; it must be 1b at least`)
}

/**
 * A limit that counts something: a whole number. A comparison with anything else may never hold, and then there would be
 * no limit at all.
 *
 * @param name of the option, for the message
 * @param least that makes sense; 1 unless told
 * @throws {SluiceError} `OPTION_INVALID`
 */
export function wholeNumber(name: string, value: number, least: number = 1): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new SluiceError(
    'OPTION_INVALID',
    `${name} is ${value}; it must be a whole number of at least ${least}`,
  )
}

/**
 * One of the values that an option can have. The types say the same, but programs in JavaScript and settings from files
 * do not heed types, and what is not understood must not pass for a default.
 *
 * @param name of the option, for the message
 * @throws {SluiceError} `OPTION_INVALID`
 */
export function oneOf<const T extends string | number>(name: string, value: T, known: readonly T[]): T {
  if (known.includes(value)) return value
  const all = known.map(one => JSON.stringify(one)).join(', ')
  throw new SluiceError('OPTION_INVALID', `${name} is ${JSON.stringify(value)}; it must be one of ${all}`)
}

function parse(input: number | string, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof input === 'number') return Number.isFinite(input) && input >= 0 ? input : undefined
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(input) ?? []
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined
  return factor === undefined ? undefined : Number(digits) * factor
}
