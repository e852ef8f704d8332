import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hexEscaped, jsonText } from './escape.ts'

const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'a"\\\r\n\t\x1b[m\x00\x7f\x80\x9b\xff\u202e\u2028é'), maxLength: 20 }),
)

describe('jsonText', () => {
  it('is a JSON string of visible ASCII that means the same', () => {
    fc.assert(
      fc.property(anything, text => {
        const written = jsonText(text)
        expect(written).toMatch(/^"[ -~]*"$/)
        expect(JSON.parse(written)).toBe(text)
      }),
    )
  })

  it('leaves what is harmless as it is', () => {
    expect(jsonText('/a?b=c&d=%20~')).toBe('"/a?b=c&d=%20~"')
    expect(jsonText('a"b\\c\r\n\u202e\xe9')).toBe('"a\\"b\\\\c\\u000d\\u000a\\u202e\\u00e9"')
  })
})

describe('hexEscaped', () => {
  it('is visible ASCII without a quote, whatever comes', () => {
    fc.assert(
      fc.property(anything, text => {
        expect(hexEscaped(text)).toMatch(/^[ !#-~]*$/)
      }),
    )
  })

  it('writes as nginx does', () => {
    expect(hexEscaped('Mozilla/5.0 (X11)')).toBe('Mozilla/5.0 (X11)')
    expect(hexEscaped('a"b\\c\r\n\t\x1b[31m\x7f\xe2\x80\xae')).toBe(
      'a\\x22b\\x5Cc\\x0D\\x0A\\x09\\x1B[31m\\x7F\\xE2\\x80\\xAE',
    )
    expect(hexEscaped('\u202e')).toBe('\\u202E')
  })
})
