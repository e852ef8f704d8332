import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync, createReadStream, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Readable, Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { captureLogs } from '../../../test/support/logs.ts'
import { temporaryFolder } from '../../../test/support/peers.ts'
import type { Written } from './line-batch.ts'
import { customOutput } from './outputs.ts'

captureLogs('silent')
const folder = temporaryFolder()
const running = new Set<ChildProcess>()
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  folder.remove()
})

/** What an output says of one write. */
function written(output: ReturnType<typeof customOutput>, lines: string): Promise<Written> {
  return new Promise(resolve => output.write(lines, resolve))
}

describe('customOutput', () => {
  it('is done when the destination has taken the lines', async () => {
    const taken: string[] = []
    const output = customOutput({ write: lines => void taken.push(lines) })
    expect(await written(output, 'a\n')).toEqual({})
    expect(output.writeLast('b\n')).toBe('')
    expect(taken).toEqual(['a\n', 'b\n'])
  })

  it('waits for a promise, and outlives one that is rejected', async () => {
    const wait = Promise.withResolvers<void>()
    let settled = false
    const output = customOutput({ write: () => wait.promise })
    const first = written(output, 'a\n').finally(() => {
      settled = true
    })
    await turn()
    expect(settled).toBe(false)
    wait.resolve()
    expect(await first).toEqual({})
    const failing = customOutput({ write: async () => Promise.reject(new Error('gone')) })
    expect(await written(failing, 'a\n')).toMatchObject({ lost: true, error: { message: 'gone' } })
  })

  it('outlives one that throws', async () => {
    const output = customOutput({
      write() {
        throw new Error('broken')
      },
    })
    expect(await written(output, 'a\n')).toMatchObject({ lost: true, error: { message: 'broken' } })
    expect(output.writeLast('b\n')).toBe('b\n')
  })

  it('waits for a stream to drain', async () => {
    const taken: string[] = []
    let take: (() => void) | undefined
    const stream = new Writable({
      highWaterMark: 1,
      write(chunk, _encoding, done) {
        taken.push(String(chunk))
        take = done
      },
    })
    const output = customOutput(stream)
    let done = false
    const first = written(output, 'a\n').then(() => {
      done = true
    })
    await turn()
    expect(done).toBe(false)
    take?.()
    await first
    expect(taken).toEqual(['a\n'])
  })

  it('outlives a stream that fails, at once or later', async () => {
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        setImmediate(done, new Error('disk full'))
      },
    })
    const output = customOutput(stream)
    // It takes the lines, and fails afterwards.
    expect(await written(output, 'a\n')).toEqual({})
    await once(stream, 'error')
    for (const lines of ['b\n', 'c\n']) {
      expect(await written(output, lines)).toMatchObject({ lost: true, error: { message: 'disk full' } })
    }

    // One of one's own that looks like a stream, and recovers.
    const events = new EventEmitter()
    const own = customOutput(Object.assign(events, { write: () => true }))
    events.emit('error', new Error('gone'))
    expect(await written(own, 'a\n')).toMatchObject({ lost: true, error: { message: 'gone' } })
    expect(await written(own, 'b\n')).toEqual({})

    const closed = new Writable({ write: (_chunk, _encoding, done) => done() })
    closed.destroy()
    expect(await written(customOutput(closed), 'a\n')).toMatchObject({ error: { message: 'it is closed' } })

    const busy = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        setImmediate(done, new Error('broken pipe'))
      },
    })
    expect(await written(customOutput(busy), 'a\n')).toMatchObject({
      lost: true,
      error: { message: 'broken pipe' },
    })
  })
})

const source = (file: string) => JSON.stringify(fileURLToPath(new URL(file, import.meta.url)))
const PRELUDE = `
import { LineBatch } from ${source('./line-batch.ts')}
import { descriptorOutput } from ${source('./outputs.ts')}
const batch = new LineBatch(descriptorOutput(1))
`

type Kind = 'socket' | 'pipe' | 'file'

interface Program {
  readonly child: ChildProcess
  /** Begins to read its standard output; settled at its end, with all of it. */
  output(look?: (text: string) => void): Promise<string>
  /** Its exit code, and the log lines that it wrote to standard error. */
  ended(): Promise<{ code: number | null; logs: Record<string, unknown>[] }>
}

/** Runs a program that writes lines to its standard output. */
function run(kind: Kind, code: string): Program {
  const args = process.versions.bun === undefined ? ['--input-type=module', '-e'] : ['-e']
  const path = join(folder.path, String(running.size))
  if (kind === 'pipe') execFileSync('mkfifo', [path])
  // What `spawn` calls a pipe is a socket. Opened for both, a pipe needs nobody at its other end.
  const stdout = kind === 'socket' ? 'pipe' : openSync(path, kind === 'file' ? 'w' : 'r+')
  const child = spawn(process.execPath, [...args, PRELUDE + code], {
    stdio: ['pipe', stdout, 'pipe'],
    env: { ...process.env, SLUICE_LOG: 'warn' },
  })
  running.add(child)
  const exit = once(child, 'exit')
  let errors = ''
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const said = once(child.stderr as Readable, 'end')
  return {
    child,
    async output(look) {
      if (kind === 'file') {
        await exit
        return readFileSync(path, 'utf8')
      }
      const stream = kind === 'socket' ? (child.stdout as Readable) : createReadStream(path)
      if (typeof stdout === 'number') stream.once('open', () => closeSync(stdout))
      let text = ''
      for await (const chunk of stream) {
        text += chunk
        look?.(text)
      }
      return text
    },
    async ended() {
      const [code] = await exit
      await said
      return {
        code,
        logs: errors.split('\n').flatMap(line => (line.startsWith('{') ? [JSON.parse(line)] : [])),
      }
    },
  }
}

const numbered = (count: number): string =>
  Array.from({ length: count }, (_, number) => `line ${number}\n`).join('')

/** What the thread pool has in its hands when the process exits can come after what is written then. */
function inOrder(text: string): string {
  const numberOf = (line: string): number => Number(line.slice('line '.length))
  const lines = text.split('\n').filter(Boolean)
  return `${lines.sort((one, other) => numberOf(one) - numberOf(other)).join('\n')}\n`
}

describe.each<Kind>(['socket', 'pipe', 'file'])('descriptorOutput to a %s', kind => {
  it.each(['', 'process.exit()', 'setImmediate(() => process.exit())'])(
    'loses no line when the process ends, by %j',
    async end => {
      // More than a pipe holds.
      const program = run(
        kind,
        `for (let number = 0; number < 30_000; number++) batch.add(\`line \${number}\\n\`)\n${end}`,
      )
      const text = await program.output()
      expect(kind === 'file' ? inOrder(text) : text).toBe(numbered(30_000))
      expect(await program.ended()).toEqual({ code: 0, logs: [] })
    },
  )
})

describe.each<Kind>(['socket', 'pipe'])('descriptorOutput to a %s', kind => {
  it('neither stalls nor keeps a process whose output nobody reads', async () => {
    // A turn is waited for after each batch: if one of them blocked, the program would never end.
    const program = run(
      kind,
      `
      import { setImmediate as turn } from 'node:timers/promises'
      for (let round = 0; round < 40; round++) {
        for (let number = 0; number < 100; number++) batch.add('x'.repeat(999) + '\\n')
        await turn()
      }
      `,
    )
    const { code, logs } = await program.ended()
    expect(code).toBe(0)
    expect(logs).toMatchObject([
      { level: 'warn', msg: expect.stringContaining("the access log can't be written") },
      { level: 'warn', msg: 'lines of the access log are lost', dropped: expect.any(Number) },
    ])
  })

  it('goes on when it is read again, with whole lines', async () => {
    const program = run(
      kind,
      `
      for (let number = 0; number < 60_000; number++) batch.add(\`line \${number}\\n\`)
      await new Promise(resolve => setImmediate(resolve))
      console.error(JSON.stringify({ full: true }))
      // Told when all has come: nothing of it is left for the exit.
      process.stdin.resume()
      await new Promise(resolve => process.stdin.once('end', resolve))
      `,
    )
    // Some of it waits by then: 700 KB are more than the system takes.
    await once(program.child.stderr as Readable, 'data')
    const text = await program.output(sofar => {
      if (sofar.endsWith('line 59999\n')) program.child.stdin?.end()
    })
    expect(text).toBe(numbered(60_000))
    expect(await program.ended()).toEqual({ code: 0, logs: [{ full: true }] })
  })
})

describe('descriptorOutput', () => {
  it('outlives a reader that has gone, and says so', async () => {
    const program = run(
      'socket',
      `
      import { setTimeout as wait } from 'node:timers/promises'
      for (let round = 0; round < 20; round++) {
        batch.add('x\\n')
        await wait(10)
      }
      `,
    )
    program.child.stdout?.destroy()
    const { code, logs } = await program.ended()
    expect(code).toBe(0)
    expect(logs[0]).toMatchObject({
      code: 'EPIPE',
      msg: expect.stringContaining("the access log can't be written"),
    })
  })
})
