import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Member, Members } from './members.ts'

interface Numbered extends Member {
  readonly name: number
}

const numbered = (name: number): Numbered => ({ name, place: -1 })
const names = (members: Members<Numbered>) => [...members].map(member => member.name).sort()

describe('Members', () => {
  it('has what a Set would have, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean())), steps => {
        const all = Array.from({ length: 10 }, (_each, name) => numbered(name))
        const members = new Members<Numbered>()
        const set = new Set<Numbered>()
        for (const [name, comes] of steps) {
          const one = all[name] as Numbered
          if (comes) {
            members.add(one)
            set.add(one)
          } else {
            members.delete(one)
            set.delete(one)
          }
          expect(members.size).toBe(set.size)
          expect(names(members)).toEqual([...set].map(member => member.name).sort())
        }
      }),
    )
  })

  it('goes through those that were there at first, though they leave on the way', () => {
    const members = new Members<Numbered>()
    for (let name = 0; name < 5; name++) members.add(numbered(name))
    const seen: number[] = []
    for (const member of members) {
      seen.push(member.name)
      members.delete(member)
      members.add(numbered(9))
    }
    expect(seen).toEqual([0, 1, 2, 3, 4])
    expect(names(members)).toEqual([9, 9, 9, 9, 9])
  })
})
