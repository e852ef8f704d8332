// What is made of fields that come again is what was made of them the first time, whatever else has changed.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { errorCode } from '../core/index.ts'
import type { Connection } from '../net/index.ts'
import { Body } from './body.ts'
import { requestFields, responseFields } from './client/fields.ts'
import { requestHead } from './h1/client-request.ts'
import { responseHead } from './h1/response-head.ts'
import { HpackEncoder } from './h2/hpack/encoder.ts'
import { frame, headBlock, outgoingFields } from './h2/outgoing-fields.ts'
import { HeaderList } from './headers.ts'
import type { HttpRequest } from './request.ts'
import { type Section, SectionWriter } from './section.ts'

type Pairs = readonly (readonly [name: string, value: string])[]

function sectionOf(pairs: Pairs, mayRepeat: boolean): Section {
  const writer = new SectionWriter()
  for (const [name, value] of pairs) writer.add(name, value)
  const section = writer.section()
  section.mayRepeat = mayRepeat
  return section
}

function listOf(section: Section, added: Pairs): HeaderList {
  const list = new HeaderList(section)
  for (const [name, value] of added) list.append(name, value)
  return list
}

/** The lines of a head, the first one first; the order of the others is nobody's business but that of one name. */
function linesOf(head: string): string[] {
  const [first = '', ...fields] = head.split('\r\n')
  return [first, ...fields.sort()]
}

function outcome<T>(make: () => T): T | string | undefined {
  try {
    return make()
  } catch (error) {
    return errorCode(error)
  }
}

/** Some messages, each like the one before but for one thing or none. */
function sequence<T extends object>(parts: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T[]> {
  const changes = (Object.keys(parts) as (keyof T)[]).map(key => parts[key].map(value => ({ [key]: value })))
  return fc
    .tuple(fc.record(parts), fc.array(fc.oneof(...changes), { minLength: 2, maxLength: 8 }))
    .map(([first, steps]) => {
      const all = [first, first] as T[]
      for (const step of steps) all.push({ ...(all.at(-1) as T), ...step })
      return all
    })
}

beforeAll(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterAll(() => void vi.useRealTimers())

const connections = ['10.0.0.1', '10.0.0.2'].map(
  host => ({ peer: { family: 'ipv4', host, port: 1 } }) as unknown as Connection,
)
const clients = [
  undefined,
  { trusted: false },
  { trusted: true, fields: 'both', scheme: 'https', host: 'c' },
  { trusted: true, fields: 'forwarded', scheme: 'http', host: undefined },
]

const fields = fc.subarray<readonly [string, string]>([
  ['Host', 'a'],
  ['Accept', '*/*'],
  ['x_under', '1'],
  ['x.dot', '1'],
  ['X-Forwarded-For', '1.2.3.4'],
  ['Forwarded', 'for=1.2.3.4'],
  ['Connection', 'x-hop'],
  ['x-hop', '1'],
  ['TE', 'trailers'],
  ['Expect', '100-continue'],
  ['Content-Length', '3'],
])
const added = fc.subarray<readonly [string, string]>([
  ['x-request-id', 'abc'],
  ['x-hop', 'added'],
  ['x-forwarded-for', '9.9.9.9'],
  ['via', '1.1 layer'],
  ['te', 'trailers'],
  ['connection', 'accept'],
])

describe('fields of requests that come again', () => {
  it('are handed on as those of a first request', () => {
    const requests = sequence({
      added,
      authority: fc.constantFrom('a', 'b', undefined),
      client: fc.constantFrom(...clients),
      connection: fc.constantFrom(...connections),
      keepUnderscores: fc.boolean(),
      length: fc.constantFrom(0, 3, undefined),
      method: fc.constantFrom('GET', 'POST'),
      requestId: fc.constantFrom(undefined, 'id'),
      scheme: fc.constantFrom('http', 'https'),
      target: fc.constantFrom('/', '/b'),
      upstream: fc.constantFrom('a', 'b'),
      version: fc.constantFrom('1.0', '1.1', '2'),
    })
    fc.assert(
      fc.property(fields, requests, (pairs, requests) => {
        const repeated = sectionOf(pairs, true)
        for (const request of requests) {
          const { keepUnderscores, length, upstream } = request
          const body = length === 0 ? Body.empty : Body.of({} as never, length)
          const head = (section: Section): string => {
            const headers = listOf(section, request.added)
            const asked = { ...request, headers, body } as unknown as HttpRequest
            const handedOn = requestFields(asked, keepUnderscores)
            return requestHead({
              ...asked,
              authority: upstream,
              headers: handedOn,
              upgrade: undefined,
              client: undefined,
              expectsContinue: false,
            })
          }
          expect(linesOf(head(repeated))).toEqual(linesOf(head(sectionOf(pairs, false))))
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('are not changed by who changes his list of them', () => {
    const section = sectionOf(
      [
        ['Host', 'a'],
        ['x-a', '1'],
      ],
      true,
    )
    const asked = (headers: HeaderList): HttpRequest =>
      ({
        headers,
        connection: connections[0],
        authority: 'a',
        scheme: 'https',
        version: '1.1',
      }) as unknown as HttpRequest
    const before = requestFields(asked(new HeaderList(section)), false).toLines()
    const own = new HeaderList(section)
    own.set('x-a', '2')
    own.append('x-b', '3')
    const handedOn = requestFields(asked(own), false)
    expect(handedOn.get('x-a')).toBe('2')
    handedOn.delete('via')
    handedOn.append('x-c', '4')
    expect(requestFields(asked(new HeaderList(section)), false).toLines()).toBe(before)
  })
})

describe('fields of answers that come again', () => {
  const answered = fc.subarray<readonly [string, string]>([
    ['Date', 'Tue, 24 Nov 2026 21:00:00 GMT'],
    ['Content-Length', '3'],
    ['Connection', 'close'],
    ['Keep-Alive', 'timeout=5'],
    ['Connection', 'x-hop'],
    ['x-hop', '1'],
    ['Trailer', 'x-t'],
    ['Set-Cookie', 'a=1'],
    ['Set-Cookie', 'b=2'],
    ['Upgrade', 'x'],
  ])
  const answers = sequence({
    added: fc.subarray<readonly [string, string]>([
      ['x-request-id', 'abc'],
      ['content-length', '3'],
      ['connection', 'close, trailer'],
      ['date', 'Wed, 25 Nov 2026 21:00:00 GMT'],
    ]),
    from: fc.constantFrom('service', 'upstream', 'layer'),
    keepAlive: fc.boolean(),
    length: fc.constantFrom(0, 3, undefined),
    method: fc.constantFrom('GET', 'HEAD'),
    status: fc.constantFrom(200, 204, 304, 404),
    version: fc.constantFrom('1.0' as const, '1.1' as const),
  })

  it('are written as those of a first answer, over HTTP/1.1 and HTTP/2', () => {
    fc.assert(
      fc.property(answered, answers, (pairs, answers) => {
        const repeated = sectionOf(pairs, true)
        for (const { added, from, keepAlive, length, method, status, version } of answers) {
          const body = length === 0 ? Body.empty : Body.of({} as never, length)
          const answer = (section: Section): { status: number; headers: HeaderList; body: Body } => {
            // A layer adds its fields to those that a proxy has handed on, or has them handed on; services have no proxy.
            const own = new HeaderList(section)
            if (from === 'layer') for (const [name, value] of added) own.append(name, value)
            const headers = new HeaderList(from === 'service' ? own : responseFields(own))
            if (from !== 'layer') for (const [name, value] of added) headers.append(name, value)
            return { status, headers, body }
          }
          const head = (section: Section): unknown =>
            outcome(() => {
              const made = responseHead(answer(section), { method, version, keepAlive })
              return { ...made, text: linesOf(made.text) }
            })
          expect(head(repeated)).toEqual(head(sectionOf(pairs, false)))
          const block = (section: Section): unknown =>
            outcome(() => {
              const response = answer(section)
              const fields = outgoingFields(response)
              const { told, ...framing } = frame(fields.declared, response, method)
              return { framing, block: headBlock(new HpackEncoder(), status, fields, told) }
            })
          expect(block(repeated)).toEqual(block(sectionOf(pairs, false)))
        }
      }),
      { numRuns: 1000 },
    )
  })
})
