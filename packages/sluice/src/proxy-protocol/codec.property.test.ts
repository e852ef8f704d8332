import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSluiceError } from '../core/index.ts'
import { type Address, ipFromBytes, UnixAddress } from '../net/index.ts'
import { type ProxyHeaderFields, parseProxyHeader, serializeProxyHeader } from './codec.ts'
import { V2_SIGNATURE } from './signature.ts'
import { type ProxySsl, parseSsl, serializeSsl } from './ssl.ts'

const port = fc.integer({ min: 0, max: 65_535 })
const ip = (length: 4 | 16) =>
  fc
    .tuple(fc.uint8Array({ minLength: length, maxLength: length }), port)
    .map(([bytes, number]) => ipFromBytes(bytes, number))
const unix = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter(path => !path.includes('\0') && Buffer.byteLength(path) <= 108)
  .map(path => new UnixAddress(path))
const either: fc.Arbitrary<Address> = fc.oneof(ip(4), ip(16))
const addresses = fc.oneof(
  fc.record({ source: either, destination: either }),
  fc.record({ source: unix, destination: unix }),
)
const tlv = fc.oneof(
  fc.record({
    kind: fc.integer({ min: 0, max: 255 }).filter(kind => ![0x02, 0x03, 0x05, 0x20].includes(kind)),
    value: fc.uint8Array({ maxLength: 40 }),
  }),
  fc.record({
    kind: fc.constant(0x02),
    value: fc.string({ unit: 'grapheme', maxLength: 9 }).map(text => Uint8Array.from(Buffer.from(text))),
  }),
  fc.record({ kind: fc.constant(0x05), value: fc.uint8Array({ maxLength: 128 }) }),
)
const fields: fc.Arbitrary<ProxyHeaderFields> = fc.record({
  version: fc.constantFrom(1, 2),
  transport: fc.constantFrom('stream', 'dgram'),
  addresses,
  tlvs: fc.array(tlv, { maxLength: 5 }),
  crc32c: fc.boolean(),
})

/** The result or the code of the error, in a form that can be compared. */
function outcome(bytes: Buffer): unknown {
  try {
    const head = parseProxyHeader(bytes)
    if (head === undefined) return 'more'
    const { addresses, tlvs, ...rest } = head.value
    const list = [...tlvs].map(({ kind, value }) => `${kind}:${Buffer.from(value).toString('hex')}`)
    return { ...rest, consumed: head.consumed, ends: `${addresses?.source} ${addresses?.destination}`, list }
  } catch (error) {
    if (isSluiceError(error)) return error.code
    throw error
  }
}

/** As a reader sees it: more and more of the bytes, until there is a result. */
function outcomeInSteps(bytes: Buffer, steps: readonly number[]): unknown {
  for (const end of [...new Set(steps)].sort((a, b) => a - b)) {
    const result = outcome(Buffer.from(bytes.subarray(0, end)))
    if (result !== 'more') return result
  }
  return outcome(bytes)
}

/** Bytes that get deep into the parsers: real headers with a few bytes changed, cut or added. */
const mutated = fc
  .tuple(
    fields,
    fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 3 }),
    fc.nat(400),
    fc.uint8Array({ maxLength: 20 }),
  )
  .map(([header, changes, cut, tail]) => {
    const bytes = serializeProxyHeader(header)
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    return Buffer.concat([bytes.subarray(0, cut), tail])
  })

const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.concat([V2_SIGNATURE, bytes])),
  fc
    .tuple(
      fc.constantFrom(0x20, 0x21),
      fc.constantFrom(0x00, 0x11, 0x21, 0x31),
      fc.uint8Array({ maxLength: 300 }),
    )
    .map(([command, family, rest]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(rest.length)
      return Buffer.concat([V2_SIGNATURE, Buffer.from([command, family]), length, rest])
    }),
  fc.string({ unit: 'binary', maxLength: 120 }).map(text => Buffer.from(`PROXY TCP4 ${text}\r\n`)),
  fc.stringMatching(/^[0-9a-f:. ]{0,100}$/).map(text => Buffer.from(`PROXY TCP6 ${text}\r\n`)),
  mutated,
)

const steps = fc.array(fc.nat(300), { maxLength: 40 })

describe('PROXY headers of any kind', () => {
  it('parse back as what was serialized', () => {
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 10 }), (header, payload) => {
        const bytes = serializeProxyHeader(header)
        const parsed = parseProxyHeader(Buffer.concat([bytes, payload]), { maxLength: '64kb' })
        expect(parsed?.consumed).toBe(bytes.length)
        const { value } = parsed ?? {}
        expect(value?.version).toBe(header.version)
        const isUnix = header.addresses?.source.family === 'unix'
        const lost = header.version === 1 && (isUnix || header.transport === 'dgram')
        expect(value?.addresses).toEqual(lost ? undefined : header.addresses)
        expect(value?.transport).toBe(lost ? 'unspec' : header.transport)
        const sent = header.version === 1 ? [] : [...(header.tlvs ?? [])]
        const found = [...(value?.tlvs ?? [])].map(({ kind, value }) => ({
          kind,
          value: Uint8Array.from(value),
        }))
        expect(found.filter(({ kind }) => kind !== 0x03)).toEqual(sent)
        expect(found.length - sent.length).toBe(header.version === 2 && header.crc32c ? 1 : 0)
      }),
    )
  })

  it('give the same result however their bytes are split', () => {
    fc.assert(
      fc.property(fc.oneof(garbage, fields.map(serializeProxyHeader)), steps, (bytes, ends) => {
        const whole = outcome(bytes)
        expect(outcomeInSteps(bytes, ends)).toEqual(whole)
      }),
      { numRuns: 400 },
    )
    fc.assert(
      fc.property(fc.oneof(garbage, fields.map(serializeProxyHeader)), bytes => {
        const every = Array.from({ length: bytes.length + 1 }, (_, index) => index)
        expect(outcomeInSteps(bytes, every)).toEqual(outcome(bytes))
      }),
    )
  })

  it('are never read past their end', () => {
    fc.assert(
      fc.property(fields, fc.nat(400), (header, cut) => {
        const bytes = serializeProxyHeader(header)
        if (cut < bytes.length) expect(outcome(bytes.subarray(0, cut))).toBe('more')
      }),
    )
  })

  it('make nothing but coded errors, whatever the bytes', () => {
    fc.assert(
      fc.property(garbage, bytes => {
        // `outcome` passes on what is not a SluiceError.
        outcome(bytes)
        for (const found of [parse(bytes)]) {
          if (found !== undefined) {
            expect(found.consumed).toBeLessThanOrEqual(bytes.length)
            JSON.stringify(found.value)
          }
        }
      }),
      { numRuns: 2000 },
    )
  })
})

function parse(bytes: Buffer) {
  try {
    return parseProxyHeader(bytes)
  } catch {
    return undefined
  }
}

describe('an SSL field', () => {
  const text = fc.option(fc.string({ maxLength: 30 }), { nil: undefined })
  it('parses back as what was serialized', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        fc.record({
          version: text,
          commonName: text,
          cipher: text,
          signatureAlgorithm: text,
          keyAlgorithm: text,
        }),
        (tls, certificateOnConnection, certificateInSession, verified, texts) => {
          const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined))
          const ssl: ProxySsl = { tls, certificateOnConnection, certificateInSession, verified, ...given }
          const withCertificate = certificateOnConnection || certificateInSession
          expect(parseSsl(serializeSsl(ssl))).toEqual({ ...ssl, verified: verified && withCertificate })
        },
      ),
    )
  })
})
