import { describe, expect, it, vi } from 'vitest'
import { capturedHellos, chromium } from '../../../test/support/captured-hellos.ts'
import {
  alpn,
  type BuiltExtension,
  groups,
  handshake,
  helloMessage,
  inRecords,
  keyShares,
  numbers,
  other,
  record,
  serverName,
  supportedVersions,
  vector,
} from '../../../test/support/client-hello.ts'
import { clientHelloReader, clientHelloWireLimit, isGrease, parseClientHello } from './index.ts'

const plain = helloMessage({ extensions: [serverName('a.example'), alpn(['h2', 'http/1.1'])] })

describe('parseClientHello', () => {
  it('reads what Chromium offers', () => {
    const hello = parseClientHello(chromium.bytes)
    expect(hello).toMatchObject({
      legacyVersion: 0x0303,
      serverName: 'www.example.com',
      alpn: ['h2', 'http/1.1'],
      compressionMethods: [0],
      pointFormats: [0],
      pskModes: [1],
      encryptedClientHello: true,
    })
    expect(hello?.sessionId).toHaveLength(32)
    expect(hello?.random).toHaveLength(32)
    // GREASE stands where it was sent.
    for (const list of [hello?.versions, hello?.cipherSuites, hello?.groups, hello?.keyShares]) {
      expect(list?.map(isGrease).indexOf(true)).toBe(0)
    }
    expect(hello?.versions.slice(1)).toEqual([0x0304, 0x0303])
    expect(hello?.groups.slice(1)).toEqual([0x11ec, 0x001d, 0x0017, 0x0018])
    expect(hello?.keyShares.slice(1)).toEqual([0x11ec, 0x001d])
    expect(hello?.signatureAlgorithms).toContain(0x0403)
    expect(hello?.extension(0x0000)).toEqual(serverName('www.example.com').data)
    expect(hello?.extension(0x0029)).toBeUndefined()
  })

  it('gives the server name in lower case, and as it was sent', () => {
    const bytes = inRecords(helloMessage({ extensions: [serverName('WWW.Example.COM')] }))
    expect(parseClientHello(bytes)).toMatchObject({
      serverName: 'www.example.com',
      serverNameAsSent: 'WWW.Example.COM',
    })
  })

  it('reads a message that ends before the extensions, as the earliest TLS clients send', () => {
    const hello = parseClientHello(inRecords(helloMessage({ legacyVersion: 0x0301 })))
    expect(hello).toMatchObject({
      extensions: undefined,
      versions: [0x0301],
      serverName: undefined,
      alpn: [],
    })
  })

  it('reads an empty list of key shares, which asks for a HelloRetryRequest', () => {
    expect(parseClientHello(inRecords(helloMessage({ extensions: [keyShares([])] })))?.keyShares).toEqual([])
  })

  it('leaves what follows the record of the ClientHello to TLS', () => {
    const earlyData = record(Buffer.alloc(100), 0x17, 0x0303)
    expect(parseClientHello(Buffer.concat([inRecords(plain), earlyData]))?.serverName).toBe('a.example')
  })

  it('ignores the minor version of records', () => {
    expect(parseClientHello(record(plain, 0x16, 0x0399))?.serverName).toBe('a.example')
  })

  it('keeps nothing of the bytes that it was given', () => {
    const bytes = Buffer.concat([inRecords(plain), Buffer.alloc(60_000)])
    const hello = parseClientHello(bytes)
    bytes.fill(0)
    expect(hello?.random).toEqual(Buffer.alloc(32, 7))
    expect(hello?.extension(0)).toEqual(serverName('a.example').data)
    expect(hello?.random.buffer.byteLength).toBe(plain.length)
  })

  it('needs more at every byte before the last', () => {
    for (const { bytes } of capturedHellos) {
      for (let length = 0; length < bytes.length; length++) {
        expect(parseClientHello(bytes.subarray(0, length))).toBeUndefined()
      }
      expect(parseClientHello(bytes)).toBeDefined()
    }
  })
})

describe('clientHelloReader', () => {
  it('answers that it consumed nothing', () => {
    const read = clientHelloReader()
    expect(read(chromium.bytes.subarray(0, 700))).toBeUndefined()
    expect(read(chromium.bytes)).toMatchObject({ consumed: 0, value: { serverName: 'www.example.com' } })
  })

  it('takes work in proportion to the bytes when they come one at a time, in the smallest records', () => {
    const message = helloMessage({ extensions: [other(21, Buffer.alloc(16_250))] })
    const bytes = inRecords(message, [...Array<number>(4000).fill(1), 16_384])
    const reads = vi.spyOn(Buffer.prototype, 'readUInt16BE')
    const read = clientHelloReader()
    for (let length = 0; length < bytes.length; length++) {
      if (read(bytes.subarray(0, length)) !== undefined) throw new Error('too early')
    }
    expect(read(bytes)).toBeDefined()
    // The header of the record that is not complete is looked at again with each byte; those before it are not.
    expect(reads.mock.calls.length).toBeLessThan(bytes.length + 2 * 4096)
    reads.mockRestore()
  })

  it('costs little even when it begins anew with each byte', () => {
    const bytes = inRecords(helloMessage({ extensions: [other(21, Buffer.alloc(16_250))] }))
    const reads = vi.spyOn(Buffer.prototype, 'readUInt16BE')
    for (let length = 0; length < bytes.length; length++) parseClientHello(bytes.subarray(0, length))
    expect(reads.mock.calls.length).toBeLessThan(bytes.length)
    reads.mockRestore()
  })
})

/** Every one of these must be refused, and say what was found. */
const malformed: readonly [what: string, bytes: Buffer, message: RegExp][] = [
  ['a ServerHello', inRecords(handshake(2, Buffer.alloc(40))), /first handshake message has type 2/],
  ['an alert', record(Buffer.of(2, 40), 0x15), /begins with an alert record of TLS/],
  ['application data', record(Buffer.alloc(20), 0x17), /begins with an application data record of TLS/],
  ['an empty record', record(Buffer.alloc(0)), /empty record/],
  [
    'an empty record in the middle',
    Buffer.concat([record(plain.subarray(0, 9)), record(Buffer.alloc(0))]),
    /empty/,
  ],
  ['a record beyond 2^14 bytes', record(Buffer.alloc(2 ** 14 + 1, 1)), /record of 16385 bytes/],
  [
    'an alert in the middle',
    Buffer.concat([record(plain.subarray(0, 9)), record(Buffer.of(1, 0), 0x15)]),
    /interrupted by an alert record/,
  ],
  [
    'another version in the middle',
    Buffer.concat([record(plain.subarray(0, 9)), record(plain.subarray(9), 0x16, 0x0501)]),
    /record of version 5/,
  ],
  [
    'bytes after the message in its record',
    record(Buffer.concat([plain, Buffer.of(1)])),
    /followed by 1 more/,
  ],
  ['a second message in its record', record(Buffer.concat([plain, plain])), /followed by/],
  ['an empty message', inRecords(handshake(1)), /ends within legacy_version/],
  [
    'a message cut off in random',
    inRecords(handshake(1, Buffer.alloc(20))),
    /ends within random.*18 are left/,
  ],
  ['a session id of 33 bytes', hello({ sessionId: Buffer.alloc(33) }), /legacy_session_id of 33 bytes/],
  ['no cipher suites', hello({ cipherSuites: [] }), /0 bytes of cipher_suites/],
  ['no compression methods', hello({ compressionMethods: [] }), /legacy_compression_methods/],
  [
    'half a cipher suite',
    inRecords(handshake(1, Buffer.alloc(35), vector(2, Buffer.alloc(3)), vector(1, Buffer.of(0)))),
    /half a value at the end of cipher_suites/,
  ],
  [
    'bytes after the extensions',
    inRecords(
      handshake(
        1,
        Buffer.alloc(35),
        vector(2, Buffer.of(19, 1)),
        vector(1, Buffer.of(0)),
        vector(2),
        Buffer.of(9),
      ),
    ),
    /1 bytes too many after extensions/,
  ],
  ['an extension twice', withExtensions(other(0x1234), other(0x1234)), /extension 4660 twice/],
  ['a GREASE extension twice', withExtensions(other(0x0a0a), other(0x0a0a)), /extension 2570 twice/],
  [
    'an extension that is longer than the block',
    inRecords(
      handshake(
        1,
        Buffer.alloc(35),
        vector(2, Buffer.of(19, 1)),
        vector(1, Buffer.of(0)),
        vector(2, numbers(2, [0x1234, 5]), Buffer.of(1)),
      ),
    ),
    /ends within extension 4660/,
  ],
  ['an empty server_name', withExtensions(other(0)), /ends within server_name/],
  ['a server_name of no bytes', withExtensions(serverName('')), /0 bytes of server_name/],
  [
    'a server_name of another type',
    withExtensions(other(0, vector(2, Buffer.of(1), vector(2, Buffer.of(97))))),
    /type 1/,
  ],
  [
    'two server names',
    withExtensions(
      other(0, vector(2, Buffer.of(0), vector(2, Buffer.of(97)), Buffer.of(0), vector(2, Buffer.of(98)))),
    ),
    /more than one server_name/,
  ],
  [
    'a server_name with NUL',
    withExtensions(serverName('a.example\0.evil.example')),
    /"a\.example\\x00\.evil/,
  ],
  ['a server_name beyond ASCII', withExtensions(serverName('b\xfccher.example')), /"b\\xfccher\.example"/],
  ['a server_name with a slash', withExtensions(serverName('../../etc/passwd')), /not a host name/],
  ['a server_name with an empty label', withExtensions(serverName('a..example')), /not a host name/],
  ['a server_name with a line break', withExtensions(serverName('a\nb')), /"a\\x0ab"/],
  ['a server_name of 256 bytes', withExtensions(serverName('a'.repeat(256))), /not a host name/],
  ['no ALPN names', withExtensions(alpn([])), /0 bytes of application_layer_protocol_negotiation/],
  ['an empty ALPN name', withExtensions(alpn(['h2', ''])), /0 bytes of the name of an application protocol/],
  ['no groups', withExtensions(groups([])), /0 bytes of supported_groups/],
  ['no versions', withExtensions(supportedVersions([])), /0 bytes of supported_versions/],
  ['half a group', withExtensions(other(0x000a, vector(2, Buffer.of(0, 29, 0)))), /half a value/],
  [
    'bytes after the groups',
    withExtensions(other(0x000a, Buffer.of(0, 2, 0, 29, 0))),
    /too many after supported_groups/,
  ],
  [
    'a key share without a key',
    withExtensions(keyShares([[29, Buffer.alloc(0)]])),
    /0 bytes of the key of a key share/,
  ],
  [
    'a key share cut off',
    withExtensions(other(0x0033, vector(2, Buffer.of(0, 29, 0, 32, 1)))),
    /the key of a key share/,
  ],
]

function hello(parts: Parameters<typeof helloMessage>[0]): Buffer {
  return inRecords(helloMessage(parts))
}

function withExtensions(...extensions: readonly BuiltExtension[]): Buffer {
  return hello({ extensions })
}

describe('parseClientHello refuses', () => {
  it.each(malformed)('%s', (_what, bytes, message) => {
    expect(() => parseClientHello(bytes)).toThrow(
      expect.objectContaining({
        code: 'TLS_CLIENT_HELLO_MALFORMED',
        message: expect.stringMatching(message),
      }),
    )
  })

  it('a message beyond the limit, as soon as its length is known', () => {
    const header = Buffer.of(0x16, 3, 1, 0x40, 0, 1, 0, 0x40, 0)
    expect(parseClientHello(header.subarray(0, 8))).toBeUndefined()
    expect(() => parseClientHello(header)).toThrow(
      expect.objectContaining({
        code: 'TLS_CLIENT_HELLO_TOO_LARGE',
        message: 'the ClientHello has 16388 bytes; the limit is 16384',
      }),
    )
    expect(() => parseClientHello(inRecords(plain), plain.length - 1)).toThrow(/TLS|limit/)
    expect(parseClientHello(inRecords(plain), plain.length)?.serverName).toBe('a.example')
  })

  it('a hello of 64 kB', () => {
    const message = helloMessage({ extensions: [other(21, Buffer.alloc(65_000))] })
    expect(() => parseClientHello(inRecords(message))).toThrow(
      expect.objectContaining({ code: 'TLS_CLIENT_HELLO_TOO_LARGE' }),
    )
  })

  it('more than 4096 records', () => {
    const message = helloMessage({ extensions: [other(21, Buffer.alloc(5000))] })
    expect(parseClientHello(inRecords(message, [2]))).toBeDefined()
    const bytes = inRecords(message, [1])
    expect(() => parseClientHello(bytes)).toThrow(/more than 4096 records/)
    expect(() => parseClientHello(bytes.subarray(0, clientHelloWireLimit()))).toThrow(
      /more than 4096 records/,
    )
  })

  it('more than 128 extensions, which would cost far more memory than they have bytes', () => {
    const many = (count: number) =>
      withExtensions(...Array.from({ length: count }, (_, type) => other(1000 + type)))
    expect(parseClientHello(many(128))?.extensions).toHaveLength(128)
    expect(() => parseClientHello(many(129))).toThrow(
      expect.objectContaining({ code: 'TLS_CLIENT_HELLO_TOO_LARGE' }),
    )
  })
})
