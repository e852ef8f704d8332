// Bodies of upstreams' answers that nobody reads. Time is in the hands of the tests. A file of its own, as sessions to a server
// of Node 22 outlive a test, and would have its clock in the next.
import type { ServerHttp2Stream } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { testsInHeldTime } from '../../../test/support/held-time.ts'
import { RawClient, startHttp } from '../../../test/support/http.ts'
import { pass, startOrigin } from '../../../test/support/timed-origins.ts'
import { reverseProxy } from '../../proxy/index.ts'
import { text } from '../index.ts'

const logs = testsInHeldTime()

describe.each(['http', 'h2c'] as const)('the body of an answer from %s:', scheme => {
  it('is cancelled after a minute when a layer has answered something else and let it be', async () => {
    const over = Promise.withResolvers<void>()
    const url = await startOrigin(scheme, (request, response) => {
      // Over HTTP/2, Node 22 says it of the stream only, and only where the request is read.
      const { stream = response } = response as { stream?: ServerHttp2Stream }
      stream.on('close', () => over.resolve())
      request.resume()
      response.writeHead(500)
      response.write('x'.repeat(1000))
    })
    const proxy = reverseProxy(url)
    const { port } = await startHttp(async request => {
      const { status } = await proxy(request)
      return text(`not ${status}`)
    })
    const client = await RawClient.connect(port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until(() => client.received.endsWith('not 500'))
    await pass(59)
    expect(logs).toEqual([])
    await pass(2)
    await over.promise
    expect(logs.map(line => line.code)).toEqual(['HTTP_BODY_UNREAD'])
  })
})
