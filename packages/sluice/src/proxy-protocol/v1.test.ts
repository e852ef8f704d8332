import { describe, expect, it } from 'vitest'
import { isSluiceError } from '../core/index.ts'
import { ipAddress, UnixAddress } from '../net/index.ts'
import { parseProxyHeader, serializeProxyHeader } from './codec.ts'

const FULL = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

/** What the codec makes of a text: `source > destination`, `unknown`, `more` or the code of its error. */
function read(text: string | Buffer): string {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  try {
    const head = parseProxyHeader(bytes)
    if (head === undefined) return 'more'
    const { addresses, transport } = head.value
    if (addresses === undefined) return `${transport === 'unspec' ? 'unknown' : transport} ${head.consumed}`
    return `${addresses.source} > ${addresses.destination} ${head.consumed}`
  } catch (error) {
    if (isSluiceError(error)) return error.code
    throw error
  }
}

describe('a version 1 header', () => {
  it.each<[string, string]>([
    [
      'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n',
      '192.168.0.1:56324 > 192.168.0.11:443 47',
    ],
    [
      'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nFoobar',
      '255.255.255.255:65535 > 255.255.255.255:65535 56',
    ],
    ['PROXY TCP4 0.0.0.0 127.0.0.1 0 0\r\n', '0.0.0.0:0 > 127.0.0.1:0 34'],
    [`PROXY TCP6 ${FULL} ${FULL} 65535 65535\r\nFoobar`, `[${FULL}]:65535 > [${FULL}]:65535 104`],
    ['PROXY TCP6 ::1 :: 1 2\r\n', '[::1]:1 > [::]:2 23'],
    ['PROXY TCP6 ffff:: ffff::ffff 1 2\r\n', '[ffff::]:1 > [ffff::ffff]:2 34'],
    ['PROXY TCP6 2001:DB8:0:0:1:0:0:1 2001:0db8::0001 1 2\r\n', '[2001:db8::1:0:0:1]:1 > [2001:db8::1]:2 53'],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n', '192.0.2.1:1 > 192.0.2.2:2 49'],
    ['PROXY UNKNOWN\r\nTwo', 'unknown 15'],
    [`PROXY UNKNOWN ${FULL} ${FULL} 65535 65535\r\nTwo`, 'unknown 107'],
    ['PROXY UNKNOWN what ever\0\xff\r\n', 'unknown 27'],
  ])('is read: %j', (text, result) => {
    expect(read(text)).toBe(result)
  })

  it.each([
    'PROXY TCP4 256.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP4 0255.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP4 127.0.0.01 127.0.0.1 1 2\r\n',
    'PROXY TCP4 127.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP4 127.0.0.1. 127.0.0.1 1 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 65536 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 05535 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 00 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 -1 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 +1 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1\t2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1e1 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2 \r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2 3\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 \r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1  2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1  1 2\r\n',
    'PROXY TCP4 127.0.0.1  127.0.0.1 1 2\r\n',
    'PROXY TCP4  127.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY  TCP4 127.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP4 ::ffff:127.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP6 127.0.0.1 ::1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP6 [::1] ::1 1 2\r\n',
    'PROXY TCP6 ffff::ffff:: ::1 1 2\r\n',
    'PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n',
    'PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n',
    'PROXY TCP6 1:2:3:4::5:6:7:8 ::1 1 2\r\n',
    'PROXY TCP6 12345:: ::1 1 2\r\n',
    'PROXY TCP6 g:: ::1 1 2\r\n',
    'PROXY TCP6 : ::1 1 2\r\n',
    'PROXY TCP6 ::: ::1 1 2\r\n',
    'PROXY TCP4 \xff\xff \xff 1 2\r\n',
    'PROXY tcp4 127.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY TCP5 127.0.0.1 127.0.0.1 1 2\r\n',
    'PROXY UNKN\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY\r\n',
    'PROXY \r\n',
    'PROXYTCP4',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\rX',
    'PROXY UNKNOWN a\nb\r\n',
    'PROXY UNKNOWN a\rb\r\n',
  ])('is refused: %j', text => {
    expect(read(text)).toBe('PROXY_HEADER_MALFORMED')
  })

  it('is refused when its line has more than 107 bytes', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(91)}`
    expect(read(`${longest}\r\n`)).toBe('unknown 107')
    expect(read(`${longest}x\r\n`)).toBe('PROXY_HEADER_TOO_LARGE')
    expect(read(`${longest}x\r`)).toBe('PROXY_HEADER_TOO_LARGE')
    expect(read(`${longest}xx`)).toBe('PROXY_HEADER_TOO_LARGE')
    expect(read(`${longest}\r`)).toBe('more')
  })

  it.each([
    '',
    'P',
    'PROX',
    'PROXY',
    'PROXY UNKN',
    'PROXY UNKNOWN',
    'PROXY TCP4 1.2.3.4 1.2.3.4 80 443',
    'PROXY TCP4 1.2.3.4 1.2.3.4 80 ',
    'PROXY UNKNOWN\r',
  ])('wants more after %j', text => {
    expect(read(text)).toBe('more')
  })

  it.each([
    'p',
    'PO',
    'PRI * HTTP/2.0\r\n\r\n',
    'PROPFIND / HTTP/1.1\r\n',
    'proxy TCP4 ',
    ' PROXY',
    '\n',
    '\0',
    '\x16\x03\x01',
    'GET / HTTP/1.1\r\n',
  ])('is known to be missing at the first byte that differs: %j', text => {
    expect(read(text)).toBe('PROXY_HEADER_MISSING')
  })

  it('says in its errors what was found, on one line and without control characters', () => {
    const parse = (text: string) => () => parseProxyHeader(Buffer.from(text, 'latin1'))
    expect(parse('GET / HTTP/1.1\r\nHost: x\r\n')).toThrow(
      'began with "GET / HTTP/1.1", not with a PROXY header',
    )
    expect(parse('\x16\x03\x01\x02\x00')).toThrow('began with a TLS handshake')
    expect(parse('PROXY TCP4 1.2.3.4 5.6.7 1 2\r\n')).toThrow(
      '"PROXY TCP4 1.2.3.4 5.6.7 1 2" has not exactly two',
    )
    expect(parse('\x1b[31m\x9b31m\x7f')).toThrow(String.raw`"\u001b[31m\x9b31m\x7f"`)
  })

  it('is written in the words of the specification', () => {
    const write = (source: string, destination: string) =>
      serializeProxyHeader({
        version: 1,
        addresses: { source: ipAddress(source, 56324), destination: ipAddress(destination, 443) },
      }).toString('latin1')
    expect(write('192.168.0.1', '192.168.0.11')).toBe('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n')
    expect(write('2001:db8::1', '::1')).toBe('PROXY TCP6 2001:db8::1 ::1 56324 443\r\n')
    expect(write('2001:db8::1', '192.0.2.1')).toBe('PROXY TCP6 2001:db8::1 ::ffff:c000:201 56324 443\r\n')
    expect(write('192.0.2.1', '2001:db8::1')).toBe('PROXY TCP6 ::ffff:c000:201 2001:db8::1 56324 443\r\n')
    expect(write('fe80::1%eth0', '::1')).toBe('PROXY TCP6 fe80::1 ::1 56324 443\r\n')
  })

  it('is UNKNOWN for whatever version 1 has no words for', () => {
    const ip = ipAddress('192.0.2.1', 1)
    const unix = new UnixAddress('/run/app.sock')
    const write = (fields: Parameters<typeof serializeProxyHeader>[0]) =>
      serializeProxyHeader({ version: 1, ...fields }).toString('latin1')
    expect(write({})).toBe('PROXY UNKNOWN\r\n')
    expect(write({ addresses: { source: unix, destination: unix } })).toBe('PROXY UNKNOWN\r\n')
    expect(write({ addresses: { source: ip, destination: unix } })).toBe('PROXY UNKNOWN\r\n')
    expect(write({ transport: 'dgram', addresses: { source: ip, destination: ip } })).toBe(
      'PROXY UNKNOWN\r\n',
    )
  })
})
