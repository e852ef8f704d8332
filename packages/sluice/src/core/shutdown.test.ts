import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Shutdown, type ShutdownOutcome } from './shutdown.ts'

describe('Shutdown', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** The outcome so far, after everything that is due has run. */
  const outcome = async (shutdown: Shutdown, after = 0): Promise<ShutdownOutcome | 'pending'> => {
    let result: ShutdownOutcome | 'pending' = 'pending'
    shutdown.done.then(done => {
      result = done
    })
    await vi.advanceTimersByTimeAsync(after)
    return result
  }

  it('does nothing by itself', async () => {
    const shutdown = new Shutdown()
    expect(await outcome(shutdown, 3_600_000)).toBe('pending')
    expect(shutdown.draining.aborted || shutdown.aborted.aborted).toBe(false)
  })

  it('is done at once when nothing is in flight', async () => {
    const shutdown = new Shutdown()
    expect(await shutdown.drain('test')).toEqual({ reason: 'test', result: 'drained', open: [], duration: 0 })
    expect(shutdown.draining.aborted).toBe(true)
    expect(shutdown.aborted.aborted).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('waits for every hold, and not for one that was let go before', async () => {
    const shutdown = new Shutdown()
    const early = shutdown.hold(() => 'early')
    const one = shutdown.hold(() => 'one')
    const two = shutdown.hold(() => 'two')
    early()
    shutdown.drain()
    one()
    one()
    expect(await outcome(shutdown, 5000)).toBe('pending')
    two()
    expect(await outcome(shutdown)).toEqual({ reason: 'drain', result: 'drained', open: [], duration: 5000 })
  })

  it('waits for a hold that is taken as a reaction to the drain', async () => {
    const shutdown = new Shutdown()
    let release = () => {}
    shutdown.draining.addEventListener('abort', () => {
      release = shutdown.hold(() => 'late')
    })
    shutdown.drain()
    expect(await outcome(shutdown, 10)).toBe('pending')
    release()
    expect(await outcome(shutdown)).toMatchObject({ result: 'drained', duration: 10 })
  })

  it('waits for a hold that takes the place of another', async () => {
    const shutdown = new Shutdown()
    const first = shutdown.hold(() => 'connection')
    shutdown.drain()
    first()
    const second = shutdown.hold(() => 'request')
    expect(await outcome(shutdown, 10)).toBe('pending')
    second()
    expect(await outcome(shutdown)).toMatchObject({ result: 'drained' })
  })

  it('cuts what is open at the limit and says what that was', async () => {
    const shutdown = new Shutdown({ limit: '2s' })
    const release = shutdown.hold(() => '3 connections')
    shutdown.drain('SIGTERM')
    expect(await outcome(shutdown, 1999)).toBe('pending')
    expect(shutdown.aborted.aborted).toBe(false)
    shutdown.aborted.addEventListener('abort', release)
    expect(await outcome(shutdown, 1)).toEqual({
      reason: 'SIGTERM',
      result: 'cut',
      open: ['3 connections'],
      duration: 2000,
    })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not wait for ever for what does not let go even when cut', async () => {
    const shutdown = new Shutdown({ limit: 0 })
    shutdown.hold(() => 'stuck')
    shutdown.abort()
    expect(await outcome(shutdown, 999)).toBe('pending')
    expect(await outcome(shutdown, 1)).toMatchObject({ result: 'cut', open: ['stuck'] })
  })

  it('is drained, not cut, if it is aborted with nothing open', async () => {
    const shutdown = new Shutdown()
    expect(await shutdown.abort('now')).toMatchObject({ reason: 'now', result: 'drained', open: [] })
    expect(shutdown.draining.aborted && shutdown.aborted.aborted).toBe(true)
  })

  it('keeps the first reason, and begins only once', async () => {
    const shutdown = new Shutdown()
    let begun = 0
    shutdown.draining.addEventListener('abort', () => void begun++)
    const release = shutdown.hold(() => 'x')
    shutdown.drain('first')
    shutdown.drain('second')
    shutdown.abort('third')
    release()
    expect(await outcome(shutdown)).toMatchObject({ reason: 'first', result: 'cut' })
    expect(begun).toBe(1)
  })

  it('changes nothing after it is done', async () => {
    const shutdown = new Shutdown()
    const { result } = await shutdown.drain()
    shutdown.hold(() => 'late')
    expect(await shutdown.abort()).toMatchObject({ result })
    expect(shutdown.aborted.aborted).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('cuts the rest if something cannot be described', async () => {
    const shutdown = new Shutdown()
    shutdown.hold(() => {
      throw new Error('x')
    })
    shutdown.hold(() => 'other')
    shutdown.abort()
    expect(shutdown.aborted.aborted).toBe(true)
    expect(await outcome(shutdown, 1000)).toMatchObject({
      open: ['something that could not be described (INTERNAL)', 'other'],
    })
  })

  it('drains when it is disposed of', async () => {
    const shutdown = new Shutdown()
    await shutdown[Symbol.asyncDispose]()
    expect(await outcome(shutdown)).toMatchObject({ reason: 'disposed', result: 'drained' })
  })

  it('may be watched by many without a warning', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => void warnings.push(warning)
    process.on('warning', warned)
    const shutdown = new Shutdown()
    for (let count = 0; count < 100; count++) {
      shutdown.draining.addEventListener('abort', () => {})
      shutdown.aborted.addEventListener('abort', () => {})
    }
    await vi.advanceTimersByTimeAsync(0)
    await new Promise(process.nextTick)
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('refuses a limit that is no duration', () => {
    expect(() => new Shutdown({ limit: 'soon' as '1s' })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    )
  })
})

describe('Shutdown.onSignals', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const signals = ['SIGUSR2'] as const

  it('takes the two signals of one key press as one, and a later one as the second', async () => {
    const steps: string[] = []
    const shutdown = Shutdown.onSignals({ signals, onSignal: (_signal, step) => void steps.push(step) })
    shutdown.hold(() => 'work')
    process.emit('SIGUSR2', 'SIGUSR2')
    await vi.advanceTimersByTimeAsync(49)
    process.emit('SIGUSR2', 'SIGUSR2')
    expect(steps).toEqual(['drain'])
    await vi.advanceTimersByTimeAsync(1)
    process.emit('SIGUSR2', 'SIGUSR2')
    process.emit('SIGUSR2', 'SIGUSR2')
    expect(steps).toEqual(['drain', 'abort'])
    expect(shutdown.aborted.aborted).toBe(true)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await shutdown.done).toMatchObject({ reason: 'SIGUSR2', result: 'cut', open: ['work'] })
  })

  it('leaves the signals to others once it is done', async () => {
    const before = process.listenerCount('SIGUSR2')
    const shutdown = Shutdown.onSignals({ signals })
    expect(process.listenerCount('SIGUSR2')).toBe(before + 1)
    await shutdown.drain()
    expect(process.listenerCount('SIGUSR2')).toBe(before)
  })

  it('aborts on the second signal that a process gets', async () => {
    vi.useRealTimers()
    const child = spawn(process.execPath, [
      '--input-type=module-typescript',
      '-e',
      `
      import { Shutdown } from ${JSON.stringify(new URL('./shutdown.ts', import.meta.url).href)}
      const shutdown = Shutdown.onSignals({ onSignal: (signal, step) => {
        console.log(signal, step)
        // The rest of the time that counts as one key press, without waiting for it.
        const now = performance.now.bind(performance)
        performance.now = () => now() + 50
      } })
      const server = setInterval(() => {}, 1000)
      const release = shutdown.hold(() => 'a request')
      shutdown.aborted.addEventListener('abort', release)
      console.log('ready')
      const { reason, result, open } = await shutdown.done
      console.log(reason, result, open.join())
      clearInterval(server)`,
    ])
    child.stdout.setEncoding('utf8')
    let output = ''
    child.stdout.on('data', (text: string) => {
      output += text
      if (output.endsWith('ready\n')) child.kill('SIGTERM')
      else if (output.endsWith('drain\n')) child.kill('SIGINT')
    })
    const [status] = await once(child, 'close')
    expect(output).toBe('ready\nSIGTERM drain\nSIGINT abort\nSIGTERM cut a request\n')
    expect(status).toBe(0)
  })
})
