import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { chromium } from '../../../test/support/captured-hellos.ts'
import { cut, helloMessage, inRecords, other } from '../../../test/support/client-hello.ts'
import { readHead } from '../../net/index.ts'
import { type ClientHello, clientHelloReader, clientHelloWireLimit } from './index.ts'

const limit = clientHelloWireLimit()

/** Both ends of a TCP connection, the accepted one paused. */
async function connected(): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer({ pauseOnConnect: true, noDelay: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [accepted] = (await once(server, 'connection')) as [Socket]
  for (const socket of [client, accepted]) socket.on('error', () => {})
  onTestFinished(() => {
    client.destroy()
    accepted.destroy()
    server.close()
  })
  return { client, accepted }
}

function read(socket: Socket): Promise<ClientHello> {
  return readHead(socket, { timeout: 5000, limit, what: 'a ClientHello' }, clientHelloReader())
}

/** Writes each piece once the one before has left this process, so that they arrive apart more often than not. */
async function send(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) await new Promise<void>(resolve => socket.write(piece, () => resolve()))
}

describe('clientHelloReader on a socket', () => {
  it.each([
    ['at once', [5000]],
    ['in pieces', [1, 4, 700, 3]],
    ['one byte at a time', [1]],
  ])('leaves every byte to TLS: %s', async (_how, sizes) => {
    const { client, accepted } = await connected()
    const bytes = Buffer.concat([chromium.bytes, Buffer.from('early data')])
    const [hello] = await Promise.all([read(accepted), send(client, cut(bytes, sizes))])
    expect(hello.ja4).toBe(chromium.ja4)
    client.end()
    const left: Buffer[] = []
    for await (const chunk of accepted) left.push(chunk as Buffer)
    expect(Buffer.concat(left)).toEqual(bytes)
  })

  it('reads the longest hello in the smallest records that are allowed', async () => {
    const { client, accepted } = await connected()
    const message = helloMessage({ extensions: [other(21, Buffer.alloc(16_384 - 51))] })
    expect(message).toHaveLength(16_384)
    const bytes = inRecords(message, [...Array<number>(4095).fill(1), 16_384])
    const [hello] = await Promise.all([read(accepted), send(client, [bytes])])
    expect(hello.extension(21)).toHaveLength(16_384 - 51)
  })
})
