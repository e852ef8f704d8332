// However the bytes of a client and of an origin are cut into pieces, the same requests are forwarded and the same answers
// given, and they go to whom they belong.
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { ownRequests, ownResponse } from '../support/own-codec.ts'
import { startProxy } from '../support/proxy.ts'
import { OK, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { AFTER, FORWARDED } from './forwarded.ts'
import { ANSWERS } from './responses.ts'

captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

/** Bytes in pieces, cut at places of which each is a share of the whole. */
function pieces(bytes: string, shares: readonly number[]): string[] {
  const cuts = [...new Set(shares.map(share => Math.floor(share * bytes.length)))].sort((a, b) => a - b)
  return [...cuts, bytes.length]
    .map((end, index, ends) => bytes.slice(index === 0 ? 0 : ends[index - 1], end))
    .filter(piece => piece !== '')
}

const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 20 })
const forward = fc.constantFrom(...FORWARDED.flatMap(([, forwards]) => forwards))
const answer = fc.constantFrom(...ANSWERS.filter(([, method]) => method === 'GET'))

async function sendInPieces(client: RawClient, all: readonly string[]): Promise<void> {
  for (const piece of all) {
    client.send(piece)
    await turn()
    await turn()
  }
}

/** Answers until the final one, each read by itself; what a client would understand. */
function understood(received: string, method: string): unknown {
  const { rest: _, ...read } = ownResponse(
    [Buffer.from(received.replaceAll(/date: [^\r]+\r\n/g, ''), 'latin1')],
    method,
    true,
  )
  return read
}

describe('split at random', () => {
  it('requests are forwarded as when they come whole', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(forward, shares, async ([, bytes, expected], at) => {
        const origin = await startOrigin(async connection => {
          for (;;) {
            const request = await connection.request()
            await connection.send(request.startsWith('HEAD ') ? OK.slice(0, -2) : OK)
          }
        })
        const { port } = await startProxy(origin.url)
        const client = await RawClient.connect(port)
        await sendInPieces(client, pieces(bytes + AFTER, at))
        await client.over()
        expect(client.statuses).toEqual([200, 200])
        const [got, wanted] = [origin.received.join(''), expected].map(
          text => ownRequests([Buffer.from(text, 'latin1')]).requests[0],
        )
        expect(got).toEqual(wanted)
        await stopHttp()
        await closeSockets()
      }),
      { numRuns: 300 },
    )
  })

  it('answers are given as when they come whole', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(answer, shares, async ([, method, bytes, expected], at) => {
        const origin = await startOrigin(async connection => {
          await connection.request()
          await connection.send(...pieces(bytes, at))
          await connection.request()
          await connection.send(OK)
        })
        const { port } = await startProxy(origin.url)
        const client = await RawClient.connect(port)
        client.send(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
        await client.over()
        const without = client.received.replace('connection: close\r\n', '')
        expect(understood(without, method)).toEqual(understood(expected, method))
        await stopHttp()
        await closeSockets()
      }),
      { numRuns: 300 },
    )
  })
})
