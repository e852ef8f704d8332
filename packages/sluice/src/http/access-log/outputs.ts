// Where the lines of an access log can go: a descriptor of the process, or whatever has a `write`.
import { constants, fstatSync, openSync, type Stats, write, writeSync } from 'node:fs'
import type { LineOutput, Written } from './line-batch.ts'

/** Takes lines: a stream of Node.js, or an object of one's own. */
export interface AccessLogDestination {
  /**
   * Takes whole lines, each with its line end. If it returns `false` and is a stream, it gets more after its `'drain'`; if it
   * returns a promise, after that has settled.
   */
  write(lines: string): unknown
}

const DONE: Written = {}

/** After a failure, and while a pipe or a terminal is full, in milliseconds. */
const FAILED_RETRY = 1000
const BUSY_RETRY = 20

/** For a pipe that is full when the process exits, in milliseconds. */
const PATIENCE = 1000

/** Standard output or standard error. */
export function descriptorOutput(descriptor: 1 | 2): LineOutput {
  let output: LineOutput | undefined
  return {
    write(lines, done) {
      output ??= open(descriptor)
      output.write(lines, done)
    },
    writeLast(lines) {
      output ??= open(descriptor)
      return output.writeLast(lines)
    },
  }
}

/**
 * Whoever writes to a pipe, a socket, or a terminal that somebody has stopped with Ctrl-S, waits while it is full. The thread
 * pool could do the waiting, but at its exit Node waits for the pool (22 to 26): a process whose log nobody reads would
 * never end. So these are written to without waiting. A file is never full in that sense.
 */
function open(descriptor: 1 | 2): LineOutput {
  const stat = statOf(descriptor)
  if (stat?.isFile() === true) return pooledOutput(descriptor)
  if (process.platform === 'linux' && (stat?.isFIFO() === true || stat?.isCharacterDevice() === true)) {
    const reopened = reopen(descriptor)
    if (reopened !== undefined) return nonblockingOutput(reopened)
  }
  // Making the stream sets the descriptor to not waiting, in Node and in Bun: what console.log does, too.
  if (descriptor === 1) process.stdout.writable
  else process.stderr.writable
  return nonblockingOutput(descriptor)
}

function statOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor)
  } catch {
    return undefined
  }
}

/** Opened again, the same pipe or terminal has flags of its own: who else uses it keeps theirs. */
function reopen(descriptor: number): number | undefined {
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY
    return openSync(`/proc/self/fd/${descriptor}`, flags)
  } catch {
    return undefined
  }
}

function nonblockingOutput(descriptor: number): LineOutput {
  return {
    write: (lines, done) => done(writeOnce(descriptor, lines)),
    writeLast: lines => writePatiently(descriptor, lines),
  }
}

/** A reader that is slower than this program gets a moment at the end; one that has stopped reading can't keep it. */
function writePatiently(descriptor: number, lines: string): string {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const end = performance.now() + PATIENCE
  for (let rest = lines; ; Atomics.wait(pause, 0, 0, 5)) {
    const written = writeOnce(descriptor, rest)
    rest = written.rest ?? ''
    if (rest === '' || written.error !== undefined || performance.now() > end) return rest
  }
}

function writeOnce(descriptor: number, lines: string): Written {
  try {
    const count = writeSync(descriptor, lines, null, 'latin1')
    return count === lines.length ? DONE : { rest: lines.slice(count), retryIn: BUSY_RETRY }
  } catch (error) {
    return failed(lines, error)
  }
}

/** Files, by the thread pool, one batch at a time: a disk that hangs must not stall the event loop. */
function pooledOutput(descriptor: number): LineOutput {
  return {
    write(lines, done) {
      const bytes = Buffer.from(lines, 'latin1')
      write(descriptor, bytes, 0, bytes.length, null, (error, count) => {
        if (error !== null) done(failed(lines, error))
        else done(count === bytes.length ? DONE : { rest: lines.slice(count) })
      })
    },
    writeLast: lines => writeOnce(descriptor, lines).rest ?? '',
  }
}

function failed(lines: string, error: unknown): Written {
  const isBusy = (error as NodeJS.ErrnoException).code === 'EAGAIN'
  return isBusy ? { rest: lines, retryIn: BUSY_RETRY } : { rest: lines, retryIn: FAILED_RETRY, error }
}

type MaybeStream = AccessLogDestination & Partial<Pick<NodeJS.WritableStream, 'on' | 'writable'>>

/** What it does not take is lost: nobody can tell how much of it was written. */
export function customOutput(destination: AccessLogDestination): LineOutput {
  const stream: MaybeStream = destination
  /** A stream says by an event that it failed, which would end the process if nobody listened. */
  let failure: { error: unknown } | undefined
  let waiting: ((written: Written) => void) | undefined
  const answer = (written: Written): void => {
    const done = waiting
    waiting = undefined
    done?.(written)
  }
  stream.on?.('error', error => {
    if (waiting === undefined) failure = { error }
    answer(lost(error))
  })
  stream.on?.('drain', () => answer(DONE))
  stream.on?.('close', () => answer(lost(undefined)))

  return {
    write(lines, done) {
      // It failed or was closed earlier, and will say nothing any more.
      if (stream.writable === false) {
        done(lost(failure?.error))
        return
      }
      try {
        const result = destination.write(lines)
        if (isThenable(result)) {
          result.then(
            () => done(DONE),
            (error: unknown) => done(lost(error)),
          )
        } else if (failure !== undefined) {
          // Of lines before these, but which of them were written nobody can tell.
          const { error } = failure
          failure = undefined
          done(lost(error))
        } else if (result === false && stream.on !== undefined) {
          waiting = done
        } else {
          done(DONE)
        }
      } catch (error) {
        done(lost(error))
      }
    },
    writeLast(lines) {
      try {
        destination.write(lines)
        return ''
      } catch {
        return lines
      }
    },
  }
}

function lost(error: unknown): Written {
  return {
    lost: true,
    retryIn: FAILED_RETRY,
    error: error ?? new Error('it is closed'),
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}
