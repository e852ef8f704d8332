import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { closed, closeSockets, keep, read } from '../../test/support/sockets.ts'
import type { Address } from './address.ts'
import { listen } from './listen.ts'
import type { Listener } from './listen-options.ts'

const listeners: Listener[] = []
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-'))
})
afterEach(async () => {
  await Promise.all(listeners.splice(0).map(listener => listener.close(0)))
  await closeSockets()
  rmSync(folder, { recursive: true, force: true })
})

/** A listener that greets and closes. */
async function greet(address: string): Promise<Listener> {
  const listener = await listen(address, {}, ({ socket }) => void socket.end('hello'))
  listeners.push(listener)
  return listener
}

async function greeting(to: Address, host?: string): Promise<string> {
  const options = to.family === 'unix' ? { path: to.path } : { port: to.port, host: host ?? to.host }
  const socket = keep(connect(options))
  const seen = read(socket)
  await seen.over
  await closed(socket)
  return Buffer.concat(seen.chunks).toString()
}

/** What a program leaves that was killed while it listened. */
function leaveSocketFile(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
}

describe('bind', () => {
  it('takes a free port for port 0 and says which', async () => {
    const { address } = await greet('127.0.0.1:0')
    expect(address).toMatchObject({ family: 'ipv4', host: '127.0.0.1' })
    expect(await greeting(address)).toBe('hello')
  })

  it('listens on IPv6', async () => {
    const { address } = await greet('[::1]:0')
    expect(String(address)).toMatch(/^\[::1\]:\d+$/)
    expect(await greeting(address)).toBe('hello')
  })

  it('listens for both families without a host', async () => {
    const { address } = await greet(':0')
    expect(await greeting(address, '127.0.0.1')).toBe('hello')
    expect(await greeting(address, '::1')).toBe('hello')
  })

  it('listens on a name', async () => {
    const { address } = await greet('localhost:0')
    expect(await greeting(address)).toBe('hello')
  })

  it('listens on a unix socket, and removes its file when it closes', async () => {
    const path = join(folder, 'a.sock')
    const listener = await greet(`unix:${path}`)
    expect(String(listener.address)).toBe(`unix:${path}`)
    expect(await greeting(listener.address)).toBe('hello')
    await listener.close()
    expect(existsSync(path)).toBe(false)
  })

  it('replaces a socket file that nobody listens on any more', async () => {
    const path = join(folder, 'stale.sock')
    leaveSocketFile(path)
    expect(existsSync(path)).toBe(true)
    expect(await greeting((await greet(`unix:${path}`)).address)).toBe('hello')
  })

  it('refuses a socket file that a program listens on, and leaves it', async () => {
    const path = join(folder, 'live.sock')
    const live = await greet(`unix:${path}`)
    await expect(greet(`unix:${path}`)).rejects.toMatchObject({
      code: 'LISTEN_ADDRESS_IN_USE',
      message: `unix:${path} is in use by another program; stop that one, or choose another address`,
    })
    expect(await greeting(live.address)).toBe('hello')
  })

  it('never removes a file that is not a socket, nor a link', async () => {
    const path = join(folder, 'precious')
    writeFileSync(path, 'data')
    await expect(greet(`unix:${path}`)).rejects.toMatchObject({
      code: 'LISTEN_ADDRESS_IN_USE',
      message: `unix:${path} is a file that is not a socket; choose another path`,
    })
    expect(readFileSync(path, 'utf8')).toBe('data')
    const stale = join(folder, 'stale.sock')
    leaveSocketFile(stale)
    symlinkSync(stale, join(folder, 'link.sock'))
    await expect(greet(`unix:${join(folder, 'link.sock')}`)).rejects.toMatchObject({
      code: 'LISTEN_ADDRESS_IN_USE',
    })
    expect(existsSync(stale)).toBe(true)
  })

  it('says that an address is in use', async () => {
    const { address } = await greet('127.0.0.1:0')
    await expect(greet(String(address))).rejects.toMatchObject({
      code: 'LISTEN_ADDRESS_IN_USE',
      message: `${address} is in use by another program; stop that one, or choose another address`,
      cause: { code: 'EADDRINUSE' },
    })
  })

  it('shares an address with reusePort', async () => {
    const first = await listen('127.0.0.1:0', { reusePort: true }, ({ socket }) => void socket.end())
    listeners.push(first)
    const second = await listen(String(first.address), { reusePort: true }, ({ socket }) => void socket.end())
    listeners.push(second)
    expect(String(second.address)).toBe(String(first.address))
  })

  it.each([
    ['192.0.2.1:0', 'LISTEN_ADDRESS_UNAVAILABLE', 'is not an address of this machine'],
    ['nobody.invalid:0', 'LISTEN_ADDRESS_UNAVAILABLE', 'has a name that'],
  ])('says why it can not listen on %s', async (address, code, text) => {
    await expect(greet(address)).rejects.toMatchObject({ code, message: expect.stringContaining(text) })
  })

  it('says why a unix socket can not be made', async () => {
    await expect(greet(`unix:${folder}/none/a.sock`)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `unix:${folder}/none/a.sock is in a folder that does not exist; make the folder first`,
    })
    writeFileSync(join(folder, 'file'), '')
    await expect(greet(`unix:${folder}/file/a.sock`)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `unix:${folder}/file/a.sock is below something that is not a folder; choose another path`,
    })
  })

  it.skipIf(process.platform !== 'linux')('says that a place may not be written', async () => {
    // Nobody may make a file there, not even root.
    await expect(greet('unix:/proc/a.sock')).rejects.toMatchObject({
      code: expect.stringMatching(/^LISTEN_(PERMISSION|FAILED)$/),
      message: expect.stringContaining('unix:/proc/a.sock'),
    })
  })
})
