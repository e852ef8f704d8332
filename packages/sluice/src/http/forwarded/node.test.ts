import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IpAddress } from '../../net/index.ts'
import { parseNode } from './node.ts'

describe('parseNode', () => {
  it.each([
    ['192.0.2.43', '192.0.2.43:0'],
    ['192.0.2.43:47011', '192.0.2.43:47011'],
    ['192.0.2.43:_port', '192.0.2.43:0'],
    ['[2001:DB8::0017]', '[2001:db8::17]:0'],
    ['[2001:db8:cafe::17]:4711', '[2001:db8:cafe::17]:4711'],
    ['[::ffff:192.0.2.1]', '192.0.2.1:0'],
  ])('reads the address %s', (text, printed) => {
    expect(String(parseNode(text))).toBe(printed)
    expect(String(parseNode(text, true))).toBe(printed)
  })

  it.each(['unknown', 'Unknown', 'unknown:80', '_gazonk', '_a.b-c_d', '_x:_y'])(
    'knows %s for hidden',
    text => {
      expect(parseNode(text)).toBe('hidden')
    },
  )

  it.each([
    '',
    'example.com',
    'localhost',
    '192.0.2',
    '192.0.2.256',
    '192.0.02.1',
    '0x7f.0.0.1',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:123456',
    '192.0.2.1:+1',
    '192.0.2.1 ',
    '[192.0.2.1]',
    '[2001:db8::1',
    '[2001:db8::1]x',
    '[2001:db8::1]:',
    '[fe80::1%eth0]',
    '2001:db8::1',
    '_',
    '_a b',
    'unknownx',
    '"192.0.2.1"',
  ])('refuses %j', text => {
    expect(parseNode(text)).toBeUndefined()
  })

  it('takes IPv6 without brackets where X-Forwarded-For has it', () => {
    expect(parseNode('2001:db8::1', true)).toEqual(new IpAddress('ipv6', '2001:db8::1', 0))
    expect(parseNode('fe80::1%eth0', true)).toBeUndefined()
    expect(parseNode('1:2:3', true)).toBeUndefined()
  })

  it('reads back what an address prints', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (ip, port) => {
        const written = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
        const address = parseNode(written)
        expect(address).toBeInstanceOf(IpAddress)
        expect(parseNode(String(address))).toEqual(address)
      }),
    )
  })
})
