// Many clients at once, over few connections to an origin that does everything wrong that it can: no client ever gets a
// byte that was meant for another.
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as tlsConnect } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { stack } from '../../src/core/index.ts'
import { serveHttp } from '../../src/http/index.ts'
import { type Connection, IpAddress, type Listener, listen } from '../../src/net/index.ts'
import { reverseProxy } from '../../src/proxy/index.ts'
import { acceptTls, fromPem } from '../../src/tls/index.ts'
import { RawClient } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { Random } from '../support/random.ts'
import { type OriginConnection, type OriginScript, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { testCertificate, testKey } from '../support/test-certificate.ts'

captureLogs()
let listener: Listener | undefined
afterEach(async () => {
  await listener?.close(0)
  await closeSockets()
})

const CLIENTS = 24
const REQUESTS = 30
const LARGE = 6_000_000

/**
 * What the origin does with a request; in most of them something is wrong after, or instead of, the end of the answer. What
 * it sends too much comes together with the end: when it comes once the next request is on its way, nobody can tell it
 * from the answer to that (this is so in HTTP/1.1, and why origins have to be trusted with each other's clients).
 */
const WAYS = [
  'length',
  'chunks',
  'until-close',
  'after',
  'twice',
  'short',
  'reset',
  'hints',
  'early-close',
] as const

const chunk = (bytes: string): string => `${bytes.length.toString(16)}\r\n${bytes}\r\n`

async function answerBy(
  way: (typeof WAYS)[number],
  body: string,
  connection: OriginConnection,
): Promise<void> {
  const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const half = body.slice(0, body.length / 2)
  const foreign = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nothers'
  switch (way) {
    case 'length':
      return connection.send(whole)
    case 'chunks':
      return connection.send(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(half)}`,
        `${chunk(body.slice(half.length))}0\r\n\r\n`,
      )
    case 'until-close':
      await connection.send(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      return connection.end()
    case 'after':
      return connection.send(`${whole}others`)
    case 'twice':
      return connection.send(whole + foreign)
    case 'short':
      await connection.send(whole.slice(0, -10))
      return connection.end()
    case 'reset':
      await connection.send(whole.slice(0, -10))
      return connection.reset()
    case 'hints':
      return connection.send(`HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n${whole}`)
    case 'early-close':
      return connection.end()
  }
}

function bodyOf(token: string, size: number): string {
  return token.repeat(Math.ceil(size / token.length)).slice(0, size)
}

/** Answers `/TOKEN/SIZE/WAY` with the token, again and again. */
const misbehaving: OriginScript = async connection => {
  for (;;) {
    const [, token = '', size = '', way = ''] = (await connection.request()).split(' ')[1]?.split('/') ?? []
    await answerBy(WAYS.find(one => one === way) ?? 'length', bodyOf(token, Number(size)), connection)
  }
}

async function connectTls(port: number): Promise<RawClient> {
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const client = new RawClient(socket)
  await once(socket, 'secureConnect')
  return client
}

/** One answer from what a client has got; undefined while it is not complete. */
function readAnswer(text: string): { status: number; body: string } | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = text.slice(0, headEnd + 2)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  if (status === 103) return readAnswer(text.slice(headEnd + 4))
  const rest = text.slice(headEnd + 4)
  const length = /\r\ncontent-length: (\d+)\r\n/.exec(head)?.[1]
  if (length !== undefined) return rest.length < Number(length) ? undefined : { status, body: rest }
  let body = ''
  for (let at = 0; ; ) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(rest.slice(at, line), 16)
    if (size === 0) return rest.slice(line, line + 4) === '\r\n\r\n' ? { status, body } : undefined
    body += rest.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}

/** Reads nothing for so many turns of the event loop. */
async function pauseFor({ socket }: RawClient, turns: number): Promise<void> {
  socket.pause()
  for (let left = turns; left > 0; left--) await turn()
  socket.resume()
}

/** Whether what came, complete or not, has anything in it that is not the client's own: its letter is in nothing else. */
function isForeign(received: string, letter: string): boolean {
  const bodies = received.replaceAll(/HTTP\/1\.1 [\s\S]*?\r\n\r\n/g, '')
  return /[A-Z]|others/.test(bodies.replaceAll(letter, ''))
}

describe.each([
  ['over TLS', 1],
  ['over TLS', 2],
  ['in clear', 3],
])('an origin that does everything wrong, to clients %s (%i)', (how, seed) => {
  it('gives nobody what is meant for another', { timeout: 60_000 }, async () => {
    const origin = await startOrigin(misbehaving)
    const serve = serveHttp(reverseProxy(origin.url, { maxConnections: 6, maxWaiting: 100 }))
    const tls = acceptTls({ certificate: fromPem({ cert: testCertificate, key: testKey }) })
    const secure = stack<Connection>().layer(tls).service(serve)
    listener = await listen('127.0.0.1:0', {}, how === 'over TLS' ? secure : serve)
    const dial = how === 'over TLS' ? connectTls : RawClient.connect
    const { address } = listener
    if (!(address instanceof IpAddress)) throw new Error('no port')
    let complete = 0
    let refused = 0
    const run = async (index: number): Promise<void> => {
      const random = new Random(seed * 1000 + index)
      const letter = String.fromCharCode(65 + index)
      const token = letter.repeat(7)
      let client = await dial(address.port)
      for (let count = 0; count < REQUESTS; count++) {
        const way = random.pick(WAYS)
        // What is longer need not come together with what is too much.
        const sizes = way === 'after' || way === 'twice' ? [7, 700, 5000] : [7, 700, 5000, 70_000, 200_000]
        // Some clients do not read for a while an answer that is more than sockets have room for.
        const slow = sizes.length > 3 && random.below(25) === 0
        const size = slow ? LARGE : random.pick(sizes)
        if (slow) void pauseFor(client, 20 + random.below(200))
        client.received = ''
        client.send(`GET /${token}/${size}/${way} HTTP/1.1\r\nHost: a\r\n\r\n`)
        const over = (): boolean => client.ended || client.failed !== undefined || client.socket.destroyed
        // To look costs as much as has come.
        const may = (): boolean => client.received.length < 2000 || client.received.length >= size
        await client
          .until(() => (may() && readAnswer(client.received) !== undefined) || over())
          .catch(() => undefined)
        const answer = readAnswer(client.received)
        if (answer?.status === 200) {
          complete++
          expect(answer.body === bodyOf(token, size)).toBe(true)
        } else {
          refused++
          if (answer === undefined) expect(isForeign(client.received, letter)).toBe(false)
          else expect(answer.body).toMatch(/^50[234] [\w ]+: [A-Z_]+\n$/)
        }
        if (!over()) continue
        client.socket.destroy()
        client = await dial(address.port)
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_each, index) => run(index)))
    expect(complete + refused).toBe(CLIENTS * REQUESTS)
    expect(complete).toBeGreaterThan(CLIENTS * REQUESTS * 0.5)
    expect(refused).toBeGreaterThan(CLIENTS * REQUESTS * 0.1)
    expect(origin.faults).toEqual([])
  })
})
