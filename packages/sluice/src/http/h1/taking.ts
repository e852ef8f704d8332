// Whether the client takes what it is sent, however slowly.
import type { Connection } from '../../net/index.ts'
import { sweep } from '../sweep.ts'

export class Taking {
  readonly #connection: Pick<Connection, 'taken'>
  readonly #timeout: number
  #taken = 0

  /** @param timeout how long the client may take nothing, in milliseconds */
  constructor(connection: Pick<Connection, 'taken'>, timeout: number) {
    this.#connection = connection
    this.#timeout = timeout
  }

  /** There is something for the client; answers when it must have taken some of it, by the time of the sweep. */
  watch(): number {
    this.#taken = this.#connection.taken
    return sweep.now + this.#timeout
  }

  /** Whether it has taken any since. */
  get goesOn(): boolean {
    return this.#connection.taken > this.#taken
  }
}
