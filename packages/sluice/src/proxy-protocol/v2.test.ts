import { describe, expect, it } from 'vitest'
import { isSluiceError } from '../core/index.ts'
import { ipAddress, UnixAddress } from '../net/index.ts'
import { parseProxyHeader, serializeProxyHeader } from './codec.ts'
import type { Tlv } from './tlv.ts'
import { tlvKinds } from './tlvs.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const IPV4 = 'c0000201' + 'c6336402' + 'dc04' + '01bb'

function bytes(...hex: string[]): Buffer {
  return Buffer.from(hex.join('').replaceAll(' ', ''), 'hex')
}

/** A header from its 13th byte on, with the length computed. */
function header(fixed: string, rest = '', after = ''): Buffer {
  const body = bytes(rest)
  return Buffer.concat([
    bytes(SIGNATURE, fixed, body.length.toString(16).padStart(4, '0')),
    body,
    Buffer.from(after),
  ])
}

function code(input: Buffer, maxLength?: number): string {
  try {
    const head = parseProxyHeader(input, maxLength === undefined ? {} : { maxLength })
    return head === undefined ? 'more' : 'ok'
  } catch (error) {
    if (isSluiceError(error)) return error.code
    throw error
  }
}

function parse(input: Buffer) {
  const head = parseProxyHeader(input)
  if (head === undefined) throw new Error('not complete')
  const { addresses, tlvs, ...rest } = head.value
  return {
    ...rest,
    consumed: head.consumed,
    addresses: addresses && `${addresses.source} > ${addresses.destination}`,
    tlvs: [...tlvs].map(({ kind, value }) => [kind, Buffer.from(value).toString('hex')]),
  }
}

const unixPath = (path: string) =>
  Buffer.concat([Buffer.from(path), Buffer.alloc(108 - path.length)]).toString('hex')

describe('a version 2 header', () => {
  it('is read: TCP over IPv4, with what follows left alone', () => {
    expect(parse(header('2111', IPV4, 'GET /'))).toEqual({
      version: 2,
      command: 'proxy',
      transport: 'stream',
      addresses: '192.0.2.1:56324 > 198.51.100.2:443',
      consumed: 28,
      tlvs: [],
    })
  })

  it('is read: TCP over IPv6, IPv4-mapped addresses as the IPv4 that they are', () => {
    const one = '20010db8000000000000000000000001'
    const mapped = '00000000000000000000ffffc0000201'
    expect(parse(header('2121', `${one}${mapped}00010002`))).toMatchObject({
      transport: 'stream',
      addresses: '[2001:db8::1]:1 > 192.0.2.1:2',
      consumed: 52,
    })
  })

  it('is read: datagrams', () => {
    expect(parse(header('2112', IPV4))).toMatchObject({
      transport: 'dgram',
      addresses: '192.0.2.1:56324 > 198.51.100.2:443',
    })
    expect(parse(header('2132', unixPath('/a') + unixPath('/b')))).toMatchObject({
      transport: 'dgram',
      addresses: 'unix:/a > unix:/b',
    })
  })

  it('is read: unix sockets, with a path, an abstract name, no name, and TLVs behind', () => {
    const read = (a: string, b: string) => parse(header('2131', `${unixPath(a)}${unixPath(b)}ea0001ff`))
    expect(read('/run/a.sock\0junk', '/'.repeat(108))).toMatchObject({
      transport: 'stream',
      addresses: `unix:/run/a.sock > unix:${'/'.repeat(108)}`,
      consumed: 236,
      tlvs: [[0xea, 'ff']],
    })
    expect(read('', '\0abstract\0name').addresses).toBe('unix: > unix:\0abstract\0name')
  })

  it('names nobody: UNSPEC and LOCAL, whatever bytes they bring', () => {
    expect(parse(header('2100'))).toMatchObject({
      command: 'proxy',
      transport: 'unspec',
      addresses: undefined,
    })
    expect(parse(header('2000'))).toMatchObject({
      command: 'local',
      transport: 'unspec',
      addresses: undefined,
    })
    expect(parse(header('2000', 'deadbeef'))).toMatchObject({
      command: 'local',
      addresses: undefined,
      tlvs: [],
    })
    expect(parse(header('2011', IPV4))).toMatchObject({ command: 'local', addresses: undefined, tlvs: [] })
    expect(parse(header('2011', 'deadbeef'))).toMatchObject({
      command: 'local',
      addresses: undefined,
      tlvs: [],
    })
    expect(parse(header('20f7', 'deadbeef'))).toMatchObject({
      command: 'local',
      addresses: undefined,
      consumed: 20,
    })
    expect(parse(header('2110', IPV4))).toMatchObject({
      command: 'proxy',
      transport: 'unspec',
      addresses: undefined,
    })
    expect(parse(header('2101', 'deadbeef'))).toMatchObject({
      transport: 'stream',
      addresses: undefined,
      tlvs: [],
    })
  })

  it('keeps all TLVs in order, those nobody knows too, also for UNSPEC and LOCAL', () => {
    const fields = '05 0002 0505  ea 0000  01 0002 6832  ea 0001 01  04 0003 000000'
    const list = [
      [0x05, '0505'],
      [0xea, ''],
      [0x01, '6832'],
      [0xea, '01'],
      [0x04, '000000'],
    ]
    expect(parse(header('2111', IPV4 + fields)).tlvs).toEqual(list)
    expect(parse(header('2100', fields)).tlvs).toEqual(list)
    expect(parse(header('2000', fields)).tlvs).toEqual(list)
    expect(parse(header('2011', IPV4 + fields)).tlvs).toEqual(list)
  })

  it.each<[string, Buffer]>([
    ['version 1', header('1111', IPV4)],
    ['version 3', header('3111', IPV4)],
    ['command 2', header('2211', IPV4)],
    ['command 3', header('2311', IPV4)],
    ['family 4', header('2141', IPV4)],
    ['family 5', header('2151', IPV4)],
    ['transport 3', header('2113', IPV4)],
    ['transport 7', header('2117', IPV4)],
    ['addresses cut short', header('2111', IPV4.slice(0, 16))],
    ['IPv6 addresses cut short', header('2121', IPV4)],
    ['unix addresses cut short', header('2131', unixPath('/a'))],
    ['one byte behind the addresses', header('2111', `${IPV4}00`)],
    ['a TLV without its length', header('2111', `${IPV4}0400`)],
    ['a TLV longer than the header', header('2111', `${IPV4}0400050000`, 'xxxxxxxxxxx')],
    ['a TLV that overruns by one', header('2111', `${IPV4}04000100040001`)],
    ['a CRC32C of 2 bytes', header('2111', `${IPV4}0300020505`)],
    ['two CRC32Cs', header('2111', `${IPV4}0300040000000003000400000000`)],
    ['a UNIQUE_ID of 129 bytes', header('2111', `${IPV4}050081${'00'.repeat(129)}`)],
    ['an SSL field of 4 bytes', header('2111', `${IPV4}20000401000000`)],
    ['an SSL field whose parts overrun it', header('2111', `${IPV4}2000080100000000210001`)],
    ['an AUTHORITY that is not UTF-8', header('2111', `${IPV4}020002ff41`)],
  ])('is refused: %s', (_, input) => {
    expect(code(input)).toBe('PROXY_HEADER_MALFORMED')
  })

  it('is refused at the byte that is wrong, not when all has come', () => {
    expect(code(bytes(SIGNATURE))).toBe('more')
    expect(code(bytes(SIGNATURE, '11'))).toBe('PROXY_HEADER_MALFORMED')
    expect(code(bytes(SIGNATURE, '21'))).toBe('more')
    expect(code(bytes(SIGNATURE, '2151'))).toBe('PROXY_HEADER_MALFORMED')
    expect(code(bytes(SIGNATURE, '211100'))).toBe('more')
    expect(code(bytes(SIGNATURE, '21110004'))).toBe('PROXY_HEADER_MALFORMED')
    expect(code(bytes(SIGNATURE, '2111000c'))).toBe('more')
    expect(code(bytes('0d0a0d0a000d0a515549540b'))).toBe('PROXY_HEADER_MISSING')
    expect(code(bytes('0d0a0d0a01'))).toBe('PROXY_HEADER_MISSING')
  })

  it('is refused when it announces more than the limit', () => {
    expect(code(bytes(SIGNATURE, '21114000'))).toBe('PROXY_HEADER_TOO_LARGE')
    expect(code(bytes(SIGNATURE, '21113ff0'))).toBe('more')
    expect(code(header('2111', `${IPV4}0400c8${'00'.repeat(200)}`), 230)).toBe('PROXY_HEADER_TOO_LARGE')
    expect(code(header('2111', `${IPV4}0400c8${'00'.repeat(200)}`), 231)).toBe('ok')
    expect(code(header('2111', `${IPV4}04fff0${'00'.repeat(65520)}`), 65_551)).toBe('ok')
  })

  it('is refused when its CRC32C is not that of its bytes', () => {
    const good = serializeProxyHeader({
      addresses: { source: ipAddress('192.0.2.1', 1), destination: ipAddress('192.0.2.2', 2) },
      tlvs: [{ kind: 0xea, value: Buffer.from('x') }],
      crc32c: true,
    })
    expect(code(good)).toBe('ok')
    expect(code(Buffer.concat([good, Buffer.from('payload')]))).toBe('ok')
    for (let at = 16; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad.writeUInt8(bad.readUInt8(at) ^ 0x10, at)
      expect(code(bad)).toMatch(/CHECKSUM|MALFORMED|ok/)
      // A changed kind of TLV can hide the checksum itself; anything else is found.
      if (at !== 32) expect(code(bad)).not.toBe('ok')
    }
  })

  it('gives the fields by name', () => {
    const ssl =
      '05 00000000' +
      '21 0007' +
      '544c5376312e33' +
      '23 0003' +
      '414243' +
      '22 0002' +
      'c3a9' +
      '24 0001 53' +
      '25 0001 4b'
    const value = bytes(ssl)
    const length = value.length.toString(16).padStart(4, '0')
    const input = header(
      '2111',
      `${IPV4} 01 0002 6832 02 0003 612e62 05 0002 00ff 20 ${length}${ssl} 30 0002 6e73`,
    )
    const { tlvs } = parseProxyHeader(input)?.value ?? {}
    expect(tlvs?.length).toBe(5)
    expect(tlvs?.alpn).toBe('h2')
    expect(tlvs?.authority).toBe('a.b')
    expect(tlvs?.uniqueId).toEqual(bytes('00ff'))
    expect(tlvs?.netns).toBe('ns')
    expect(tlvs?.ssl).toEqual({
      tls: true,
      certificateOnConnection: false,
      certificateInSession: true,
      verified: true,
      version: 'TLSv1.3',
      cipher: 'ABC',
      commonName: 'é',
      signatureAlgorithm: 'S',
      keyAlgorithm: 'K',
    })
    expect(tlvs?.get(0xea)).toBeUndefined()
    expect(JSON.parse(JSON.stringify(tlvs))).toMatchObject({
      alpn: 'h2',
      uniqueId: '00ff',
      ssl: { version: 'TLSv1.3' },
    })
  })

  it('never takes a client without a certificate for a verified one', () => {
    const verified = (client: string, verify: string) =>
      parseProxyHeader(header('2111', `${IPV4}200005${client}${verify}`))?.value.tlvs.ssl?.verified
    // HAProxy writes 0, which means success to OpenSSL, where there was nothing to verify.
    expect(verified('01', '00000000')).toBe(false)
    expect(verified('03', '00000000')).toBe(true)
    expect(verified('05', '00000000')).toBe(true)
    expect(verified('07', '00000012')).toBe(false)
  })

  it('does not keep the read buffer that it was found in', () => {
    const segment = Buffer.alloc(65_536)
    header('2111', `${IPV4}ea000161`).copy(segment)
    const value = parseProxyHeader(segment)?.value.tlvs.get(0xea)
    segment.fill(0)
    expect(Buffer.from(value ?? []).toString()).toBe('a')
  })

  it('is written byte for byte as the specification has it', () => {
    const addresses = { source: ipAddress('192.0.2.1', 56324), destination: ipAddress('198.51.100.2', 443) }
    expect(serializeProxyHeader({ addresses })).toEqual(header('2111', IPV4))
    expect(serializeProxyHeader({ addresses, tlvs: [{ kind: 1, value: Buffer.from('h2') }] })).toEqual(
      header('2111', `${IPV4}0100026832`),
    )
    expect(serializeProxyHeader({})).toEqual(header('2000'))
    expect(serializeProxyHeader({ command: 'proxy' })).toEqual(header('2100'))
    const sockets = { source: new UnixAddress('/a'), destination: new UnixAddress('\0b') }
    expect(serializeProxyHeader({ addresses: sockets })).toEqual(
      header('2131', unixPath('/a') + unixPath('\0b')),
    )
  })

  it('maps IPv4 to IPv6 where the families differ, and names nobody between unix and IP', () => {
    const [four, six, unix] = [ipAddress('192.0.2.1', 1), ipAddress('2001:db8::1', 2), new UnixAddress('/a')]
    const mapped = '00000000000000000000ffffc0000201'
    const one = '20010db8000000000000000000000001'
    expect(serializeProxyHeader({ addresses: { source: four, destination: six } })).toEqual(
      header('2121', `${mapped}${one}00010002`),
    )
    expect(serializeProxyHeader({ addresses: { source: six, destination: four } })).toEqual(
      header('2121', `${one}${mapped}00020001`),
    )
    expect(serializeProxyHeader({ addresses: { source: unix, destination: four } })).toEqual(header('2100'))
  })

  it('is not written from words that mean nothing', () => {
    for (const fields of [{ version: 3 }, { command: 'locla' }, { transport: 'tcp' }]) {
      expect(() => serializeProxyHeader(fields as never)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    }
  })

  it('is not written from what does not fit', () => {
    const write = (tlvs: Tlv[], path = '/a') => {
      const unix = new UnixAddress(path)
      return () => serializeProxyHeader({ addresses: { source: unix, destination: unix }, tlvs })
    }
    const unsendable = expect.objectContaining({ code: 'PROXY_HEADER_UNSENDABLE' })
    expect(write([{ kind: 1, value: Buffer.alloc(65_536) }])).toThrow(unsendable)
    expect(
      write([
        { kind: 1, value: Buffer.alloc(40_000) },
        { kind: 1, value: Buffer.alloc(40_000) },
      ]),
    ).toThrow(unsendable)
    expect(write([{ kind: 256, value: Buffer.alloc(0) }])).toThrow(unsendable)
    expect(write([{ kind: 1.5, value: Buffer.alloc(0) }])).toThrow(unsendable)
    expect(write([{ kind: tlvKinds.crc32c, value: Buffer.alloc(3) }])).toThrow(unsendable)
    expect(write([], 'x'.repeat(109))).toThrow(unsendable)
  })
})
