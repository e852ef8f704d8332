import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, isIPv6, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipAddress, ipBytes, ipFromBytes, localAddress, peerAddress, tryIpAddress } from './ip.ts'

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('ipAddress', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1:80'],
    ['0.0.0.0', '0.0.0.0:80'],
    ['255.255.255.255', '255.255.255.255:80'],
    ['::1', '[::1]:80'],
    ['::', '[::]:80'],
    ['2001:DB8::0001', '[2001:db8::1]:80'],
    ['2001:db8:0:0:0:0:0:1', '[2001:db8::1]:80'],
    // RFC 5952, section 4.2.2: a single group of zeros is not shortened
    ['2001:db8:0:1:1:1:1:1', '[2001:db8:0:1:1:1:1:1]:80'],
    ['2001:db8::1:1:1:1:1', '[2001:db8:0:1:1:1:1:1]:80'],
    // section 4.2.3: the longest run, and the first of equal ones
    ['2001:0:0:1:0:0:0:1', '[2001:0:0:1::1]:80'],
    ['2001:db8:0:0:1:0:0:1', '[2001:db8::1:0:0:1]:80'],
    ['1:2:3:4:5:6:7::', '[1:2:3:4:5:6:7:0]:80'],
    ['1:2:3:4:5:6::', '[1:2:3:4:5:6::]:80'],
    ['fe80::1%eth0', '[fe80::1%eth0]:80'],
    ['64:ff9b::192.0.2.33', '[64:ff9b::c000:221]:80'],
    ['::ffff:1.2.3.4', '1.2.3.4:80'],
    ['::FFFF:102:304', '1.2.3.4:80'],
    ['0:0:0:0:0:ffff:102:304', '1.2.3.4:80'],
    ['::ffff:0:102:304', '[::ffff:0:102:304]:80'],
  ])('prints %s as %s', (host, printed) => {
    expect(String(ipAddress(host, 80))).toBe(printed)
  })

  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.00',
    '1..2.3',
    '.1.2.3',
    '1.2.3.',
    '1.2.3.4.',
    '1.2.3./',
    '1.2.3.:',
    '::ffff:1.2.3.256',
    '::ffff:01.2.3.4',
    '::ffff:1.2.3',
    '0x1.2.3.4',
    '1.2.3.4%eth0',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    ':1:2:3:4:5:6:7',
    '12345::',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
    '::1%',
    '::1%a b',
    '::1%a]:80',
    '[::1]',
    '::1\n',
  ])('refuses %j', host => {
    expect(() => ipAddress(host, 80)).toThrow(code('ADDRESS_INVALID'))
  })

  it('reads what the platform reads, and nothing else', () => {
    const soup = fc.string({ unit: fc.constantFrom(...'0123:ff.'), maxLength: 20 })
    const groups = fc
      .array(fc.constantFrom('0', 'ffff', '1', 'a0b', '', '1.2.3.4'), { maxLength: 9 })
      .map(parts => parts.join(':'))
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), soup, groups), text => {
        expect(tryIpAddress(text, 0) !== undefined && text.includes(':')).toBe(isIPv6(text))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('ipBytes and ipFromBytes', () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 0x20, 0xff), { minLength: 16, maxLength: 16 })
      .map(bytes => Uint8Array.from(bytes)),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )

  it('gives back the bytes, but those of IPv4 for IPv4-mapped ones', () => {
    fc.assert(
      fc.property(anyBytes, fc.integer({ min: 0, max: 65_535 }), (bytes, port) => {
        const address = ipFromBytes(bytes, port)
        expect([...ipBytes(address)]).toEqual([...bytes.slice(address.family === 'ipv4' ? -4 : 0)])
        expect(ipAddress(address.host, port)).toEqual(address)
      }),
    )
  })

  it('takes a view into a larger buffer', () => {
    const buffer = Buffer.from('ffff20010db8000000000000000000000001ff', 'hex')
    expect(String(ipFromBytes(buffer.subarray(2, 18), 1))).toBe('[2001:db8::1]:1')
  })

  it('refuses other lengths', () => {
    expect(() => ipFromBytes(new Uint8Array(5), 1)).toThrow(code('ADDRESS_INVALID'))
  })
})

describe('peerAddress and localAddress', () => {
  async function accepted(listen: (server: ReturnType<typeof createServer>) => void) {
    const server = createServer({ pauseOnConnect: true })
    listen(server)
    await once(server, 'listening')
    const address = server.address()
    const client = typeof address === 'string' ? connect(address) : connect(address?.port ?? 0, '127.0.0.1')
    client.on('error', () => {})
    const [[socket]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
      [Socket],
      [],
    ]
    socket.on('error', () => {})
    return { socket, client, close: () => [client, socket].map(end => end.destroy()) && server.close() }
  }

  it('knows both ends, and IPv4 on a dual-stack socket as IPv4', async () => {
    const { socket, client, close } = await accepted(server => server.listen(0, '::'))
    expect(String(peerAddress(socket))).toBe(`127.0.0.1:${client.localPort}`)
    expect(String(localAddress(socket))).toBe(`127.0.0.1:${client.remotePort}`)
    close()
  })

  it('knows the path of a unix socket from its listener', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-ip-'))
    const path = join(folder, 's')
    const { socket, close } = await accepted(server => server.listen(path))
    expect(String(peerAddress(socket))).toBe('unix:')
    expect(String(localAddress(socket, path))).toBe(`unix:${path}`)
    close()
    rmSync(folder, { recursive: true })
  })

  it('does not take a TCP connection that is gone for a unix socket', async () => {
    const { socket, close } = await accepted(server => server.listen(0, '127.0.0.1'))
    socket.destroy()
    expect(() => peerAddress(socket)).toThrow(code('DOWNSTREAM_RESET'))
    expect(() => localAddress(socket)).toThrow(code('DOWNSTREAM_RESET'))
    close()
  })
})
