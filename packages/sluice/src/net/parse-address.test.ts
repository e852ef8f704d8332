import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipFromBytes } from './ip.ts'
import { parseEndpoint } from './parse-address.ts'

const refusal = (text: string | number, use: 'listen' | 'connect' = 'connect'): string => {
  try {
    return `read as ${parseEndpoint(text, use)}`
  } catch (error) {
    expect(error).toMatchObject({ code: 'ADDRESS_INVALID' })
    return (error as Error).message
  }
}

describe('parseEndpoint', () => {
  it.each([
    ['127.0.0.1:80', '127.0.0.1:80', 'ipv4'],
    ['[::1]:443', '[::1]:443', 'ipv6'],
    ['[2001:DB8:0::1]:1', '[2001:db8::1]:1', 'ipv6'],
    ['[fe80::1%eth0]:443', '[fe80::1%eth0]:443', 'ipv6'],
    ['[::ffff:1.2.3.4]:80', '1.2.3.4:80', 'ipv4'],
    ['Example.COM:65535', 'example.com:65535', 'name'],
    ['example.com.:80', 'example.com.:80', 'name'],
    ['my_app-1:80', 'my_app-1:80', 'name'],
    ['3com.com:80', '3com.com:80', 'name'],
    ['unix:/run/app.sock', 'unix:/run/app.sock', 'unix'],
    ['unix:///run/app.sock', 'unix:/run/app.sock', 'unix'],
  ] as const)('reads %s for both uses', (text, printed, family) => {
    for (const use of ['listen', 'connect'] as const) {
      expect(String(parseEndpoint(text, use))).toBe(printed)
      expect(parseEndpoint(text, use).family).toBe(family)
    }
  })

  it.each([
    [8080, '127.0.0.1:8080'],
    ['8080', '127.0.0.1:8080'],
    [0, '127.0.0.1:0'],
    [':8080', '[::]:8080'],
    ['*:8080', '[::]:8080'],
    ['0.0.0.0:8080', '0.0.0.0:8080'],
    ['[::]:0', '[::]:0'],
  ])('listens on %s as %s', (text, printed) => {
    expect(String(parseEndpoint(text, 'listen'))).toBe(printed)
  })

  it.each([[8080], ['8080'], [':8080']])('connects to %s as localhost:8080', text => {
    expect(String(parseEndpoint(text, 'connect'))).toBe('localhost:8080')
  })

  it.each([
    ['', '"" is not a port'],
    ['localhost', 'write localhost:8080'],
    ['127.0.0.1', 'write 127.0.0.1:8080'],
    ['::1', 'write [::1]:443'],
    ['::1:443', 'write [::1]:443'],
    ['2001:db8::1:443', 'write [2001:db8::1]:443'],
    ['[::1]', 'write [::1]:443'],
    ['[::1', 'bracket is not closed'],
    ['[::1]443', 'no port'],
    ['[]:80', 'not an IPv6 address'],
    ['[127.0.0.1]:80', 'not an IPv6 address'],
    ['[fe80::1%]:80', 'not an IPv6 address'],
    ['a:b:80', 'write host:port'],
    ['http://localhost:80', 'it is a URL'],
    ['localhost:', '"" is not a port'],
    ['localhost:080', 'without leading zeros'],
    ['localhost:+80', 'is not a port'],
    ['localhost:-1', 'is not a port'],
    ['localhost:8e1', 'is not a port'],
    ['localhost:65536', 'is not a port'],
    ['localhost: 80', 'is not a port'],
    ['localhost:٣', 'is not a port'],
    [-1, 'is not a port'],
    [1.5, 'is not a port'],
    [Number.NaN, 'is not a port'],
    ['localhost:0', "port 0 can't be connected to"],
    ['*:80', "can't be connected to"],
    ['0.0.0.0:80', 'write 127.0.0.1:80'],
    ['[::]:80', 'write [::1]:80'],
    ['127.1:80', 'write four decimal numbers'],
    ['127.0.0.01:80', 'write four decimal numbers'],
    ['127.0.0.256:80', 'write four decimal numbers'],
    ['2130706433:80', 'write four decimal numbers'],
    ['0x7f000001:80', 'write four decimal numbers'],
    ['0x7f.1:80', 'write four decimal numbers'],
    ['example.0X7F:80', 'write four decimal numbers'],
    ['127.0.0.1.:80', 'write four decimal numbers'],
    ['-a:80', 'is not a host name'],
    ['a-:80', 'is not a host name'],
    ['a..b:80', 'is not a host name'],
    ['.:80', 'is not a host name'],
    ['a b:80', 'is not a host name'],
    ['a\n:80', 'is not a host name'],
    ['bücher.de:80', 'in ASCII'],
    [`${'a'.repeat(64)}:80`, 'is not a host name'],
    [`${'a.'.repeat(127)}a:80`, 'is not a host name'],
    ['unix:', 'write unix:/run/app.sock'],
    ['unix:app.sock', 'write unix:/run/app.sock'],
    ['unix://app.sock', 'write unix:/run/app.sock'],
    ['unix:/', 'write unix:/run/app.sock'],
    ['unix:@app', 'abstract'],
    ['unix:\0app', 'abstract'],
    ['unix:/a\0b', 'zero byte'],
    [`unix:/${'ü'.repeat(60)}`, 'the path has 121 bytes'],
  ])('refuses %j and says why', (text, why) => {
    expect(refusal(text)).toContain(why)
  })

  it('gives back every address that it prints', () => {
    const label = fc.stringMatching(/^[a-z_]([a-z\d_-]{0,20}[a-z\d_])?$/)
    const port = fc.integer({ min: 1, max: 65_535 })
    const ip = fc
      .tuple(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }),
        ),
        port,
      )
      .map(([bytes, number]) => String(ipFromBytes(bytes, number)))
    const name = fc
      .tuple(fc.array(label, { minLength: 1, maxLength: 5 }), port)
      .map(([labels, number]) => `${labels.join('.')}:${number}`)
      .filter(text => !text.startsWith('unix:'))
    fc.assert(
      fc.property(fc.oneof(ip, name), fc.constantFrom('listen', 'connect'), (text, use) => {
        fc.pre(!/^(?:0\.0\.0\.0|\[::\]):/.test(text))
        expect(String(parseEndpoint(text, use))).toBe(text)
      }),
    )
  })

  it('reads or refuses any text, and reads what it has read again as the same', () => {
    const soup = fc.string({ unit: fc.constantFrom(...'unix:/[]%.-_0189afx*@ é\0'), maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(soup, fc.string()), fc.constantFrom('listen', 'connect'), (text, use) => {
        const first = refusalOrAddress(text, use)
        if (first !== undefined) expect(refusalOrAddress(first, use)).toBe(first)
      }),
      { numRuns: 3000 },
    )
  })
})

function refusalOrAddress(text: string, use: 'listen' | 'connect'): string | undefined {
  const answer = refusal(text, use)
  return answer.startsWith('read as ') ? answer.slice('read as '.length) : undefined
}
