import { describe, expect, it } from 'vitest'
import { certificateName, isHostName } from './names.ts'

describe('isHostName', () => {
  it.each(['localhost', 'a', 'a.b', 'a-b.example', 'xn--mnchen-3ya.example', '1.example', 'a.1b'])(
    'takes %s',
    name => {
      expect(isHostName(name)).toBe(true)
    },
  )

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    'a_b',
    'A',
    '*.a',
    'a b',
    'a\0b',
    'a\n',
    'ä',
    '1.2.3.4',
    '::1',
    'a.1',
    '../etc',
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(127)}b`,
  ])('refuses %j', name => {
    expect(isHostName(name)).toBe(false)
  })
})

describe('certificateName', () => {
  it('writes names as certificates have them', () => {
    expect(certificateName('Www.Example')).toBe('www.example')
    expect(certificateName('*.example')).toBe('*.example')
    expect(certificateName('münchen.example')).toBe('xn--mnchen-3ya.example')
    expect(certificateName('127.0.0.1')).toBe('127.0.0.1')
    expect(certificateName('::1')).toBe('::1')
  })

  it.each([
    '',
    '*',
    '*.',
    'a.*.b',
    '**.a',
    'a b',
    'https://a.example',
    'a.example:443',
    '1.2.3.4.5',
    '\ud800.a',
  ])('refuses %j', name => {
    expect(() => certificateName(name)).toThrow(expect.objectContaining({ code: 'TLS_OPTION_INVALID' }))
  })
})
