// What clients send over HTTP/1.1 and must not: each is refused with its status and its code in the log, and with an
// orderly end that lets the client read the answer. Neither a service nor an origin must ever see a request that was
// smuggled behind one.
import { afterEach, describe, expect, it } from 'vitest'
import { BodyDecoder, CHUNKED } from '../../src/http/h1/body-decoder.ts'
import { text } from '../../src/http/index.ts'
import { exchange, RawClient, startHttp, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { forwarded, startProxy } from '../support/proxy.ts'
import { answering, OK, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { BODIES, FIELDS, FRAMING, HOSTS, LIMITS, LINES, type Refusal, SMUGGLED, TARGETS } from './refused.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

const HEADS = [
  ['the request line', LINES],
  ['the target', TARGETS],
  ['a field', FIELDS],
  ['Host', HOSTS],
  ['framing', FRAMING],
  ['a limit', LIMITS],
] as const
const limits = { bodyLimit: 200_000 }

function expectRefusal(answer: RawClient, [, , status, code]: Refusal): void {
  expect(answer.statuses).toEqual([status])
  expect(answer.received).toContain('\r\nconnection: close\r\n')
  expect(answer.received).toMatch(new RegExp(`\\r\\n\\r\\n${status} [\\w ]+: ${code}\\n$`))
  expect(answer.ended).toBe(true)
  expect(answer.failed).toBeUndefined()
  expect(logs.map(line => line.code)).toEqual([code])
}

describe.each([...HEADS, ['the body', BODIES] as const])('a service, and attacks on %s', (part, attacks) => {
  it.each(named(attacks))('$name', async ({ attack }) => {
    const seen: string[] = []
    const { port } = await startHttp(async request => {
      seen.push(request.target)
      await request.body.bytes()
      return text('fooled')
    }, limits)
    expectRefusal(await exchange(port, attack[1] + SMUGGLED), attack)
    expect(seen).toEqual(part === 'the body' ? ['/body'] : [])
  })
})

/** A client that does nothing wrong gets its answer. */
async function expectGoodRequest(port: number): Promise<void> {
  const good = await exchange(port, 'GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  expect(good.received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
}

describe.each(HEADS)('an origin, and attacks on %s', (_part, attacks) => {
  it.each(named(attacks))('$name', async ({ attack }) => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url, {}, limits)
    expectRefusal(await exchange(port, attack[1] + SMUGGLED), attack)
    await expectGoodRequest(port)
    expect(origin.received).toEqual([forwarded('GET', '/good')])
  })
})

/** What a decoder lets through of a body before it refuses the rest, as the chunks that it is forwarded in. */
function goodChunks(body: string): string {
  let chunks = ''
  try {
    new BodyDecoder(CHUNKED, { body: 200_000, trailers: { bytes: 32_768, line: 0, fields: 100 } }).push(
      Buffer.from(body, 'latin1'),
      0,
      data => {
        chunks += `${data.length.toString(16)}\r\n${data.toString('latin1')}\r\n`
        return true
      },
    )
  } catch {}
  return chunks
}

/** The head is good, so it is forwarded. What follows must be no whole request, and the connection must not be used again. */
describe('an origin, and attacks on the body', () => {
  it.each(named(BODIES))('$name', async ({ attack }) => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url, {}, limits)
    const [head = '', ...rest] = attack[1].split(/(?<=\r\n\r\n)/)
    const client = await RawClient.connect(port)
    client.send(head)
    await origin.connected(1)
    const [broken] = origin.connections
    await broken?.head()
    await client.send(rest.join('') + SMUGGLED).over()
    expectRefusal(client, attack)
    await broken?.gone()
    await expectGoodRequest(port)
    const expected = forwarded('POST', '/body', { framing: 'transfer-encoding: chunked\r\n' })
    expect(origin.received.length).toBe(2)
    expect(origin.received[0]?.startsWith(expected)).toBe(true)
    expect(`${expected}${goodChunks(rest.join(''))}`.startsWith(origin.received[0] ?? 'none')).toBe(true)
    expect(origin.received[1]).toBe(forwarded('GET', '/good'))
  })

  it.each(named(BODIES))('$name, all at once', async ({ attack }) => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url, {}, limits)
    expectRefusal(await exchange(port, attack[1] + SMUGGLED), attack)
    await expectGoodRequest(port)
    // What could not be sent yet is not sent at all.
    expect(origin.received.at(-1)).toBe(forwarded('GET', '/good'))
    expect(origin.received.slice(0, -1).join('')).toBe('')
  })
})

/** Cases under their names. */
function named(attacks: readonly Refusal[]): { name: string; attack: Refusal }[] {
  return attacks.map(attack => ({ name: attack[0], attack }))
}
