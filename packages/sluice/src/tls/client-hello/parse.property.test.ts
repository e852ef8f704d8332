import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { capturedHellos } from '../../../test/support/captured-hellos.ts'
import {
  anyHello,
  anySizes,
  cut,
  damaged,
  expectedFields,
  helloMessage,
  inRecords,
} from '../../../test/support/client-hello.ts'
import { isSluiceError } from '../../core/index.ts'
import { type ClientHello, clientHelloReader, ja3, ja4, parseClientHello } from './index.ts'

const anyBytes = fc.oneof(
  fc.tuple(anyHello, anySizes).map(([hello, sizes]) => inRecords(helloMessage(hello), sizes)),
  fc.constantFrom(...capturedHellos.map(({ bytes }) => bytes)),
)

/** What comes of bytes, in a form that can be compared: the hello, `undefined`, or the code of the error. */
function outcome(parse: () => ClientHello | undefined): unknown {
  try {
    const hello = parse()
    return hello && { ...hello, ja3: hello.ja3, ja4: hello.ja4, json: JSON.stringify(hello) }
  } catch (error) {
    if (isSluiceError(error) && /^TLS_(CLIENT_HELLO_|NOT_TLS|PLAIN_HTTP)/.test(error.code)) return error.code
    throw error
  }
}

function inSegments(segments: readonly Buffer[]): ClientHello | undefined {
  const read = clientHelloReader()
  let bytes = Buffer.alloc(0)
  for (const segment of segments) {
    bytes = Buffer.concat([bytes, segment])
    const head = read(bytes)
    if (head !== undefined) return head.value
  }
  return undefined
}

describe('parseClientHello', () => {
  it('reads what was built', () => {
    fc.assert(
      fc.property(anyHello, anySizes, (parts, sizes) => {
        const hello = parseClientHello(inRecords(helloMessage(parts), sizes))
        const expected = expectedFields(parts)
        expect({ ...hello }).toEqual({ ...expected, serverName: expected.serverNameAsSent?.toLowerCase() })
      }),
    )
  })

  it('gives the same for any split into segments', () => {
    fc.assert(
      fc.property(anyBytes, anySizes, (bytes, sizes) => {
        expect(outcome(() => inSegments(cut(bytes, sizes)))).toEqual(outcome(() => parseClientHello(bytes)))
      }),
    )
  })

  it('raises nothing but its own errors for damaged bytes, and the same for any split', () => {
    fc.assert(
      fc.property(damaged(anyBytes), anySizes, (bytes, sizes) => {
        const whole = outcome(() => parseClientHello(bytes))
        expect(outcome(() => inSegments(cut(bytes, sizes)))).toEqual(whole)
        expect(outcome(() => inSegments(cut(bytes, [1])))).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  it('raises nothing but its own errors for any bytes in a well-formed message', () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 300 })
    fc.assert(
      fc.property(bytes, body => {
        const message = Buffer.concat([Buffer.of(1, 0, body.length >> 8, body.length & 255), body])
        outcome(() => parseClientHello(inRecords(message)))
      }),
    )
  })

  it('has fingerprints and a log line for whatever it has read', () => {
    fc.assert(
      fc.property(anyHello, parts => {
        const hello = parseClientHello(inRecords(helloMessage(parts)))
        if (hello === undefined) throw new Error('not read')
        expect(ja3(hello).hash).toMatch(/^[0-9a-f]{32}$/)
        expect(ja4(hello)).toMatch(
          /^t(?:1[0-3]|00|s[23]|d[1-3])[di]\d{4}[0-9a-zA-Z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/,
        )
        const line = JSON.stringify(hello)
        expect(line).toMatch(/^[\x20-\x7e]*$/)
        expect(line.length).toBeLessThan(2000)
      }),
    )
  })
})
