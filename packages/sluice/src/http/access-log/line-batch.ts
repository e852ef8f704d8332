// Lines for a destination, in batches: what comes within a turn of the event loop, soon after a batch, or while the
// destination is busy, goes out together. A destination that fails or stands still costs lines, which are counted, and nothing else.
import { errorCode, logger } from '../../core/index.ts'

/** What became of an attempt to write. */
export interface Written {
  /** What was not taken, to be written again. */
  readonly rest?: string
  /** Milliseconds until it may be tried again; at once unless told. */
  readonly retryIn?: number
  /** What went wrong, if the destination is not just busy. */
  readonly error?: unknown
  /** Whether all of it is lost. */
  readonly lost?: boolean
}

/** Where batches go. */
export interface LineOutput {
  /** Writes lines, and calls back once, now or later. Must not throw. */
  write(lines: string, done: (written: Written) => void): void
  /** The process exits: writes before this returns. Gives back what could not be written. Must not throw. */
  writeLast(lines: string): string
}

/** A batch of this size does not wait. Characters, which are all ASCII. */
const BATCH = 16 * 1024

/**
 * A smaller batch comes this long after the last one, in milliseconds: handing one to a file costs as much as writing some
 * ten lines, and a proxy that is not very busy has one line in a turn. Nobody who reads along sees the difference.
 */
const INTERVAL = 20

/** What is kept while a destination is busy. */
const MOST = 1024 * 1024

/** What goes wrong is said at most so often, in milliseconds. */
const SILENCE = 60_000

const log = logger('access-log')

export class LineBatch {
  readonly #output: LineOutput
  #text = ''
  #inFlight = ''
  #scheduled = false
  #writing = false
  #waiting = false
  #dropped = 0
  #failing = false
  /** Whether the log says that it is failing. */
  #said = false
  #quietUntil = 0
  #lastWrite = Number.NEGATIVE_INFINITY

  constructor(output: LineOutput) {
    this.#output = output
  }

  /** @param line with its line end */
  add(line: string): void {
    if (this.#text.length + line.length > MOST) {
      this.#dropped++
      this.#say(undefined)
      return
    }
    if (this.#text === '') flushAtExit(this)
    this.#text += line
    this.#schedule()
  }

  /** The process exits. */
  flushLast(): void {
    if (this.#text !== '') this.#dropped += countLines(this.#output.writeLast(this.#text))
    this.#text = ''
    if (this.#dropped > 0) log.warn({ dropped: this.#dropped }, 'lines of the access log are lost')
  }

  /** The first line after a while goes out at the end of its turn, and those soon after it together. */
  #schedule(): void {
    if (this.#text.length >= BATCH) {
      this.#flush()
    } else if (!this.#scheduled && !this.#writing && !this.#waiting) {
      this.#scheduled = true
      const wait = this.#lastWrite + INTERVAL - performance.now()
      if (wait > 0) setTimeout(this.#onDue, wait)
      else setImmediate(this.#onDue)
    }
  }

  readonly #onDue = (): void => {
    this.#scheduled = false
    this.#flush()
  }

  #flush(): void {
    if (this.#writing || this.#waiting || this.#text === '') return
    const lines = this.#text
    this.#text = ''
    this.#inFlight = lines
    this.#writing = true
    this.#lastWrite = performance.now()
    this.#output.write(lines, this.#onWritten)
  }

  readonly #onWritten = ({ rest = '', retryIn = 0, error, lost }: Written): void => {
    this.#writing = false
    if (lost === true) this.#dropped += countLines(this.#inFlight)
    this.#inFlight = ''
    if (error !== undefined) this.#say(error)
    else if (rest === '') this.#recover()
    if (rest !== '') {
      if (this.#text === '') flushAtExit(this)
      this.#text = rest + this.#text
    }
    if (retryIn > 0) {
      this.#waiting = true
      // What stands still must not keep a process alive that has nothing else to do.
      setTimeout(this.#onRetry, retryIn).unref()
    } else if (this.#text === '') {
      unflushed.delete(this)
    } else if (rest === '') {
      this.#schedule()
    } else {
      this.#flush()
    }
  }

  readonly #onRetry = (): void => {
    this.#waiting = false
    this.#flush()
  }

  /** Not through the access log itself, and not for each line. */
  #say(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    if (performance.now() < this.#quietUntil) return
    this.#quietUntil = performance.now() + SILENCE
    this.#said = true
    const why = error === undefined ? 'its destination does not take it' : 'its destination failed'
    log.warn(
      { ...(error !== undefined && { code: errorCode(error), cause: error }) },
      `the access log can't be written, ${why}; lines are dropped until it can`,
    )
  }

  #recover(): void {
    if (!this.#failing) return
    this.#failing = false
    if (!this.#said) return
    this.#said = false
    log.warn({ dropped: this.#dropped }, 'the access log can be written again')
    this.#dropped = 0
  }
}

function countLines(text: string): number {
  return text.split('\n').length - 1
}

/** Batches that have something to write. One listener for all of them. */
const unflushed = new Set<LineBatch>()
let listening = false

function flushAtExit(batch: LineBatch): void {
  unflushed.add(batch)
  if (listening) return
  listening = true
  process.on('exit', () => {
    for (const each of unflushed) each.flushLast()
  })
}
