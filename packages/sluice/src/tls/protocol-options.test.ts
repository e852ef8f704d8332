import { describe, expect, it } from 'vitest'
import { acceptTls } from './accept-tls.ts'
import { selfSigned } from './certificates/index.ts'

const certificate = selfSigned()

describe('acceptTls options', () => {
  const code = (options: object) => {
    try {
      acceptTls({ certificate, ...options })
    } catch (error) {
      return (error as { code: string }).code
    }
    return 'accepted'
  }

  it.each<[string, object]>([
    ['an old version', { minVersion: 'TLSv1.1' }],
    ['versions the wrong way round', { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }],
    ['an unknown cipher', { ciphers: 'NONSENSE' }],
    ['an empty cipher string', { ciphers: '' }],
    ['an empty list of ciphers', { ciphers: [] }],
    ['an unknown group', { groups: ['P-1'] }],
    ['an empty list of groups', { groups: [] }],
    ['a protocol without a name', { alpn: [''] }],
    ['a protocol twice', { alpn: ['h2', 'h2'] }],
    ['a protocol that is too long', { alpn: ['x'.repeat(256)] }],
    [
      'too many protocols',
      { alpn: Array.from({ length: 300 }, (_, index) => `${index}`.padStart(250, '-')) },
    ],
  ])('refuses %s when the layer is made', (_, options) => {
    expect(code(options)).toBe('TLS_OPTION_INVALID')
  })

  it.each([
    [[]],
    '',
    '/does/not/exist.pem',
    'nonsense',
    Buffer.from('nonsense'),
    [['-----BEGIN CERTIFICATE-----']],
  ])('refuses client certificates of the CA %j', ca => {
    expect(code({ clientCertificates: { ca, require: true } })).toBe('TLS_CA_INVALID')
  })

  it('refuses a duration that is none', () => {
    expect(code({ handshakeTimeout: 'soon' })).toBe('DURATION_INVALID')
    expect(code({ handshakeTimeout: -1 })).toBe('DURATION_INVALID')
    expect(code({ handshakeTimeout: 0 })).toBe('OPTION_INVALID')
  })

  it('accepts what the platform does', () => {
    expect(
      code({
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.2',
        ciphers: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
        groups: ['X25519', 'P-256'],
        alpn: ['h2', 'http/1.1'],
        handshakeTimeout: '3s',
      }),
    ).toBe('accepted')
  })
})
