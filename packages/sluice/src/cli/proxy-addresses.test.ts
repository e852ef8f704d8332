import { describe, expect, it } from 'vitest'
import { looksLikeUpstream, parseFrom, parseTo } from './proxy-addresses.ts'

describe('parseFrom', () => {
  it.each([
    ['8443', undefined, 'localhost:8443'],
    [':8443', undefined, '[::]:8443'],
    ['*:8443', undefined, '[::]:8443'],
    ['localhost:8443', undefined, 'localhost:8443'],
    ['127.0.0.1:8443', undefined, '127.0.0.1:8443'],
    ['[::1]:8443', undefined, '[::1]:8443'],
    ['example.com:443', undefined, 'example.com:443'],
    ['EXAMPLE.com:443', undefined, 'example.com:443'],
    ['unix:/run/sluice.sock', undefined, 'unix:/run/sluice.sock'],
    // Nobody speaks TLS on port 80; on 8080 somebody may.
    ['80', 'http', 'localhost:80'],
    [':80', 'http', '[::]:80'],
    [':8080', undefined, '[::]:8080'],
    ['https://example.com', 'https', 'example.com:443'],
    ['https://example.com/', 'https', 'example.com:443'],
    ['https://:8443', 'https', '[::]:8443'],
    ['https://8443', 'https', 'localhost:8443'],
    ['https://localhost:80', 'https', 'localhost:80'],
    ['https://[::1]', 'https', '[::1]:443'],
    ['https://[::1]:8443', 'https', '[::1]:8443'],
    ['http://example.com', 'http', 'example.com:80'],
    ['HTTP://localhost:8080', 'http', 'localhost:8080'],
  ])('reads %s', (text, scheme, listen) => {
    const from = parseFrom(text)
    expect(from.scheme).toBe(scheme)
    expect(String(from.listen)).toBe(listen)
  })

  it.each([
    ['example.com', /neither port nor scheme; write example\.com:8080, or https:\/\/example\.com/],
    ['0.0.0.0', /no port; write 0\.0\.0\.0:8080/],
    ['https://localhost:8443/app', /a path.*; write https:\/\/localhost:8443$/],
    ['localhost:8443?x', /a path.*; write localhost:8443$/],
    ['h2c://:8080', /its scheme .* write https:\/\/ or http:\/\//],
    ['https://user:secret@localhost', /a user/],
    ['https://', /names nothing/],
    ['', /names nothing/],
    [':', /not a port/],
    ['99999', /not a port/],
    ['127.1:80', /neither a name nor an IPv4 address/],
    ['localhost:8443\n', /not a port/],
  ])('refuses %j', (text, why) => {
    expect(() => parseFrom(text)).toThrow(expect.objectContaining({ code: 'ADDRESS_INVALID' }))
    expect(() => parseFrom(text)).toThrow(why)
  })
})

describe('parseTo', () => {
  it.each([
    ['3000', 'http://localhost:3000'],
    [':3000', 'http://localhost:3000'],
    ['localhost:3000', 'http://localhost:3000'],
    ['10.0.0.5:8080', 'http://10.0.0.5:8080'],
    ['[::1]:3000', 'http://[::1]:3000'],
    ['app.internal:80', 'http://app.internal:80'],
    // Where TLS is spoken, by IANA's registry and by custom.
    ['443', 'https://localhost:443'],
    ['app.example:443', 'https://app.example:443'],
    ['localhost:8443', 'https://localhost:8443'],
    // What is written counts.
    ['http://localhost:8443', 'http://localhost:8443'],
    ['https://localhost:3000', 'https://localhost:3000'],
    ['http://localhost:3000/', 'http://localhost:3000'],
    ['http://app.example', 'http://app.example'],
    ['HTTPS://App.Example', 'https://app.example'],
    ['https://[2001:db8::1]', 'https://[2001:db8::1]'],
    ['h2c://10.0.0.5:8080', 'h2c://10.0.0.5:8080'],
    ['unix:/run/app.sock', 'unix:/run/app.sock'],
    ['unix:///run/App.sock', 'unix:/run/App.sock'],
  ])('takes %s for %s', (text, url) => {
    expect(parseTo(text)).toBe(url)
  })

  it.each([
    ['app.example', /neither port nor scheme; write app\.example:8080, or https:\/\/app\.example/],
    [
      'http://localhost:3000/app',
      /a path, and paths are handed on as they come; write http:\/\/localhost:3000$/,
    ],
    ['localhost:3000/app?x', /a path.*; write localhost:3000$/],
    ['http://localhost:3000?x', /a path.*; write http:\/\/localhost:3000$/],
    ['ws://localhost:3000', /its scheme .* write http:\/\/, https:\/\/ or h2c:\/\//],
    ['http://user@localhost', /a user/],
    ['http://', /names nothing/],
    ['http:///path', /names nothing/],
    ['0.0.0.0:3000', /write 127\.0\.0\.1:3000/],
    ['*:3000', /can't be connected to/],
    ['localhost:0', /port 0/],
    ['http://3000', /neither a name nor an IPv4 address/],
    ['unix:app.sock', /the whole path/],
    ['http://local host', /not a host name/],
  ])('refuses %j', (text, why) => {
    expect(() => parseTo(text)).toThrow(expect.objectContaining({ code: 'ADDRESS_INVALID' }))
    expect(() => parseTo(text)).toThrow(why)
  })
})

describe('looksLikeUpstream', () => {
  it.each([
    '3000',
    ':3000',
    'localhost',
    'localhost:3000',
    'app_1:3000',
    '127.0.0.1:3000',
    '127.0.0.1',
    '[::1]:3000',
    'http://localhost:5173',
    'https://app.example/path',
    'unix:/run/app.sock',
  ])('takes %s for one', argument => {
    expect(looksLikeUpstream(argument)).toBe(true)
  })

  it.each(['proxy', 'prxy', 'tls', 'app.example', './sluice.config.ts', '/etc/sluice:1', '-t', '--to', ''])(
    'does not take %j for one',
    argument => {
      expect(looksLikeUpstream(argument)).toBe(false)
    },
  )
})
