// What is done at the end of a turn of the event loop: after all sockets that had something have been read, before any is
// waited for again. What is written then goes out in one piece where several messages for one peer came in the same turn.
import { errorFields, logger } from '../core/index.ts'

/** What has something to do at the end of the turn. */
export interface TurnEnd {
  /** Called once for each time that it asked. */
  atTurnEnd(): void
}

let waiting: TurnEnd[] = []

/** Asks to be called at the end of this turn. Who asks again while it is called is called at the end of the next one. */
export function atTurnEnd(who: TurnEnd): void {
  if (waiting.length === 0) setImmediate(endTurn)
  waiting.push(who)
}

function endTurn(): void {
  const all = waiting
  waiting = []
  for (const who of all) {
    try {
      who.atTurnEnd()
    } catch (error) {
      logger('http').error(errorFields(error), 'the end of a turn failed')
    }
  }
}
