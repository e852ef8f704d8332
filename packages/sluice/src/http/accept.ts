// Which of a few media types a client prefers, by its Accept field (RFC 9110, section 12.5.1).

/** `qvalue` (RFC 9110, 12.4.2). */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/
const RANGE = /^(?:\*\/\*|[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+)$/

/** Ranges that are looked at. Browsers send about eight. */
const MOST = 32

interface MediaRange {
  readonly range: string
  readonly weight: number
}

/**
 * The type that a client likes best. Of those with the same weight it is the one that it named most exactly, then the
 * one that it named first, then the first of ours.
 *
 * @param accept the field; everything is as good as anything without it
 * @param offered types such as `text/html`, the one that we like best first
 * @returns undefined if the client takes none of them
 */
export function preferredType<T extends string>(
  accept: string | undefined,
  offered: readonly T[],
): T | undefined {
  if (accept === undefined || accept === '*/*') return offered[0]
  const ranges = rangesOf(accept)
  if (ranges.length === 0) return offered[0]
  let best: T | undefined
  let bestRank: Rank = [0, 0, 0]
  for (const type of offered) {
    const rank = rankOf(type, ranges)
    if (rank[0] > 0 && isHigher(rank, bestRank)) {
      best = type
      bestRank = rank
    }
  }
  return best
}

/** Weight, exactness, and how early it stands. */
type Rank = readonly [weight: number, exactness: number, position: number]

function isHigher(one: Rank, other: Rank): boolean {
  if (one[0] !== other[0]) return one[0] > other[0]
  if (one[1] !== other[1]) return one[1] > other[1]
  return one[2] > other[2]
}

/** The most exact range that covers a type says how much it is liked. */
function rankOf(type: string, ranges: readonly MediaRange[]): Rank {
  const group = `${type.slice(0, type.indexOf('/'))}/*`
  let rank: Rank = [0, 0, 0]
  ranges.forEach(({ range, weight }, index) => {
    const exactness = range === type ? 3 : range === group ? 2 : range === '*/*' ? 1 : 0
    if (exactness > rank[1]) rank = [weight, exactness, -index]
  })
  return rank
}

/** What can be understood of the field; what can't is as if it were not there. */
function rangesOf(accept: string): MediaRange[] {
  const ranges: MediaRange[] = []
  for (const element of accept.split(',', MOST)) {
    const [range = '', ...parameters] = element.split(';').map(part => part.trim().toLowerCase())
    if (!RANGE.test(range)) continue
    let weight = 1
    for (const parameter of parameters) {
      if (!parameter.startsWith('q=')) continue
      weight = WEIGHT.test(parameter.slice(2)) ? Number(parameter.slice(2)) : Number.NaN
    }
    if (!Number.isNaN(weight)) ranges.push({ range, weight })
  }
  return ranges
}
