import { describe, expect, it } from 'vitest'
import { type ErrorKind, errorCode, errorTable, isSluiceError, SluiceError } from './errors.ts'

describe('SluiceError', () => {
  it('takes side, retry and status from the table', () => {
    const cause = new Error('ECONNREFUSED')
    const error = new SluiceError('CONNECT_REFUSED', 'nothing listens on 127.0.0.1:1', { cause })
    expect(error).toMatchObject({ side: 'upstream', retry: 'idempotent', status: 502, cause })
    expect(String(error)).toBe('SluiceError: nothing listens on 127.0.0.1:1')
    expect(error).toBeInstanceOf(Error)
  })

  it('has no status where there is no answer to give', () => {
    expect(new SluiceError('DOWNSTREAM_RESET', 'gone').status).toBeUndefined()
  })

  it('is told from others, and by code', () => {
    const error: unknown = new SluiceError('INTERNAL', 'x')
    expect(isSluiceError(error)).toBe(true)
    expect(isSluiceError(error, 'INTERNAL')).toBe(true)
    expect(isSluiceError(error, 'USAGE')).toBe(false)
    expect(isSluiceError({ code: 'INTERNAL' })).toBe(false)
    expect(isSluiceError(undefined)).toBe(false)
  })
})

describe('errorCode', () => {
  it.each([
    [new SluiceError('USAGE', 'x'), 'USAGE'],
    [Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'ECONNRESET'],
    [new Error('x'), 'INTERNAL'],
    // its code is a number
    [new DOMException('x', 'AbortError'), 'INTERNAL'],
    ['text', 'INTERNAL'],
    [null, 'INTERNAL'],
    [undefined, 'INTERNAL'],
  ])('of %s is %s', (error, code) => {
    expect(errorCode(error)).toBe(code)
  })
})

describe('errorTable', () => {
  it.each(Object.entries<ErrorKind>(errorTable))('%s says what an answer needs', (code, kind) => {
    expect(code).toMatch(/^[A-Z][A-Z\d]*(_[A-Z\d]+)*$/)
    expect(kind.meaning).toMatch(/^[A-Z].*[.?]$/s)
    // whose fault it is and the status that says so
    if (kind.status !== undefined) {
      const clients = kind.status >= 400 && kind.status < 500
      expect(clients || [501, 505].includes(kind.status)).toBe(kind.side === 'downstream')
    }
    if (kind.side !== 'upstream') expect(kind.retry).toBe('never')
  })
})
