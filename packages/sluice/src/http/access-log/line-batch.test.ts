import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { captureLogs } from '../../../test/support/logs.ts'
import { LineBatch, type LineOutput, type Written } from './line-batch.ts'

const logs = captureLogs()
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
  logs.length = 0
})

/** Keeps what it is given, and says when told what became of it. */
class ManualOutput implements LineOutput {
  readonly written: string[] = []
  readonly last: string[] = []
  #done: ((written: Written) => void) | undefined

  write(lines: string, done: (written: Written) => void): void {
    this.written.push(lines)
    this.#done = done
  }

  writeLast(lines: string): string {
    this.last.push(lines)
    return lines.includes('c') ? lines : ''
  }

  done(written: Written = {}): void {
    const done = this.#done
    this.#done = undefined
    if (done === undefined) throw new Error('nothing is being written')
    done(written)
  }
}

const line = (name: string, length = 10): string => `${name.padEnd(length - 1, '.')}\n`
const MEGABYTE = 1024 * 1024

describe('LineBatch', () => {
  it('writes at the end of the turn what came in it', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('a\n')
    batch.add('b\n')
    expect(output.written).toEqual([])
    await turn()
    expect(output.written).toEqual(['a\nb\n'])
  })

  it('writes together what comes within 20 ms of the last batch', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('a\n')
    await turn()
    batch.add('b\n')
    vi.advanceTimersByTime(10)
    output.done()
    batch.add('c\n')
    await turn()
    vi.advanceTimersByTime(9)
    expect(output.written).toEqual(['a\n'])
    vi.advanceTimersByTime(1)
    expect(output.written).toEqual(['a\n', 'b\nc\n'])
    output.done()
    vi.advanceTimersByTime(20)
    batch.add('d\n')
    await turn()
    expect(output.written[2]).toBe('d\n')
  })

  it('does not wait with a batch that is long enough', () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    for (let count = 0; count < 20; count++) batch.add(line('a', 1000))
    expect(output.written).toEqual([line('a', 1000).repeat(17)])
  })

  it('writes one batch after the other, and all that came meanwhile together', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('a\n')
    await turn()
    for (const each of ['b\n', 'c\n', line('d', 20_000)]) {
      batch.add(each)
      await turn()
    }
    expect(output.written).toEqual(['a\n'])
    output.done()
    expect(output.written).toEqual(['a\n', `b\nc\n${line('d', 20_000)}`])
    output.done()
    batch.add('e\n')
    vi.advanceTimersByTime(20)
    expect(output.written[2]).toBe('e\n')
  })

  it('goes on with what was not taken, after the time that it is told', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('abc\n')
    await turn()
    batch.add('def\n')
    output.done({ rest: 'c\n' })
    expect(output.written).toEqual(['abc\n', 'c\ndef\n'])
    output.done({ rest: 'f\n', retryIn: 20 })
    batch.add('g\n')
    await turn()
    vi.advanceTimersByTime(19)
    expect(output.written).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(output.written[2]).toBe('f\ng\n')
    expect(logs).toEqual([])
  })

  it('keeps 1 MB for a destination that takes nothing; drops the rest, and says so once, with the number', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('first\n')
    await turn()
    for (let count = 0; count < 1029; count++) batch.add(line('x', 1024))
    expect(logs).toMatchObject([
      { level: 'warn', target: 'access-log', msg: /^the access log can't be written/ },
    ])
    output.done()
    expect(output.written[1]).toHaveLength(MEGABYTE)
    expect(logs).toMatchObject([
      {},
      { level: 'warn', msg: 'the access log can be written again', dropped: 5 },
    ])
    output.done()
    batch.add('again\n')
    vi.advanceTimersByTime(20)
    expect(output.written[2]).toBe('again\n')
    expect(logs).toHaveLength(2)
  })

  it('says why a destination failed, counts what it lost, and does not say the same each time', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    const error = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    batch.add('a\nb\n')
    await turn()
    output.done({ lost: true, error, retryIn: 1000 })
    expect(logs).toMatchObject([{ level: 'warn', code: 'ENOSPC', cause: { message: 'no space' } }])
    batch.add('c\n')
    vi.advanceTimersByTime(1000)
    output.done({ lost: true, error, retryIn: 1000 })
    batch.add('d\n')
    vi.advanceTimersByTime(1000)
    expect(output.written).toEqual(['a\nb\n', 'c\n', 'd\n'])
    output.done()
    expect(logs).toMatchObject([{}, { dropped: 3 }])

    // Within a minute it is quiet, whatever happens; what is lost then is told the next time.
    batch.add('e\n')
    vi.advanceTimersByTime(20)
    output.done({ lost: true, error, retryIn: 1000 })
    batch.add('f\n')
    vi.advanceTimersByTime(1000)
    output.done()
    expect(logs).toHaveLength(2)
    vi.advanceTimersByTime(60_000)
    batch.add('g\n')
    await turn()
    output.done({ lost: true, error, retryIn: 1000 })
    batch.add('h\n')
    vi.advanceTimersByTime(1000)
    output.done()
    expect(logs.slice(2)).toMatchObject([{ code: 'ENOSPC' }, { dropped: 2 }])
  })

  it('writes what is left when the process exits, and nothing that was written', async () => {
    const output = new ManualOutput()
    const batch = new LineBatch(output)
    batch.add('a\n')
    await turn()
    batch.add('b\n')
    const stuck = new ManualOutput()
    const waiting = new LineBatch(stuck)
    waiting.add('c\n')
    await turn()
    stuck.done({ rest: 'c\n', retryIn: 20 })
    const idle = new ManualOutput()
    const empty = new LineBatch(idle)
    empty.add('d\n')
    await turn()
    idle.done()

    for (const listener of process.listeners('exit').filter(one => String(one).includes('flushLast'))) {
      listener(0)
    }
    expect([output.last, stuck.last, idle.last]).toEqual([['b\n'], ['c\n'], []])
    expect(logs).toMatchObject([{ level: 'warn', msg: 'lines of the access log are lost', dropped: 1 }])
  })
})
