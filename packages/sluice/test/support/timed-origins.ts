// Origins of Node over HTTP/1.1 and HTTP/2, for tests that have time in their hands (`vi.useFakeTimers`).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { vi } from 'vitest'
import { keep } from './sockets.ts'

/** Lets time pass, and what comes of it: upstreams of HTTP/2 are sent PINGs meanwhile, and answer them. */
export async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    vi.advanceTimersByTime(1000)
    for (let turns = 0; turns < 10; turns++) await turn()
  }
}

/** The URL of an origin; `closeSockets` closes it. */
export async function startOrigin(
  scheme: 'http' | 'h2c',
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server =
    scheme === 'http'
      ? createServer(answer)
      : createHttp2Server((request, response) => answer(request as never, response as never))
  server.on('connection', keep)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  keep(server)
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
}
