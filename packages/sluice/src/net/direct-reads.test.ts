import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readDirectly, stopDirectReads } from './direct-reads.ts'

const open: { destroy?: () => void; close?: () => void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) {
    one.destroy?.()
    one.close?.()
  }
})

/** Two ends of a connection. */
async function pair(): Promise<[reading: Socket, writing: Socket]> {
  const server = createServer({ pauseOnConnect: true })
  open.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
  const { port } = server.address() as { port: number }
  const writing = connect(port, '127.0.0.1')
  const reading = await accepted
  open.push(reading, writing)
  return [reading, writing]
}

describe('readDirectly', () => {
  it('hands over without the event', async () => {
    const [reading, writing] = await pair()
    let events = 0
    const direct = new Promise<string>(resolve => readDirectly(reading, chunk => resolve(chunk.toString())))
    reading.on('data', () => events++)
    reading.resume()
    // What is there when the socket begins to flow comes by the event.
    await new Promise(resolve => setImmediate(resolve))
    writing.write('hello')
    expect(await direct).toBe('hello')
    expect(events).toBe(0)
  })

  it('loses nothing and keeps the order, however it is paused and resumed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.constantFrom('go on', 'pause', 'pause twice'), { minLength: 1, maxLength: 8 }),
        async (sizes, habits) => {
          const [reading, writing] = await pair()
          let received = Buffer.alloc(0)
          let count = 0
          readDirectly(reading, chunk => {
            received = Buffer.concat([received, chunk])
            const habit = habits[count++ % habits.length]
            if (habit === 'go on') return
            reading.pause()
            if (habit === 'pause twice') reading.pause()
            setImmediate(() => reading.resume())
          })
          const ended = new Promise(resolve => reading.once('end', resolve))
          reading.resume()
          const sent = Buffer.concat(sizes.map((size, at) => Buffer.alloc(size, at + 1)))
          let at = 0
          for (const size of sizes) {
            writing.write(sent.subarray(at, at + size))
            at += size
          }
          writing.end()
          await ended
          expect(received.equals(sent)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('stops reading from the peer while it is paused', async () => {
    const [reading, writing] = await pair()
    readDirectly(reading, () => reading.pause())
    reading.resume()
    const block = Buffer.alloc(1024 * 1024)
    let written = 0
    // The kernel's buffers are full at some time.
    while (writing.writableLength < 8 * block.length && written < 200) {
      writing.write(block)
      written++
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(written).toBeLessThan(200)
    expect(reading.readableLength).toBeLessThan(1024 * 1024)
  })

  it('hands the socket back', async () => {
    const [reading, writing] = await pair()
    let direct = ''
    const onData = (chunk: Buffer): void => {
      direct += chunk.toString()
      reading.pause()
      stopDirectReads(reading, onData)
      reading.unshift(Buffer.from('put back, '))
    }
    readDirectly(reading, onData)
    reading.resume()
    writing.write('first')
    await new Promise(resolve => reading.once('pause', resolve))
    let rest = ''
    reading.on('data', chunk => {
      rest += chunk.toString()
    })
    reading.resume()
    writing.end('second')
    await new Promise(resolve => reading.once('end', resolve))
    expect(direct).toBe('first')
    expect(rest).toBe('put back, second')
    expect(Object.hasOwn(reading, 'push')).toBe(false)
  })
})

describe('readDirectly of a socket that others read', () => {
  it('leaves them all that comes', async () => {
    const [reading, writing] = await pair()
    let tapped = ''
    let own = ''
    reading.on('data', chunk => {
      tapped += chunk.toString()
    })
    readDirectly(reading, chunk => {
      own += chunk.toString()
    })
    reading.resume()
    writing.write('one,')
    await new Promise<void>(resolve => reading.once('data', () => resolve()))
    writing.end('two')
    await new Promise(resolve => reading.once('end', resolve))
    expect([tapped, own]).toEqual(['one,two', 'one,two'])
  })

  it('leaves an override of theirs in place', async () => {
    const [reading] = await pair()
    const theirs = (): boolean => true
    Object.assign(reading, { push: theirs })
    const onData = (): void => undefined
    readDirectly(reading, onData)
    stopDirectReads(reading, onData)
    expect((reading as { push: unknown }).push).toBe(theirs)
  })
})
