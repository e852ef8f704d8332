// A set of things that come and go often, such as the requests of a session.
//
// A Set of the language has a table that is made anew as members come and go, and each old table refers to its members and
// to the next one. Once one of them is in V8's old generation, all that come after it stay until a full collection, with
// the requests in them: that was a sixth of what a proxied HTTP/2 request cost.

/** What can be a member. Only `Members` changes the field. */
export interface Member {
  /** Where it is in the one set that it can be in; -1 while it is in none. */
  place: number
}

export class Members<T extends Member> implements Iterable<T> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: T): void {
    if (member.place >= 0) return
    member.place = this.#members.length
    this.#members.push(member)
  }

  delete(member: T): void {
    const { place } = member
    if (place < 0) return
    member.place = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    this.#members[place] = last
    last.place = place
  }

  /** All who are members now, though some may leave meanwhile, or others come. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.slice().values()
  }
}
