import { X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { testCertificate } from '../../../test/support/certificates.ts'
import { type CertificateAuthority, certificateAuthority } from './authority.ts'
import { issueBy } from './issue-by.ts'

const DAY = 86_400_000

/** A CA that counts what it issues. */
function counting(): CertificateAuthority & { readonly issued: string[] } {
  const authority = certificateAuthority()
  const issued: string[] = []
  return {
    issued,
    certificate: () => authority.certificate(),
    export: () => authority.export(),
    issue: names => {
      issued.push(...names)
      return authority.issue(names)
    },
  }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('certificateAuthority', () => {
  it('issues certificates that its own certificate verifies', async () => {
    const authority = certificateAuthority({ name: 'test CA' })
    const ca = new X509Certificate(await authority.certificate())
    const { cert, names, selfSigned } = await authority.issue(['*.App.example', '::1'])
    const leaf = new X509Certificate(cert)
    expect(ca.subject).toBe('CN=test CA')
    expect(ca.ca).toBe(true)
    expect(leaf.ca).toBe(false)
    expect(leaf.checkIssued(ca)).toBe(true)
    expect(leaf.verify(ca.publicKey)).toBe(true)
    expect(names).toEqual(['*.app.example', '::1'])
    expect(selfSigned).toBe(false)
    expect(cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
  })

  it('goes on with what it exported', async () => {
    const first = certificateAuthority()
    const second = certificateAuthority({ pem: await first.export() })
    expect(await second.certificate()).toBe(await first.certificate())
    const leaf = new X509Certificate((await second.issue(['a.example'])).cert)
    expect(leaf.verify(new X509Certificate(await first.certificate()).publicKey)).toBe(true)
  })

  it('issues nothing that outlives it', async () => {
    const { cert, key } = await testCertificate({ ca: true, until: 5 })
    const { expires } = await certificateAuthority({ pem: { cert, key } }).issue(['a.example'])
    expect(expires).toEqual(new X509Certificate(cert).validToDate)
  })

  it('refuses a certificate that is no CA, and a key that it can not sign with', async () => {
    const leaf = await testCertificate()
    const rsa = await testCertificate({ ca: true, rsa: 2048 })
    expect(() => certificateAuthority({ pem: leaf })).toThrow(
      expect.objectContaining({ code: 'TLS_CA_INVALID' }),
    )
    expect(() => certificateAuthority({ pem: rsa })).toThrow(
      expect.objectContaining({ code: 'TLS_KEY_INVALID' }),
    )
  })

  it('fails with a code when it has expired', async () => {
    const { cert, key } = await testCertificate({ ca: true, until: 1 })
    const authority = certificateAuthority({ pem: { cert, key } })
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(Date.now() + 2 * DAY)
    await expect(authority.issue(['a.example'])).rejects.toMatchObject({
      code: 'TLS_ISSUE_FAILED',
      cause: { code: 'TLS_CERTIFICATE_EXPIRED' },
    })
  })
})

describe('issueBy', () => {
  it('issues once for a name, however many ask at the same time and in whatever case', async () => {
    const authority = counting()
    const source = issueBy(authority)
    const issued = await Promise.all(
      ['a.example', 'A.example', 'a.EXAMPLE'].map(name => source.byServerName?.(name)),
    )
    expect(new Set(issued).size).toBe(1)
    expect(await source.byServerName?.('a.example')).toBe(issued[0])
    expect(authority.issued).toEqual(['a.example'])
  })

  it('has a certificate for clients that name no server', async () => {
    const source = issueBy(certificateAuthority(), { defaultName: 'Default.example' })
    expect((await source.certificate()).names).toEqual(['default.example'])
    expect(await source.describe()).toMatchObject({ names: ['default.example'], selfSigned: false })
  })

  it.each(['', '127.0.0.1', '*.example', 'a_b.example', 'a..b', 'a\0b', '../../etc/passwd', 'x'.repeat(70)])(
    'refuses the name %j',
    async name => {
      const authority = counting()
      await expect(issueBy(authority).byServerName?.(name)).rejects.toMatchObject({
        code: 'TLS_SERVER_NAME_REFUSED',
      })
      expect(authority.issued).toEqual([])
    },
  )

  it('asks whether a name is allowed', async () => {
    const source = issueBy(certificateAuthority(), {
      allow: async name => {
        if (name === 'broken.example') throw new Error('no database')
        return name.endsWith('.mine.example')
      },
    })
    expect(await source.byServerName?.('a.Mine.example')).toMatchObject({ names: ['a.mine.example'] })
    await expect(source.byServerName?.('a.example')).rejects.toMatchObject({
      code: 'TLS_SERVER_NAME_REFUSED',
    })
    await expect(source.byServerName?.('broken.example')).rejects.toMatchObject({
      code: 'TLS_SERVER_NAME_REFUSED',
      cause: { message: 'no database' },
    })
  })

  it('keeps no more certificates than it is told, and forgets those not asked for', async () => {
    const authority = counting()
    const source = issueBy(authority, { cacheSize: 2 })
    for (const name of ['a.example', 'b.example', 'a.example', 'c.example', 'a.example', 'b.example']) {
      await source.byServerName?.(name)
    }
    expect(authority.issued).toEqual(['a.example', 'b.example', 'c.example', 'b.example'])
  })

  it('issues anew after two thirds of the life of a certificate', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const authority = counting()
    const source = issueBy(authority)
    const first = await source.byServerName?.('a.example')
    vi.setSystemTime(Date.now() + 59 * DAY)
    expect(await source.byServerName?.('a.example')).toBe(first)
    vi.setSystemTime(Date.now() + 2 * DAY)
    expect(await source.byServerName?.('a.example')).not.toBe(first)
    expect(authority.issued).toEqual(['a.example', 'a.example'])
  })

  it('tries again after a failure', async () => {
    let fail = true
    const authority = certificateAuthority()
    const source = issueBy({
      certificate: () => authority.certificate(),
      export: () => authority.export(),
      issue: async names => {
        if (fail) throw new Error('the key is away')
        return authority.issue(names)
      },
    })
    await expect(source.byServerName?.('a.example')).rejects.toMatchObject({
      code: 'TLS_ISSUE_FAILED',
      message: 'the certificate for a.example could not be issued (the key is away)',
      cause: { message: 'the key is away' },
    })
    fail = false
    expect(await source.byServerName?.('a.example')).toMatchObject({ names: ['a.example'] })
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('thrown')
      },
    ],
    ['rejects with no error', () => Promise.reject('nothing')],
    ['rejects with a code of its own', () => certificateAuthority().issue([])],
  ])('says that issuing failed where a CA %s', async (_, issue) => {
    const source = issueBy({ ...counting(), issue })
    await expect(source.byServerName?.('a.example')).rejects.toMatchObject({ code: 'TLS_ISSUE_FAILED' })
    await expect(source.certificate()).rejects.toMatchObject({ code: 'TLS_ISSUE_FAILED' })
  })

  it('does not wait for ever for a CA that hangs, and tries it again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let asked = 0
    const source = issueBy({
      ...counting(),
      issue: () => {
        asked += 1
        return new Promise(() => {})
      },
    })
    for (const times of [1, 2]) {
      const issued = source.byServerName?.('a.example')
      const outcome = expect(issued).rejects.toMatchObject({ code: 'TLS_ISSUE_FAILED' })
      await vi.advanceTimersByTimeAsync(30_000)
      await outcome
      expect(asked).toBe(times)
    }
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses to keep %d certificates', cacheSize => {
    expect(() => issueBy(certificateAuthority(), { cacheSize })).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    )
  })

  it('refuses a default name that no certificate can be for', () => {
    expect(() => issueBy(certificateAuthority(), { defaultName: 'no good' })).toThrow(
      expect.objectContaining({ code: 'TLS_OPTION_INVALID' }),
    )
  })
})
