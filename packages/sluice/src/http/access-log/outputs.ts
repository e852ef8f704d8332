// Where the lines of an access log can go: a descriptor of the process, or whatever has a `write`.
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs'
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
      output.writeLast(lines)
    },
  }
}

function open(descriptor: number): LineOutput {
  const nonblocking = reopen(descriptor)
  return nonblocking === undefined ? pooledOutput(descriptor) : nonblockingOutput(nonblocking)
}

/**
 * A pipe, or a terminal that somebody has stopped with Ctrl-S, blocks whoever writes when it is full. A write by the
 * thread pool would not block the event loop, but the exit: Node waits for it, for ever (22 to 26). Opened again, the same
 * pipe has flags of its own, and whoever else uses it keeps theirs. Undefined where this is not possible: for files, which do
 * not need it, for sockets, and on systems other than Linux.
 */
function reopen(descriptor: number): number | undefined {
  try {
    const stat = fstatSync(descriptor)
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return undefined
    if (process.platform !== 'linux') return undefined
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY
    return openSync(`/proc/self/fd/${descriptor}`, flags)
  } catch {
    return undefined
  }
}

function nonblockingOutput(descriptor: number): LineOutput {
  return {
    write: (lines, done) => done(writeOnce(descriptor, lines)),
    writeLast: lines => void writeOnce(descriptor, lines),
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

/** By the thread pool, one batch at a time: a disk that hangs must not stall the event loop. */
function pooledOutput(descriptor: number): LineOutput {
  return {
    write(lines, done) {
      const bytes = Buffer.from(lines, 'latin1')
      write(descriptor, bytes, 0, bytes.length, null, (error, count) => {
        if (error !== null) done(failed(lines, error))
        else done(count === bytes.length ? DONE : { rest: lines.slice(count) })
      })
    },
    writeLast: lines => void writeOnce(descriptor, lines),
  }
}

function failed(lines: string, error: unknown): Written {
  const isBusy = (error as NodeJS.ErrnoException).code === 'EAGAIN'
  return isBusy ? { rest: lines, retryIn: BUSY_RETRY } : { rest: lines, retryIn: FAILED_RETRY, error }
}

type MaybeStream = AccessLogDestination & Partial<Pick<NodeJS.WritableStream, 'on'>>

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
  stream.on?.('close', () => answer(lost(new Error('the destination of the access log is closed'))))

  return {
    write(lines, done) {
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
      } catch {
        // There is nobody left to tell.
      }
    },
  }
}

function lost(error: unknown): Written {
  return {
    lost: true,
    retryIn: FAILED_RETRY,
    error: error ?? new Error('the destination of the access log failed'),
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}
