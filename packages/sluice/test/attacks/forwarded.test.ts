// What is right although it looks like an attack: it is forwarded as exactly the bytes that the table says, answered, and
// leaves both connections as they must be.
import { afterEach, describe, expect, it } from 'vitest'
import { exchange, stopHttp } from '../support/http.ts'
import { captureLogs } from '../support/logs.ts'
import { startProxy } from '../support/proxy.ts'
import { OK, type OriginScript, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'
import { AFTER, AFTER_FORWARDED, FORWARDED, type Forward, LAST } from './forwarded.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** Answers whatever comes; a HEAD without a body. */
const answeringAll: OriginScript = async connection => {
  for (;;) {
    const request = await connection.request()
    await connection.send(request.startsWith('HEAD ') ? OK.slice(0, -2) : OK)
  }
}

describe.each(FORWARDED)('%s', (_about, forwards) => {
  it.each(named(forwards))('$name', async ({ bytes, expected }) => {
    const origin = await startOrigin(answeringAll)
    const { port } = await startProxy(origin.url)
    const answer = await exchange(port, bytes + AFTER)
    expect(origin.received).toEqual([expected + AFTER_FORWARDED])
    expect(answer.statuses).toEqual([200, 200])
    expect(answer.ended).toBe(true)
    expect(logs).toEqual([])
  })
})

describe('the last request of a connection', () => {
  it.each(named(LAST))('$name', async ({ bytes, expected }) => {
    const origin = await startOrigin(answeringAll)
    const { port } = await startProxy(origin.url)
    const answer = await exchange(port, bytes)
    expect(origin.received).toEqual([expected.replace('ORIGIN', `127.0.0.1:${origin.port}`)])
    expect(answer.statuses).toEqual([200])
    expect(answer.ended).toBe(true)
    expect(logs).toEqual([])
  })
})

/** Cases under their names. */
function named(forwards: readonly Forward[]): { name: string; bytes: string; expected: string }[] {
  return forwards.map(([name, bytes, expected]) => ({ name, bytes, expected }))
}
