// What a pool does when many requests come at once, and with the connections that it has afterwards.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { answering, OK, startOrigin } from '../../../test/support/raw-origin.ts'
import { until } from '../../../test/support/sockets.ts'
import { reverseProxy } from '../../proxy/index.ts'

testsInHeldTime()

type Origin = Awaited<ReturnType<typeof startOrigin>>

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Clients of a proxy whose requests reach it in the same turn of the event loop, once `go` is called. */
async function startClients(origin: Origin, count: number) {
  const proxy = reverseProxy(origin.url)
  const waiting: (() => void)[] = []
  let together = false
  const { port } = await startHttp(async request => {
    if (together) await new Promise<void>(resolve => waiting.push(resolve))
    return proxy(request)
  })
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port)))
  const one = clients[0] as RawClient
  return {
    askOnce: () => {
      const before = one.statuses.length
      return one.send(GET).until(() => one.statuses.length > before && one.received.endsWith('ok'))
    },
    /** Asks by all clients at once. */
    askTogether: async () => {
      together = true
      for (const client of clients) client.send(GET)
      await until(() => waiting.length === count)
      together = false
      for (const go of waiting.splice(0)) go()
    },
    answered: () => until(() => clients.every(client => client.received.endsWith('ok'))),
  }
}

/** Lets seconds pass, one after the other, with a request in each. */
async function asking(seconds: number, ask: () => Promise<unknown>): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await ask()
    vi.advanceTimersByTime(1000)
    for (let turns = 0; turns < 10; turns++) await turn()
  }
}

const open = ({ connections }: Origin): number => connections.filter(({ over }) => !over).length

describe('a peak', () => {
  it('makes connections a few at a time, as those that are in use become free', async () => {
    const origin = await startOrigin(answering(OK))
    const clients = await startClients(origin, 200)
    await clients.askTogether()
    await clients.answered()
    expect(origin.connections.length).toBeLessThan(100)
  })

  it('makes one for each request if none becomes free', async () => {
    let answer = (): void => {}
    const asked = new Promise<void>(resolve => {
      answer = resolve
    })
    const origin = await startOrigin(async connection => {
      await connection.head()
      await asked
      await connection.send(OK)
    })
    const clients = await startClients(origin, 50)
    await clients.askTogether()
    await until(() => origin.received.filter(text => text.endsWith('\r\n\r\n')).length === 50)
    answer()
    await clients.answered()
  })

  it('leaves connections that are kept for the next one, by using each now and then', async () => {
    const origin = await startOrigin(answering(OK))
    const clients = await startClients(origin, 3)
    await clients.askTogether()
    await clients.answered()
    const most = origin.connections.length
    expect(most).toBeGreaterThan(1)
    await asking(25, clients.askOnce)
    expect(open(origin)).toBe(most)
    // No peak came in all of a window: one connection is enough.
    await asking(70, clients.askOnce)
    expect(open(origin)).toBe(1)
    expect(origin.connections).toHaveLength(most)
  })

  it('leaves none that are idle for longer than their time when nobody asks', async () => {
    const origin = await startOrigin(answering(OK))
    const clients = await startClients(origin, 3)
    await clients.askTogether()
    await clients.answered()
    await asking(5, async () => {})
    await until(() => open(origin) === 0)
  })
})
