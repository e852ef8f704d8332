// Bytes of bodies that are written over as soon as they have been written, to TLS sockets and others, whose peers read as
// fast as they like: everybody gets his own.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { testCertificate, testKey } from '../../../test/support/test-certificate.ts'
import { Outbox } from './outbox.ts'

const open: { destroy?: () => void; close?: () => void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) {
    one.destroy?.()
    one.close?.()
  }
})

async function listen(
  server: Server,
  event: string,
): Promise<() => Promise<[writing: Socket, reading: Socket]>> {
  open.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return async () => {
    const accepted = new Promise<Socket>(resolve => server.once(event, resolve))
    const reading =
      event === 'connection'
        ? connect(port, '127.0.0.1')
        : connectTls({ port, host: '127.0.0.1', ca: testCertificate, checkServerIdentity: () => undefined })
    const writing = await accepted
    open.push(reading, writing)
    return [writing, reading]
  }
}

const sizes = fc.oneof(fc.nat({ max: 5000 }), fc.nat({ max: 200_000 }))
const writes = fc.record({
  text: fc.constantFrom('', 'head'),
  before: fc.constantFrom('', 'before'),
  after: fc.constantFrom('', 'after'),
  size: sizes,
  lent: fc.boolean(),
  flush: fc.boolean(),
  waits: fc.boolean(),
})

describe.each(['connection', 'secureConnection'])('bytes to a socket of a server (%s)', event => {
  it('arrive as they were, in their order', async () => {
    const pair = await listen(
      event === 'connection' ? createServer() : createTlsServer({ cert: testCertificate, key: testKey }),
      event,
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat({ max: 2 }), writes), { maxLength: 12 }), async plan => {
        const pairs = [await pair(), await pair(), await pair()]
        const outs = pairs.map(([writing]) => new Outbox(writing))
        const expected: Buffer[][] = [[], [], []]
        const lent = Buffer.alloc(200_000)
        let count = 0
        for (const [which, write] of plan) {
          const out = outs[which] as Outbox
          const { text, before, after, size, flush, waits } = write
          const bytes = lent.subarray(0, size).fill(++count)
          expected[which]?.push(Buffer.from(text + before), Buffer.from(bytes), Buffer.from(after))
          if (text !== '') out.write(text)
          if (write.lent) out.writeBytes(before, bytes, after, true)
          else out.writeBytes(before, Buffer.from(bytes), after, false)
          lent.fill(0xff)
          if (flush) out.flush()
          if (waits) await turn()
        }
        const received = pairs.map(async ([writing, reading], which) => {
          outs[which]?.direct().end()
          const chunks: Buffer[] = []
          for await (const chunk of reading) chunks.push(chunk as Buffer)
          writing.destroy()
          return Buffer.concat(chunks)
        })
        for (const [which, bytes] of (await Promise.all(received)).entries()) {
          expect(bytes.equals(Buffer.concat(expected[which] ?? []))).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })
})
