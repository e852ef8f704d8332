import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { closeSockets, type Kind, pair, startServer, until } from '../../test/support/sockets.ts'
import { connectTcp } from './connect.ts'
import { parseEndpoint } from './parse-address.ts'
import { relay } from './relay.ts'
import { canShareReads } from './shared-reads.ts'

afterEach(closeSockets)

/** Bytes that differ from one connection to another, and from place to place. */
function pattern(seed: number): Buffer {
  const bytes = Buffer.alloc(1_500_000)
  let state = seed * 7919 + 1
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}

/** Writes in pieces of every size, so that reads end anywhere. */
function send(socket: Socket, bytes: Buffer): void {
  let at = 0
  let size = 1
  const next = (): void => {
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + size)
      size = ((size * 31) % 200_003) + 1
      const goesOn = socket.write(bytes.subarray(at, end))
      at = end
      if (!goesOn) {
        socket.once('drain', next)
        return
      }
    }
    socket.end()
  }
  next()
}

/** Reads to the end, stopping now and then so that what is written to it has to wait. */
async function receive(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of socket) {
    hash.update(chunk as Buffer)
    if ((chunk as Buffer).length % 7 === 0) await new Promise(next => setImmediate(next))
  }
  return hash.digest('hex')
}

describe('reads into a shared buffer', () => {
  it.each<Kind>(['tls', 'tcp', 'unix'])('give each of many %s clients its own bytes', async kind => {
    const seeds = Array.from({ length: 12 }, (_, seed) => seed)
    const outcomes = seeds.map(async seed => {
      const { address } = await startServer('tcp', socket => send(socket, pattern(seed)))
      if (!('port' in address)) throw new Error('not TCP')
      const { connection, peer } = await pair(kind)
      const upstream = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${address.port}`, 'connect') })
      const outcome = relay(connection, upstream)
      peer.end()
      const hash = await receive(peer)
      const { down } = await outcome
      return { hash, down }
    })
    const expected = seeds.map(seed => {
      const bytes = pattern(seed)
      return { hash: createHash('sha256').update(bytes).digest('hex'), down: bytes.length }
    })
    expect(await Promise.all(outcomes)).toEqual(expected)
  })

  it.each<Kind>(['tls', 'tcp', 'unix'])('leave alone what a slow %s client has not taken yet', async kind => {
    const { connection, peer } = await pair(kind)
    const sent = createHash('sha256')
    // Small pieces, each read and handed on by itself, until several of them wait for the client.
    const { address } = await startServer('tcp', async socket => {
      for (let piece = 0; connection.socket.writableLength < 20_000; piece += 1) {
        const bytes = Buffer.alloc(1000 + (piece % 3000), piece % 251)
        sent.update(bytes)
        await new Promise(resolve => socket.write(bytes, resolve))
        await new Promise(next => setImmediate(next))
      }
      socket.end()
    })
    if (!('port' in address)) throw new Error('not TCP')
    peer.pause()
    const upstream = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${address.port}`, 'connect') })
    const outcome = relay(connection, upstream)
    peer.end()
    await until(() => connection.socket.writableLength >= 20_000)
    const received = await receive(peer)
    await outcome
    expect(received).toBe(sent.digest('hex'))
  })

  it('come as data where nobody takes them', async () => {
    const { address } = await startServer('tcp', socket => send(socket, pattern(1)))
    if (!('port' in address)) throw new Error('not TCP')
    const { socket } = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${address.port}`, 'connect') })
    socket.end()
    expect(await receive(socket)).toBe(createHash('sha256').update(pattern(1)).digest('hex'))
  })

  it.runIf(canShareReads)('can not be taken over when something was read already', async () => {
    const { address } = await startServer('tcp', socket => send(socket, pattern(1)))
    if (!('port' in address)) throw new Error('not TCP')
    const connected = await connectTcp()({ to: parseEndpoint(`127.0.0.1:${address.port}`, 'connect') })
    await new Promise<void>(resolve => connected.socket.once('readable', () => resolve()))
    expect(connected.readInto?.(() => true)).toBe(false)
    connected.reset()
  })
})
