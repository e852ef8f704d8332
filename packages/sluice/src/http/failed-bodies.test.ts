// Bodies of requests that have failed before anybody reads them, over HTTP/1.1 and HTTP/2.
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../test/support/http.ts'
import { block, FrameClient, headers, POST, rstStream } from '../../test/support/http2-frames.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { closeSockets, until } from '../../test/support/sockets.ts'
import { type Body, type BodySink, text } from './index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** Has the client take a request back, and hands on its body then. */
async function afterReset(version: string, use: (body: Body) => void): Promise<void> {
  let used = false
  let asked = false
  const { port } = await startHttp(async ({ body, signal }) => {
    asked = true
    await until(() => signal.aborted)
    use(body)
    await undefined
    used = true
    return text('nobody hears this')
  })
  if (version === 'HTTP/2') {
    const client = await FrameClient.connect(port)
    client.send(headers(1, block(...POST), 0))
    await until(() => asked)
    client.send(rstStream(1))
  } else {
    const client = await RawClient.connect(port)
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    await until(() => asked)
    client.socket.resetAndDestroy()
  }
  await until(() => used)
}

const sink = (fail: () => void): BodySink => ({ data: () => undefined, end: () => undefined, fail })

describe.each(['HTTP/1.1', 'HTTP/2'])('the body of a request over %s that was taken back', version => {
  it('fails for its reader', async () => {
    let failures = 0
    await afterReset(version, body => void body.pipe(sink(() => failures++)))
    expect(failures).toBe(1)
  })

  it('is silent once its reader has cancelled it', async () => {
    let failures = 0
    await afterReset(version, body => body.pipe(sink(() => failures++)).cancel())
    expect(failures).toBe(0)
  })

  it('does not bring down the process by a reader that fails when it is told', async () => {
    await afterReset(version, body => {
      body.pipe(
        sink(() => {
          throw new Error('the reader fails')
        }),
      )
    })
    expect(logs.map(({ msg }) => msg)).toEqual(['the reader of a body failed when it was told of a failure'])
  })
})
