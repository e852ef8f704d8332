// Who the client is: what strangers say about it is never handed on, over no version of HTTP, under no name.
import { once } from 'node:events'
import { connect, type OutgoingHttpHeaders } from 'node:http2'
import { afterEach, describe, expect, it } from 'vitest'
import { stopHttp } from '../support/http.ts'
import { forwarded, startProxy } from '../support/proxy.ts'
import { answering, OK, startOrigin } from '../support/raw-origin.ts'
import { closeSockets } from '../support/sockets.ts'

afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

/** Sends one request over HTTP/2, and waits for the answer. */
async function requestOverHttp2(port: number, fields: OutgoingHttpHeaders): Promise<number> {
  const client = connect(`http://127.0.0.1:${port}`)
  const stream = client.request({ ':path': '/', ':authority': 'a', ...fields })
  const [{ ':status': status }] = await once(stream, 'response')
  client.destroy()
  return status
}

describe('over HTTP/2', () => {
  it('takes off what strangers say about the client, and names with underscores', async () => {
    const origin = await startOrigin(answering(OK))
    const { port } = await startProxy(origin.url)
    const status = await requestOverHttp2(port, {
      'x-forwarded-for': ['10.0.0.1', '10.0.0.2'],
      'x-forwarded-proto': 'https',
      'x-forwarded-prefix': '/admin',
      'x-real-ip': '10.0.0.1',
      forwarded: 'for=10.0.0.1',
      via: '2 me',
      x_forwarded_for: '10.0.0.1',
      remote_user: 'admin',
      'x-other': 'is kept',
    })
    expect(status).toBe(200)
    expect(origin.received).toEqual([forwarded('GET', '/', { fields: 'x-other: is kept\r\n', version: '2' })])
  })
})
