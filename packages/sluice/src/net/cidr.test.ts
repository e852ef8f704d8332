import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UnixAddress } from './address.ts'
import { networks } from './cidr.ts'
import { ipAddress, ipFromBytes } from './ip.ts'

const has = (list: readonly string[], host: string) => networks(list).has(ipAddress(host, 1))

describe('networks', () => {
  it.each([
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.0', false],
    [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
    [['192.0.2.7'], '192.0.2.7', true],
    [['192.0.2.7'], '192.0.2.8', false],
    [['2001:db8::/33'], '2001:db8:7fff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::', false],
    [['::1'], '::1', true],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', true],
    [['::ffff:192.0.2.1'], '192.0.2.1', true],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['loopback'], '127.9.9.9', true],
    [['loopback'], '::1', true],
    [['loopback'], '10.0.0.1', false],
    [['private'], '127.0.0.1', true],
    [['private'], '172.31.255.255', true],
    [['private'], '172.32.0.0', false],
    [['private'], '192.168.1.1', true],
    [['private'], '169.254.169.254', true],
    [['private'], 'fd12::1', true],
    [['private'], 'febf::1', true],
    [['private'], '100.64.0.1', false],
    [['private'], '8.8.8.8', false],
    [['private'], '2001:db8::1', false],
    [['0.0.0.0/0'], '8.8.8.8', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['::/0'], '2001:db8::1', true],
    [['::/0'], '8.8.8.8', false],
    [[], '127.0.0.1', false],
  ])('%j has %s: %s', (list, host, expected) => {
    expect(has(list, host)).toBe(expected)
  })

  it('has the peers of unix sockets only by name', () => {
    expect(networks(['unix']).has(new UnixAddress(''))).toBe(true)
    expect(networks(['private', '0.0.0.0/0', '::/0']).has(new UnixAddress(''))).toBe(false)
    expect(has(['unix'], '127.0.0.1')).toBe(false)
  })

  it('prints what it holds', () => {
    expect(String(networks(['loopback', '::ffff:10.0.0.0/104', '2001:DB8::/32', 'unix', '::1']))).toBe(
      '127.0.0.0/8, ::1/128, 10.0.0.0/8, 2001:db8::/32, unix',
    )
  })

  it.each([
    ['10.0.0.1/8', 'write 10.0.0.0/8 for the network, or 10.0.0.1 for the address'],
    ['2001:db8::1/32', 'write 2001:db8::/32'],
    ['::ffff:10.0.0.1/104', 'write 10.0.0.0/8'],
    ['10.0.0.0/33', 'from 0 to 32'],
    ['10.0.0.0/08', 'without leading zeros'],
    ['10.0.0.0/-1', 'without leading zeros'],
    ['10.0.0.0/', 'must be a number'],
    ['::/129', 'from 0 to 128'],
    ['::ffff:0.0.0.0/95', 'from 96 to 128'],
    ['10.0.0.0/8/8', 'write a network'],
    ['10/8', 'write a network'],
    ['fe80::%eth0/10', 'write a network'],
    ['fe80::1%eth0', 'write a network'],
    ['', 'write a network'],
    ['all', '0.0.0.0/0 and ::/0'],
    ['Private', 'write a network'],
    ['__proto__', 'write a network'],
    ['example.com', 'write a network'],
  ])('refuses %j and says what to write', (text, why) => {
    expect(() => networks([text])).toThrow(
      expect.objectContaining({ code: 'CIDR_INVALID', message: expect.stringContaining(why) }),
    )
  })

  it('agrees with comparing bit by bit', () => {
    const bytes = fc.constantFrom(4, 16).chain(length =>
      fc.record({
        network: fc.uint8Array({ minLength: length, maxLength: length }),
        flipped: fc.integer({ min: 0, max: 8 * length - 1 }),
        prefix: fc.integer({ min: 0, max: 8 * length }),
      }),
    )
    const bits = (data: Uint8Array) => [...data].map(byte => byte.toString(2).padStart(8, '0')).join('')
    const fromBits = (text: string) =>
      Uint8Array.from((text.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))
    fc.assert(
      fc.property(bytes, ({ network, flipped, prefix }) => {
        const whole = bits(network)
        const base = ipFromBytes(fromBits(whole.slice(0, prefix).padEnd(whole.length, '0')), 1)
        const other =
          whole.slice(0, flipped) + (whole[flipped] === '0' ? '1' : '0') + whole.slice(flipped + 1)
        const set = networks([`${base.host}/${prefix}`])
        expect(set.has(ipFromBytes(network, 1))).toBe(true)
        expect(set.has(ipFromBytes(fromBits(other), 1))).toBe(flipped >= prefix)
      }),
      { examples: [[{ network: Uint8Array.of(255, 255, 255, 255), flipped: 0, prefix: 0 }]] },
    )
  })
})
