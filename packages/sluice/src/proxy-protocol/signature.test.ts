import { describe, expect, it } from 'vitest'
import { describeBeginning, V2_SIGNATURE, versionOf } from './signature.ts'

describe('versionOf', () => {
  it.each([
    [1, Buffer.from('PROXY')],
    [2, V2_SIGNATURE],
  ] as const)('tells version %i when its whole signature is there, and not before', (version, signature) => {
    for (let length = 0; length < signature.length; length++) {
      expect(versionOf(signature.subarray(0, length))).toBeUndefined()
    }
    expect(versionOf(signature)).toBe(version)
    expect(versionOf(Buffer.concat([signature, Buffer.from('more')]))).toBe(version)
  })

  it.each([Buffer.from('PROXY'), V2_SIGNATURE])(
    'tells what is no header by the first byte that differs',
    signature => {
      for (let at = 0; at < signature.length; at++) {
        const bytes = Buffer.from(signature.subarray(0, at + 1))
        bytes[at] = 0x7f
        expect(versionOf(bytes)).toBe('none')
      }
    },
  )
})

describe('describeBeginning', () => {
  it.each([
    ['GET / HTTP/1.1\r\nHost: x', '"GET / HTTP/1.1"'],
    ['\r\nabc', String.raw`"\r\nabc"`],
    ['\x16\x03\x01\x00', 'a TLS handshake'],
    ['\x16', 'a TLS handshake'],
    ['\x16\x04', String.raw`"\u0016\u0004"`],
    ['x'.repeat(61), `"${'x'.repeat(60)}"…`],
  ])('names %j', (text, name) => {
    expect(describeBeginning(Buffer.from(text, 'latin1'))).toBe(name)
  })
})
