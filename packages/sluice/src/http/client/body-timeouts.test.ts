// What is waited for while bodies of upstreams' answers come, over HTTP/1.1 and HTTP/2. Time is in the hands of the tests.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, keep, until } from '../../../test/support/sockets.ts'
import { reverseProxy } from '../../proxy/index.ts'

const logs = captureLogs()
const closers: (() => void)[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closers.splice(0)) close()
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** Lets time pass, and what comes of it: upstreams of HTTP/2 are sent PINGs meanwhile, and answer them. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    vi.advanceTimersByTime(1000)
    for (let turns = 0; turns < 10; turns++) await turn()
  }
}

/** The address of an origin of Node. */
async function startOrigin(
  scheme: 'http' | 'h2c',
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server =
    scheme === 'http'
      ? createServer(answer)
      : createHttp2Server((request, response) => answer(request as never, response as never))
  // On Node 22 a server that is closed leaves them open, and the next test would have the sweep of this one.
  server.on('connection', keep)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe.each(['http', 'h2c'] as const)('the body of an answer from %s:', scheme => {
  it('may be silent for as long as the request is still being sent', async () => {
    let received = ''
    const url = await startOrigin(scheme, (request, response) => {
      response.writeHead(200)
      response.write('begun ')
      request.on('data', chunk => {
        received += chunk
      })
      request.on('end', () => response.end(received))
    })
    const { port } = await startHttp(reverseProxy(url))
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n')
    await client.until(() => client.received.includes('begun '))
    for (let count = 1; count <= 4; count++) {
      await pass(25)
      client.send('x'.repeat(10_000))
      await until(() => received.length === count * 10_000)
    }
    await client.until(() => client.received.endsWith('0\r\n\r\n'))
    expect(client.statuses).toEqual([200])
    expect(logs).toEqual([])
  })
})
