// Clients that bring the server to reset one tunnel after another (CVE-2025-8671, MadeYouReset).
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import { block, FrameClient, fields, GET, headers } from '../../../test/support/http2-frames.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { empty } from '../index.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

describe('a session whose client sends fields into its tunnels', () => {
  it('ends when it has been brought to reset too many', async () => {
    const { port } = await startHttp(() => ({ ...empty(), status: 101, tunnel: () => undefined }))
    const client = await FrameClient.connect(port)
    const open = block(...fields(GET, { ':method': 'CONNECT' }), [':protocol', 'websocket'])
    let stream = 1
    for (; stream < 1200 && !client.isOver; stream += 2) {
      client.send(headers(stream, open, 0))
      await client.until(() => client.isOver || client.answer(stream).statuses.length > 0)
      client.send(headers(stream, block(['x', 'y'])))
    }
    await client.over()
    expect(client.answer(1).reset).toBe('PROTOCOL_ERROR')
    expect(client.goaway).toBe('ENHANCE_YOUR_CALM')
    expect(logs.map(({ code }) => code)).toEqual(['HTTP2_PROTOCOL'])
  })
})
