// The connections that a server has open, and one subscription to each drain signal for all of them: a listener on the
// signal for every connection would cost more than the connection.

/**
 * Milliseconds for which a drain leaves a connection open that has just been made or answered: the next request may be on
 * its way, or here and unread. It is answered, and the client told that it was the last.
 */
export const DRAIN_GRACE = 1000

export interface Drainable {
  /** Finish what is in flight and begin nothing new. */
  drain(): void
}

export class ActiveConnections {
  readonly #bySignal = new WeakMap<AbortSignal, Set<Drainable>>()

  /** Tells the connection when the signal is aborted, at once if it is already; until the returned function is called. */
  add(connection: Drainable, draining: AbortSignal): () => void {
    let set = this.#bySignal.get(draining)
    if (set === undefined) {
      const created = new Set<Drainable>()
      set = created
      this.#bySignal.set(draining, created)
      draining.addEventListener('abort', () => {
        for (const one of created) one.drain()
      })
    }
    const members = set
    members.add(connection)
    if (draining.aborted) connection.drain()
    return () => members.delete(connection)
  }
}
