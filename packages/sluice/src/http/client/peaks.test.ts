// What a pool does when many requests come at once, and with the connections that it has afterwards.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { perClient } from '../../../test/support/proxy.ts'
import { answering, OK, startOrigin } from '../../../test/support/raw-origin.ts'
import { until } from '../../../test/support/sockets.ts'
import type { Connection } from '../../net/index.ts'
import { type ReverseProxyOptions, reverseProxy } from '../../proxy/index.ts'

testsInHeldTime()

type Origin = Awaited<ReturnType<typeof startOrigin>>

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Clients of a proxy whose requests reach it in the same turn of the event loop, once `go` is called. */
async function startClients(url: string, count: number, options: ReverseProxyOptions<Connection> = {}) {
  const proxy = reverseProxy(url, options)
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
    /** Asks by all clients at once, or by some of them. */
    askTogether: async (some = clients) => {
      together = true
      for (const client of some) client.send(GET)
      await until(() => waiting.length === some.length)
      together = false
      for (const go of waiting.splice(0)) go()
    },
    answered: (some = clients) => until(() => some.every(client => client.received.endsWith('ok'))),
    clients,
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
    const clients = await startClients(origin.url, 200)
    await clients.askTogether()
    await clients.answered()
    expect(origin.connections.length).toBeLessThan(150)
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
    const clients = await startClients(origin.url, 50)
    await clients.askTogether()
    await until(() => origin.received.filter(text => text.endsWith('\r\n\r\n')).length === 50)
    answer()
    await clients.answered()
  })

  it('leaves connections that are kept for the next one, by using each now and then', async () => {
    const origin = await startOrigin(answering(OK))
    const clients = await startClients(origin.url, 3)
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
    const clients = await startClients(origin.url, 3)
    await clients.askTogether()
    await clients.answered()
    await asking(5, async () => {})
    await until(() => open(origin) === 0)
  })

  it('refuses nobody whom a connection can be made for, where each client has its own', async () => {
    const origin = await startOrigin(() => undefined)
    const { askTogether, clients } = await startClients(origin.url.replace('http:', 'h2c:'), 20, {
      connect: perClient,
      maxWaiting: 0,
    })
    await askTogether()
    await until(() => origin.connections.length === 20)
    expect(clients.flatMap(client => client.statuses)).toEqual([])
  })

  it('refuses nobody who can have the place of a connection that another client has left idle', async () => {
    const origin = await startOrigin(answering(OK))
    const { askTogether, answered, clients } = await startClients(origin.url, 20, {
      connect: perClient,
      maxConnections: 10,
      maxWaiting: 0,
    })
    const [former, latter] = [clients.slice(0, 10), clients.slice(10)]
    await askTogether(former)
    await answered(former)
    await askTogether(latter)
    await until(() => latter.every(client => client.statuses.length === 1))
    expect(latter.flatMap(client => client.statuses)).toEqual(latter.map(() => 200))
  })
})
