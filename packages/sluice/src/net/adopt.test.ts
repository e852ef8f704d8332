import { afterEach, describe, expect, it } from 'vitest'
import { closed, closeSockets, pair, read } from '../../test/support/sockets.ts'
import { adopt, UnixAddress } from './index.ts'

afterEach(closeSockets)

describe('adopt', () => {
  it('makes a connection of a socket that somebody else has accepted', async () => {
    const { connection, peer } = await pair('tcp')
    const { socket } = connection
    const one = adopt(socket)
    expect(String(one.peer)).toBe(`127.0.0.1:${socket.remotePort}`)
    expect(String(one.local)).toBe(`127.0.0.1:${socket.localPort}`)
    expect([one.draining.aborted, one.aborted.aborted]).toEqual([false, false])
    const other = adopt(connection.socket, { draining: AbortSignal.abort() })
    expect(Number(other.id)).toBe(Number(one.id) + 1)
    expect(other.draining.aborted).toBe(true)
    const seen = read(peer)
    one.reset()
    await seen.over
    expect(seen.error).toBe('ECONNRESET')
  })

  it('knows that the other end of a unix socket has no name', async () => {
    const { connection } = await pair('unix')
    expect(adopt(connection.socket).peer).toEqual(new UnixAddress(''))
  })

  it('is reset as the options say', async () => {
    const { connection } = await pair('tcp')
    let reset = 0
    adopt(connection.socket, { reset: () => reset++ }).reset()
    expect([reset, connection.socket.destroyed]).toEqual([1, false])
  })

  it('refuses a socket that is gone, and with it its addresses', async () => {
    const { connection } = await pair('tcp')
    connection.socket.destroy()
    await closed(connection.socket)
    expect(() => adopt(connection.socket)).toThrow(expect.objectContaining({ code: 'DOWNSTREAM_RESET' }))
  })
})
