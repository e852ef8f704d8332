// What is waited for while bodies of upstreams' answers come, over HTTP/1.1 and HTTP/2. Time is in the hands of the tests.
import { describe, expect, it } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { until } from '../../../test/support/sockets.ts'
import { pass, startOrigin } from '../../../test/support/timed-origins.ts'
import { reverseProxy } from '../../proxy/index.ts'

const logs = testsInHeldTime()

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
