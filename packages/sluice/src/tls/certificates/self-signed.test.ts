import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { selfSigned } from './self-signed.ts'

const DAY = 86_400_000

describe('selfSigned', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is for the names and this machine, on P-256, and signs itself', async () => {
    const { cert, names } = await selfSigned({
      names: ['App.example', '*.app.example', '10.1.2.3'],
    }).certificate()
    const certificate = new X509Certificate(cert)
    expect(names).toEqual(['app.example', '*.app.example', '10.1.2.3', 'localhost', '127.0.0.1', '::1'])
    expect(certificate.subjectAltName).toBe(
      'DNS:app.example, DNS:*.app.example, IP Address:10.1.2.3, DNS:localhost, IP Address:127.0.0.1, ' +
        'IP Address:0:0:0:0:0:0:0:1',
    )
    expect(certificate.subject).toBe('CN=app.example')
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.checkHost('x.app.example')).toBe('*.app.example')
    expect(certificate.checkIP('::1')).toBeDefined()
    expect(certificate.ca).toBe(false)
  })

  it('is valid from an hour ago, for 90 days', async () => {
    const { cert, expires } = await selfSigned().certificate()
    const { validFrom, validTo } = new X509Certificate(cert)
    const second = Math.floor(Date.now() / 1000) * 1000
    expect(Date.parse(validFrom)).toBe(second - 3_600_000)
    expect(Date.parse(validTo)).toBe(second + 90 * DAY)
    expect(expires.getTime()).toBe(second + 90 * DAY)
  })

  it('has a serial number of its own each time', async () => {
    const serials = await Promise.all(
      [1, 2, 3].map(async () => new X509Certificate((await selfSigned().certificate()).cert).serialNumber),
    )
    expect(new Set(serials).size).toBe(3)
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
  })

  it('is made once, however many ask for it', async () => {
    const source = selfSigned()
    const [one, two] = await Promise.all([source.certificate(), source.certificate()])
    expect(two).toBe(one)
    expect(source.certificate()).toBe(one)
    expect(await source.describe()).toEqual({
      names: ['localhost', '127.0.0.1', '::1'],
      expires: one.expires,
      selfSigned: true,
    })
  })

  it('is made anew after 60 days, while the old one goes on being served', async () => {
    const source = selfSigned()
    const first = await source.certificate()
    vi.setSystemTime(Date.now() + 59 * DAY)
    expect(source.certificate()).toBe(first)
    vi.setSystemTime(Date.now() + 2 * DAY)
    expect(source.certificate()).toBe(first)
    await vi.waitFor(() => expect(source.certificate()).not.toBe(first))
    const second = await source.certificate()
    expect(second.key).not.toBe(first.key)
    expect(second.expires.getTime()).toBeGreaterThan(Date.now() + 89 * DAY)
  })

  it('is waited for when the old one has expired', async () => {
    const source = selfSigned()
    const first = await source.certificate()
    vi.setSystemTime(Date.now() + 91 * DAY)
    const second = source.certificate()
    expect(second).toBeInstanceOf(Promise)
    expect((await second).expires.getTime()).toBeGreaterThan(first.expires.getTime())
  })

  it('leaves out a common name that would be too long', async () => {
    const name = `${'a'.repeat(60)}.example`
    const { cert } = await selfSigned({ names: [name] }).certificate()
    const certificate = new X509Certificate(cert)
    expect(certificate.subject).toBe('CN=localhost')
    expect(certificate.checkHost(name)).toBe(name)
  })

  it('refuses a name that no certificate can be for', () => {
    expect(() => selfSigned({ names: ['no good'] })).toThrow(
      '"no good" is not a name that a certificate can be for; write a host name, *.host.name, or an IP address',
    )
  })
})
