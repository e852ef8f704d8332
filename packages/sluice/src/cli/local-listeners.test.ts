import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { closeSockets, keep } from '../../test/support/sockets.ts'
import { Shutdown } from '../core/index.ts'
import { type Connection, IpAddress, NamedAddress, parseEndpoint } from '../net/index.ts'
import { isLocalhost, listenAt, withOption } from './local-listeners.ts'

const shutdowns: Shutdown[] = []
afterEach(async () => {
  await closeSockets()
  await Promise.all(shutdowns.splice(0).map(shutdown => shutdown.abort()))
})

function options(): { shutdown: Shutdown } {
  const shutdown = new Shutdown()
  shutdowns.push(shutdown)
  return { shutdown }
}

const greet = ({ socket }: Connection): void => void socket.end('hello')

/** What somebody gets who connects, or the code of why that failed. */
async function ask(host: string, port: number): Promise<string> {
  const socket = keep(connect({ host, port }))
  let text = ''
  socket.on('data', data => {
    text += String(data)
  })
  return new Promise(resolve => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    socket.on('end', () => resolve(text))
  })
}

describe('listenAt', () => {
  it.each(['localhost', 'app.localhost'])(
    'listens for %s on the loopback addresses of both families',
    async name => {
      const address = await listenAt(new NamedAddress(name, 0), options(), greet)
      expect(String(address)).toMatch(new RegExp(`^${name}:[1-9]\\d*$`))
      const port = (address as NamedAddress).port
      expect(await ask('127.0.0.1', port)).toBe('hello')
      expect(await ask('::1', port)).toBe('hello')
    },
  )

  it.each(['127.0.0.1', '::1'])(
    'fails if another program has %s, which clients might be sent to',
    async host => {
      const other = createServer().listen(0, host)
      await once(other, 'listening')
      const { port } = other.address() as { port: number }
      const failure = listenAt(new NamedAddress('localhost', port), options(), greet)
      await expect(failure).rejects.toMatchObject({
        code: 'LISTEN_ADDRESS_IN_USE',
        message: expect.stringContaining(`${port} is in use`),
      })
      other.close()
    },
  )

  it('listens on an address alone where that is told', async () => {
    const address = await listenAt(new IpAddress('ipv4', '127.0.0.1', 0), options(), greet)
    const port = (address as IpAddress).port
    expect(await ask('127.0.0.1', port)).toBe('hello')
    expect(await ask('::1', port)).toBe('ECONNREFUSED')
  })
})

describe('isLocalhost', () => {
  it.each([
    ['localhost:1', true],
    ['LOCALHOST:1', true],
    ['localhost.:1', true],
    ['app.localhost:1', true],
    ['notlocalhost:1', false],
    ['localhost.example:1', false],
    ['127.0.0.1:1', false],
    ['unix:/localhost', false],
  ])('says of %s: %s', (text, is) => {
    expect(isLocalhost(parseEndpoint(text, 'listen'))).toBe(is)
  })
})

describe('withOption', () => {
  it('leaves alone what is no address in use', () => {
    const error = new Error('other')
    expect(withOption(error, '--from', new NamedAddress('localhost', 1))).toBe(error)
  })
})
