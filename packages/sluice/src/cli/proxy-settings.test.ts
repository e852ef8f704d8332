import { describe, expect, it } from 'vitest'
import { type ProxyOptions, proxySettings } from './proxy-settings.ts'

/** What the command line gives at least. */
const least: ProxyOptions = { to: ['3000'], host: 'keep', drainLimit: '30s' }

describe('proxySettings', () => {
  it.each([
    [{}, 'https', 'localhost:8443'],
    [{ http: true }, 'http', 'localhost:8080'],
    [{ from: ':9443' }, 'https', '[::]:9443'],
    [{ from: ':9443', http: true }, 'http', '[::]:9443'],
    [{ from: ':80' }, 'http', '[::]:80'],
    [{ from: 'http://:9443' }, 'http', '[::]:9443'],
    [{ from: 'http://:9443', http: true }, 'http', '[::]:9443'],
    [{ from: 'https://:80', cert: 'a.pem' }, 'https', '[::]:80'],
  ] as const)('fills in for %j where to listen, and with what', (options, scheme, listen) => {
    const settings = proxySettings({ ...least, ...options })
    expect([settings.scheme, String(settings.listen)]).toEqual([scheme, listen])
  })

  it.each([
    [{}, true],
    [{ http: true }, true],
    [{ from: '8443' }, false],
    [{ from: ':8443' }, false],
    [{ trust: ['loopback'] }, false],
    [{ acceptProxy: ['loopback'] }, false],
    [{ from: ':8443', development: true }, true],
    [{ development: false }, false],
  ] as const)('shows for %j what happened inside: %s', (options, shows) => {
    expect(proxySettings({ ...least, ...options }).development).toBe(shows)
  })

  it.each([
    [{ json: true }, 'json'],
    [{ json: true, accessLog: 'combined' }, 'combined'],
    [{ accessLog: 'off' }, 'off'],
    [{ accessLog: 'pretty' }, 'pretty'],
  ] as const)('chooses for %j the access log %s', (options, accessLog) => {
    expect(proxySettings({ ...least, ...options }).accessLog).toBe(accessLog)
  })

  it.each<[Partial<ProxyOptions>, RegExp]>([
    [{ to: [] }, /no upstream; name one, such as --to 3000/],
    [{ http: true, from: 'https://:8443' }, /--http contradicts/],
    [{ http: true, cert: 'a.pem' }, /^--cert is for TLS/],
    [{ from: ':80', key: 'a.key' }, /^--key is for TLS/],
    [{ from: 'http://:8080', passphraseFile: 'a' }, /^--passphrase-file is for TLS/],
    [{ ca: 'a.pem' }, /^--ca is for https upstreams/],
    [{ unsafeSkipVerify: true }, /^--unsafe-skip-verify is for https upstreams/],
    [{ to: ['https://a'], ca: 'a.pem', unsafeSkipVerify: true }, /^--ca is of no use/],
  ])('refuses %j', (options, why) => {
    expect(() => proxySettings({ ...least, ...options })).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect(() => proxySettings({ ...least, ...options })).toThrow(why)
  })
})
