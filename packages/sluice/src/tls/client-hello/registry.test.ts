import { describe, expect, it } from 'vitest'
import { isGrease, versionName } from './index.ts'

describe('isGrease', () => {
  it('knows the sixteen values of RFC 8701, and no others', () => {
    const all = Array.from({ length: 0x10000 }, (_, value) => value).filter(isGrease)
    expect(all).toEqual(Array.from({ length: 16 }, (_, digit) => (digit * 16 + 10) * 0x101))
  })
})

describe('versionName', () => {
  it('uses the names of the platform, and hex for what has none', () => {
    expect([0x0304, 0x0303, 0x0302, 0x0301, 0x0300, 0x7f1c, 0x0a0a].map(versionName)).toEqual([
      'TLSv1.3',
      'TLSv1.2',
      'TLSv1.1',
      'TLSv1',
      'SSLv3',
      '0x7f1c',
      'GREASE',
    ])
  })
})
