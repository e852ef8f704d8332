// What is done at the end of a turn of the event loop: after all sockets that had something have been read, before any is
// waited for again. First the work that was put off, for all sockets one after the other, then what was written meanwhile
// goes out: doing one thing at a time for all is faster than all things for each, as the code stays in the cache, and
// messages for one peer go out in one piece.
import { errorFields, logger } from '../core/index.ts'

/** What has something to write at the end of the turn. */
export interface TurnEnd {
  /** Called once for each time that it asked. */
  atTurnEnd(): void
}

let working: { doAll(): void }[] = []
let writing: TurnEnd[] = []
let asked = false
/** One of them, for its shape (kept-shape.ts). */
let kept: NodeJS.Immediate | undefined

/** Work of one kind that is put off until the end of the turn, and then done for all that have some. */
export class Batch<T> {
  readonly #work: (one: T) => void
  #waiting: T[] = []

  constructor(work: (one: T) => void) {
    this.#work = work
  }

  /** Puts off the work for `one`; it is done once for each time that it was added. */
  add(one: T): void {
    if (this.#waiting.length === 0) {
      working.push(this)
      ask()
    }
    this.#waiting.push(one)
  }

  doAll(): void {
    const all = this.#waiting
    this.#waiting = []
    for (const one of all) {
      try {
        this.#work(one)
      } catch (error) {
        failed(error)
      }
    }
  }
}

/** Asks to be called at the end of this turn. Who asks again while it is called is called at the end of the next one. */
export function atTurnEnd(who: TurnEnd): void {
  writing.push(who)
  ask()
}

function ask(): void {
  if (asked) return
  asked = true
  const immediate = setImmediate(endTurn)
  if (kept === undefined) kept = immediate
}

function endTurn(): void {
  const batches = working
  working = []
  try {
    for (const batch of batches) batch.doAll()
  } finally {
    // What the work has written goes out in this turn, too; work that it has put off is that of the next one.
    asked = false
    if (working.length > 0) ask()
  }
  const all = writing
  writing = []
  for (const who of all) {
    try {
      who.atTurnEnd()
    } catch (error) {
      failed(error)
    }
  }
}

/** Logs a failure; where even that fails, what the others have to do still matters more. */
export function failed(error: unknown): void {
  try {
    logger('http').error(errorFields(error), 'the end of a turn failed')
  } catch {}
}
