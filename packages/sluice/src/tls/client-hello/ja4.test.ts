import { PassThrough } from 'node:stream'
import { calculateJa4, readTlsClientHello } from 'read-tls-client-hello'
import { describe, expect, it } from 'vitest'
import { capturedHellos } from '../../../test/support/captured-hellos.ts'
import {
  alpn,
  type BuiltExtension,
  helloMessage,
  inRecords,
  other,
  serverName,
  signatureAlgorithms,
  supportedVersions,
  vector,
} from '../../../test/support/client-hello.ts'
import { type ClientHello, type Ja4Input, ja4, parseClientHello } from './index.ts'

// JA4.md, "Details" and "Example".
const CIPHERS = '1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035'
const SORTED_CIPHERS = '002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9'
const EXTENSIONS = '001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015'
const SORTED_EXTENSIONS = '0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01'
const ALGORITHMS = '0403,0804,0401,0503,0805,0501,0806,0601'

function list(hex: string): readonly number[] {
  return hex.split(',').map(digits => Number.parseInt(digits, 16))
}

/** Bodies for the extensions of the example that have to have one. */
const bodies: Readonly<Record<number, BuiltExtension>> = {
  0: serverName('a.example'),
  16: alpn(['h2', 'http/1.1']),
  43: supportedVersions([0x0304, 0x0303]),
  13: signatureAlgorithms(list(ALGORITHMS)),
  51: other(0x0033, vector(2)),
  45: other(0x002d, Buffer.of(1, 1)),
  10: other(0x000a, Buffer.of(0, 2, 0, 29)),
  11: other(0x000b, Buffer.of(1, 0)),
}

const example = parsed({
  cipherSuites: [0x7a7a, ...list(CIPHERS)],
  extensions: [other(0x1a1a), ...list(EXTENSIONS).map(type => bodies[type] ?? other(type)), other(0x2a2a)],
})

function parsed(parts: Parameters<typeof helloMessage>[0]): ClientHello {
  const hello = parseClientHello(inRecords(helloMessage(parts)))
  if (hello === undefined) throw new Error('not complete')
  return hello
}

function withExtensions(...extensions: readonly BuiltExtension[]): ClientHello {
  return parsed({ extensions })
}

describe('ja4', () => {
  it('is that of the example in its specification', () => {
    expect(ja4(example)).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1')
    expect(example.ja4).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1')
  })

  it('has the raw and the original forms of the example', () => {
    expect(ja4(example, { raw: true })).toBe(
      `t13d1516h2_${SORTED_CIPHERS}_${SORTED_EXTENSIONS}_${ALGORITHMS}`,
    )
    expect(ja4(example, { raw: true, order: 'original' })).toBe(
      `t13d1516h2_${CIPHERS}_${EXTENSIONS}_${ALGORITHMS}`,
    )
    expect(ja4(example, { order: 'original' })).toBe('t13d1516h2_acb858a92679_18f69afefd3d')
  })

  it('hashes the extensions alone without signature algorithms', () => {
    const input: Ja4Input = { ...example, signatureAlgorithms: [] }
    expect(ja4(input)).toBe('t13d1516h2_8daaf6152771_6d807ffa2a79')
    expect(ja4(input, { raw: true })).toMatch(/,ff01$/)
  })

  it('shows empty lists as zeroes', () => {
    const only = withExtensions(serverName('a.example'), alpn(['h2']))
    expect(ja4(only)).toMatch(/^t12d0102h2_[0-9a-f]{12}_000000000000$/)
    expect(ja4(parsed({ cipherSuites: [0x0a0a] }))).toBe('t12i000000_000000000000_000000000000')
  })

  it.each([
    ['h2', 'h2'],
    ['http/1.1', 'h1'],
    ['x', 'xx'],
    ['\xab', 'ab'],
    [' ', '20'],
    ['\xab\xcd', 'ad'],
    ['\x20\x61', '21'],
    ['\x30\xab', '3b'],
    ['\x61\x20', '60'],
    ['\x30\x31\xab\xcd', '3d'],
    ['\x30\xab\xcd\x31', '01'],
    ['a\nb', 'ab'],
  ])('shows the ends of the ALPN name %j as %s', (name, ends) => {
    expect(ja4(withExtensions(alpn([name, 'zz']))).slice(8, 10)).toBe(ends)
  })

  it('shows 00 for no ALPN names and for an empty first one', () => {
    expect(ja4(withExtensions()).slice(8, 10)).toBe('00')
    expect(ja4({ ...example, alpn: ['', 'h2'] }).slice(8, 10)).toBe('00')
  })

  it.each([
    [[0x0304, 0x0303], '13'],
    [[0x0303, 0x0304], '13'],
    [[0xfafa, 0x0302, 0x0303], '12'],
    [[0x0301], '10'],
    [[0x0300], 's3'],
    [[0x0002], 's2'],
    [[0x7f1c, 0x0304], '00'],
    [[0x0a0a], '00'],
    [[0xfeff], 'd1'],
    [[0xfefd], 'd2'],
    [[0xfefc], 'd3'],
  ])('names the highest of the versions %j as %s', (versions, name) => {
    expect(ja4(withExtensions(supportedVersions(versions))).slice(1, 3)).toBe(name)
  })

  it('takes the version of the message where supported_versions is absent', () => {
    expect(ja4(parsed({ legacyVersion: 0x0302 })).slice(0, 3)).toBe('t11')
  })

  it('counts to 99 at most, signalling values too and GREASE not, and hashes all', () => {
    const ciphers = Array.from({ length: 110 }, (_, index) => 0xc100 + index)
    const types = Array.from({ length: 105 }, (_, index) => 0x5000 + index)
    const hello = parsed({ cipherSuites: ciphers, extensions: types.map(type => other(type)) })
    expect(ja4(hello).slice(4, 8)).toBe('9999')
    expect(ja4(hello, { raw: true }).split('_')[1]?.split(',')).toHaveLength(110)
    expect(ja4(parsed({ cipherSuites: [0x1301, 0x00ff, 0x5600, 0xfefe, 0x9a9a] })).slice(4, 6)).toBe('04')
  })

  it('leaves GREASE out of the signature algorithms', () => {
    const hello = withExtensions(signatureAlgorithms([0x5a5a, 0x0804, 0x0403]))
    expect(ja4(hello, { raw: true })).toMatch(/_000d_0804,0403$/)
  })

  it('marks what carried the hello', () => {
    expect(ja4(example, { transport: 'quic' })).toBe('q13d1516h2_8daaf6152771_e5627efa2ab1')
    expect(ja4(example, { transport: 'dtls' })[0]).toBe('d')
  })

  it.each(capturedHellos)('is that of others for $client', async captured => {
    const hello = parseClientHello(captured.bytes)
    expect(hello?.ja4).toBe(captured.ja4)
    const stream = new PassThrough()
    stream.end(captured.bytes)
    expect(hello?.ja4).toBe(calculateJa4(await readTlsClientHello(stream)))
  })
})
