// What a client's settings do to the table of the fields that it is sent (RFC 7541, section 4.2).
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import { block, FrameClient, GET, HEADERS, headers, settings } from '../../../test/support/http2-frames.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { text } from '../index.ts'

afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

/** SETTINGS_HEADER_TABLE_SIZE. */
const TABLE = 1

/** The block of fields of the answer that follows some settings, the client having all fields in its table before. */
async function blockAfter(...after: readonly Buffer[]): Promise<string> {
  const { port } = await startHttp(() => text('hi'))
  const client = await FrameClient.connect(port, settings())
  for (const stream of [1, 3]) {
    client.send(headers(stream, block(...GET)))
    await client.until(() => client.isDone(stream))
  }
  client.send(...after, headers(5, block(...GET)))
  await client.until(() => client.isDone(5))
  const head = client.frames.find(({ type, stream }) => type === HEADERS && stream === 5)
  return head?.payload.toString('latin1') ?? ''
}

describe('the table of fields that a client has', () => {
  it('stays when its settings say nothing of it', async () => {
    const fields = await blockAfter(settings([3, 10]))
    expect(fields).not.toMatch(/^ /)
    expect(fields).not.toContain('text/plain')
  })

  it.each([
    ['two frames', [settings([TABLE, 0]), settings([TABLE, 4096])]],
    ['one frame', [settings([TABLE, 0], [TABLE, 4096])]],
  ])('is emptied when it was made smaller and larger again in %s', async (_what, after) => {
    const fields = await blockAfter(...after)
    // A size of 0, then of 4096.
    expect(fields.startsWith(' ?\xe1\x1f')).toBe(true)
    expect(fields).toContain('text/plain')
  })
})
