// What services are told about a request besides what it says.
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../test/support/http.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { closeSockets, until } from '../../test/support/sockets.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

describe('whenGone', () => {
  it('calls all that wait, and lets the connection end, when one of them throws', async () => {
    const called: string[] = []
    const { port, listener } = await startHttp(request => {
      request.whenGone(() => {
        called.push('first')
        throw new Error('a fault of the service')
      })
      request.whenGone(() => called.push('second'))
      return new Promise(() => undefined)
    })
    const client = await RawClient.connect(port)
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => listener.counts.serving === 1)
    client.socket.resetAndDestroy()
    await until(() => called.length === 2 && listener.counts.serving === 0)
    expect(logs).toMatchObject([{ level: 'error', msg: 'a callback of whenGone failed' }])
  })
})
