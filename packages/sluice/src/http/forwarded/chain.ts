// The way of a request through proxies, as Forwarded and X-Forwarded-For tell it, followed from this end.
import type { Address, IpAddress, NetworkSet } from '../../net/index.ts'
import type { HeaderList } from '../headers.ts'
import { type ForwardedElement, parseForwarded } from './element.ts'
import { parseNode } from './node.ts'

/** More proxies than any request goes through. */
const MOST_HOPS = 50

/** The two ways to tell of proxies. */
export type ForwardingFields = 'forwarded' | 'x-forwarded'

/** How far the fields could be followed. */
export interface Followed {
  /** Where it ends; undefined if the last proxy that is trusted hides it, or says what can't be read. */
  readonly address: Address | undefined
  /** Whether all that was read was well formed and without contradiction. */
  readonly sound: boolean
  /** What the last proxy said beside the address, if it was in Forwarded. */
  readonly element: ForwardedElement | undefined
  /** How many hops of X-Forwarded-For were taken, from its end; and how many there are. */
  readonly taken: number
  readonly listed: number
}

/**
 * Follows the fields from whoever sent the request, while that one is trusted, to the one that it names. Where both
 * fields are there they must say the same as far as both go: a proxy that writes one of them may hand on the other
 * as a stranger sent it.
 *
 * Nothing is guessed. What is malformed has not been written by a proxy that is worth trust, so the client is then
 * unknown; it is never taken for the proxy, whose address may be one that is let in.
 */
export function follow(
  sender: Address,
  trust: NetworkSet,
  headers: HeaderList,
  fields: ForwardingFields | undefined,
): Followed {
  const forwarded = fields === 'x-forwarded' ? [] : headers.getAll('forwarded')
  const text = fields === 'forwarded' ? undefined : headers.get('x-forwarded-for')
  const listed = text === undefined ? [] : text.split(',')
  let elements: ForwardedElement[] = []
  let address: Address = sender
  let element: ForwardedElement | undefined
  let taken = 0
  const result = (end: Address | undefined, sound: boolean): Followed => ({
    address: end,
    sound,
    element,
    taken,
    listed: listed.length,
  })

  for (let hops = 0; trust.has(address); hops++) {
    // Lines of their own can be read without those before them, in which a stranger may have left a quote open.
    if (elements.length === 0 && forwarded.length > 0) {
      const parsed = parseForwarded(forwarded.pop() as string)
      if (parsed === undefined) return result(undefined, false)
      elements = [...parsed]
    }
    const written = listed.length - taken > 0 ? listed[listed.length - taken - 1] : undefined
    if (elements.length === 0 && written === undefined) break
    if (hops === MOST_HOPS) return result(undefined, false)

    element = elements.pop()
    const one = nodeIn(element?.for, false)
    const other = nodeIn(written?.trim(), true)
    if (written !== undefined) taken++
    if (one === 'malformed' || other === 'malformed' || !agree(one, other)) return result(undefined, false)
    const next = one ?? other
    // An element need not have an address: a proxy may tell the scheme alone.
    if (next === undefined || next === 'hidden') return result(undefined, true)
    address = next
  }
  return result(address, true)
}

type Node = IpAddress | 'hidden'

function nodeIn(text: string | undefined, bareIpv6: boolean): Node | 'malformed' | undefined {
  return text === undefined ? undefined : (parseNode(text, bareIpv6) ?? 'malformed')
}

function agree(one: Node | undefined, other: Node | undefined): boolean {
  if (one === undefined || other === undefined) return true
  if (one === 'hidden' || other === 'hidden') return one === other
  return one.host === other.host
}
