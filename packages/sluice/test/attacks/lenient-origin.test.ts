// Origins that would be fooled by all of this, and can't be behind the proxy: they believe in exactly the requests that
// the proxy has forwarded.
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, stopHttp } from '../support/http.ts'
import { type Believed, believe, LENIENCIES, startLenientOrigin } from '../support/lenient-origin.ts'
import { captureLogs } from '../support/logs.ts'
import { ownRequests } from '../support/own-codec.ts'
import { startProxy } from '../support/proxy.ts'
import { closeSockets } from '../support/sockets.ts'
import { AFTER, AFTER_FORWARDED, FORWARDED } from './forwarded.ts'
import { BODIES, FIELDS, FRAMING, HOSTS, LIMITS, LINES, SMUGGLED, TARGETS } from './refused.ts'

captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

const attacks = [LINES, TARGETS, FIELDS, HOSTS, FRAMING, BODIES, LIMITS].flat()
const limits = { bodyLimit: 200_000 }

function seen(requests: readonly Pick<Believed, 'method' | 'target' | 'body'>[]): string[] {
  return requests.map(({ method, target, body }) => `${method} ${target} ${body}`)
}

describe.each(LENIENCIES)('an origin that prefers $prefers, and of several lengths the $length', leniency => {
  it('believes in most attacks when it is asked straight, and in what is smuggled behind them', () => {
    let fooled = 0
    let smuggled = 0
    for (const [, bytes] of attacks) {
      const { believed } = believe(bytes + SMUGGLED, leniency)
      if (believed.length > 0) fooled++
      if (believed.some(({ target }) => target === '/smuggled')) smuggled++
    }
    expect(fooled).toBeGreaterThan(attacks.length * 0.7)
    expect(smuggled).toBeGreaterThan(attacks.length * 0.5)
  })

  it('believes in none of them behind the proxy', async () => {
    const origin = await startLenientOrigin(leniency)
    const { port } = await startProxy(origin.url, {}, limits)
    for (const [name, bytes, status] of attacks) {
      const answer = await exchange(port, bytes + SMUGGLED)
      expect(answer.statuses, name).toEqual([status])
      expect(seen(origin.believed), name).toEqual([])
    }
    await exchange(port, AFTER)
    expect(seen(origin.believed)).toEqual(['GET /after '])
  })

  it.each(FORWARDED)('reads what is forwarded as a strict reader does: %s', async (_about, forwards) => {
    for (const [name, bytes, expected] of forwards) {
      const origin = await startLenientOrigin(leniency)
      const { port } = await startProxy(origin.url)
      const answer = await exchange(port, bytes + AFTER)
      expect(answer.statuses, name).toEqual([200, 200])
      const strict = ownRequests([Buffer.from(expected + AFTER_FORWARDED, 'latin1')])
      expect(strict.requests.length, name).toBe(2)
      expect(seen(origin.believed), name).toEqual(seen(strict.requests))
      await stopHttp()
      await closeSockets()
    }
  })
})
