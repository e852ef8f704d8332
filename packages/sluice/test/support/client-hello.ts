// Builds ClientHellos: by hand for one test, or at random for properties, and cuts them into records and segments.
import fc from 'fast-check'
import type { ClientHelloFields } from '../../src/tls/client-hello/index.ts'

/** An extension with what the parser is to read out of it. */
export interface BuiltExtension {
  readonly type: number
  readonly data: Buffer
  readonly gives: Partial<ClientHelloFields>
}

export interface HelloParts {
  readonly legacyVersion?: number
  readonly random?: Buffer
  readonly sessionId?: Buffer
  readonly cipherSuites?: readonly number[]
  readonly compressionMethods?: readonly number[]
  /** Undefined leaves out the whole block. */
  readonly extensions?: readonly BuiltExtension[] | undefined
}

/** Bytes with their length before them. */
export function vector(width: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts)
  const length = Buffer.alloc(width)
  length.writeUIntBE(bytes.length, 0, width)
  return Buffer.concat([length, bytes])
}

/** Big-endian numbers of one or two bytes each. */
export function numbers(size: 1 | 2, values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * size)
  values.forEach((value, index) => {
    bytes.writeUIntBE(value, index * size, size)
  })
  return bytes
}

export function other(type: number, data: Uint8Array = Buffer.alloc(0)): BuiltExtension {
  return { type, data: Buffer.from(data), gives: {} }
}

export function serverName(name: string): BuiltExtension {
  const data = vector(2, Buffer.of(0), vector(2, Buffer.from(name, 'latin1')))
  return { type: 0x0000, data, gives: { serverNameAsSent: name } }
}

export function alpn(names: readonly string[]): BuiltExtension {
  const data = vector(2, ...names.map(name => vector(1, Buffer.from(name, 'latin1'))))
  return { type: 0x0010, data, gives: { alpn: names } }
}

export function groups(values: readonly number[]): BuiltExtension {
  return { type: 0x000a, data: vector(2, numbers(2, values)), gives: { groups: values } }
}

export function pointFormats(values: readonly number[]): BuiltExtension {
  return { type: 0x000b, data: vector(1, numbers(1, values)), gives: { pointFormats: values } }
}

export function signatureAlgorithms(values: readonly number[]): BuiltExtension {
  return { type: 0x000d, data: vector(2, numbers(2, values)), gives: { signatureAlgorithms: values } }
}

export function supportedVersions(values: readonly number[]): BuiltExtension {
  return { type: 0x002b, data: vector(1, numbers(2, values)), gives: { versions: values } }
}

function pskModes(values: readonly number[]): BuiltExtension {
  return { type: 0x002d, data: vector(1, numbers(1, values)), gives: { pskModes: values } }
}

export function keyShares(shares: readonly (readonly [group: number, key: Uint8Array])[]): BuiltExtension {
  const entries = shares.map(([group, key]) => Buffer.concat([numbers(2, [group]), vector(2, key)]))
  return { type: 0x0033, data: vector(2, ...entries), gives: { keyShares: shares.map(([group]) => group) } }
}

/** The handshake message of a ClientHello. */
export function helloMessage(parts: HelloParts): Buffer {
  const body = [
    numbers(2, [parts.legacyVersion ?? 0x0303]),
    parts.random ?? Buffer.alloc(32, 7),
    vector(1, parts.sessionId ?? Buffer.alloc(0)),
    vector(2, numbers(2, parts.cipherSuites ?? [0x1301])),
    vector(1, numbers(1, parts.compressionMethods ?? [0])),
  ]
  if (parts.extensions !== undefined) {
    const extensions = parts.extensions.map(({ type, data }) =>
      Buffer.concat([numbers(2, [type]), vector(2, data)]),
    )
    body.push(vector(2, ...extensions))
  }
  return handshake(1, ...body)
}

/** A handshake message of any type. */
export function handshake(type: number, ...body: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(type), vector(3, ...body)])
}

/** What the parser is to read in `helloMessage(parts)`. */
export function expectedFields(parts: HelloParts): ClientHelloFields {
  const legacyVersion = parts.legacyVersion ?? 0x0303
  const fields: ClientHelloFields = {
    legacyVersion,
    random: parts.random ?? Buffer.alloc(32, 7),
    sessionId: parts.sessionId ?? Buffer.alloc(0),
    cipherSuites: parts.cipherSuites ?? [0x1301],
    compressionMethods: parts.compressionMethods ?? [0],
    extensions: parts.extensions?.map(({ type, data }) => ({ type, data })),
    serverNameAsSent: undefined,
    versions: [legacyVersion],
    alpn: [],
    groups: [],
    pointFormats: [],
    signatureAlgorithms: [],
    keyShares: [],
    pskModes: [],
  }
  return Object.assign(fields, ...(parts.extensions ?? []).map(extension => extension.gives))
}

/** A TLS record. */
export function record(fragment: Uint8Array, type = 0x16, version = 0x0301): Buffer {
  return Buffer.concat([Buffer.of(type), numbers(2, [version]), vector(2, fragment)])
}

/** A message in records that are cut where `sizes` says, again and again until it ends. */
export function inRecords(message: Buffer, sizes: readonly number[] = [2 ** 14]): Buffer {
  return Buffer.concat(cut(message, sizes).map(fragment => record(fragment)))
}

/** Bytes cut into pieces of these sizes, again and again until they end. */
export function cut(bytes: Buffer, sizes: readonly number[]): readonly Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? bytes.length
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

const uint16 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.integer({ min: 0, max: 15 }).map(digit => (digit * 16 + 10) * 0x101),
)
const uint8 = fc.integer({ min: 0, max: 0xff })
const octets = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map(bytes => Buffer.from(bytes))
const list16 = fc.array(uint16, { minLength: 1, maxLength: 20 })
const list8 = fc.array(uint8, { minLength: 1, maxLength: 5 })
const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/)

const decodedTypes = [0x0000, 0x000a, 0x000b, 0x000d, 0x0010, 0x002b, 0x002d, 0x0033]

const anyExtension: fc.Arbitrary<BuiltExtension> = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => serverName(labels.join('.'))),
  fc
    .array(octets(1, 12), { minLength: 1, maxLength: 5 })
    .map(names => alpn(names.map(name => name.toString('latin1')))),
  list16.map(groups),
  list8.map(pointFormats),
  list16.map(signatureAlgorithms),
  list16.map(supportedVersions),
  list8.map(pskModes),
  fc.array(fc.tuple(uint16, octets(1, 40)), { maxLength: 4 }).map(keyShares),
  fc
    .tuple(
      uint16.filter(type => !decodedTypes.includes(type)),
      octets(0, 60),
    )
    .map(([type, data]) => other(type, data)),
)

/** ClientHellos of every form that the grammar allows, up to a few hundred bytes. */
export const anyHello: fc.Arbitrary<HelloParts> = fc.record({
  legacyVersion: uint16,
  random: octets(32, 32),
  sessionId: octets(0, 32),
  cipherSuites: list16,
  compressionMethods: list8,
  extensions: fc.option(fc.uniqueArray(anyExtension, { selector: ({ type }) => type, maxLength: 15 }), {
    nil: undefined,
  }),
})

/** Sizes of pieces, single bytes more often than chance would have it. */
export const anySizes: fc.Arbitrary<readonly number[]> = fc.array(
  fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 400 })),
  { minLength: 1, maxLength: 8 },
)

/** Small damage anywhere in bytes: some changed, taken out, put in or cut off. */
export function damaged(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
  const change = fc.tuple(fc.constantFrom('set', 'cut', 'insert', 'truncate'), place, uint8)
  return fc.tuple(bytes, fc.array(change, { minLength: 1, maxLength: 4 })).map(([whole, changes]) => {
    let result = Buffer.from(whole)
    for (const [kind, where, value] of changes) {
      const at = Math.floor(where * result.length)
      if (kind === 'set') result.fill(value, at, Math.min(at + 1, result.length))
      else if (kind === 'cut')
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1 + (value & 7))])
      else if (kind === 'insert')
        result = Buffer.concat([result.subarray(0, at), Buffer.of(value), result.subarray(at)])
      else if (at > 0) result = result.subarray(0, at)
    }
    return result
  })
}
