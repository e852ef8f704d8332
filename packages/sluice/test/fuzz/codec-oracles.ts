// What must hold of the HTTP/1.1 codec for any bytes: splits make no difference, and what it accepts, llhttp accepts with
// the same meaning. An oracle throws what does not hold.
import { deepStrictEqual as same } from 'node:assert'
import { answerByNode, NODE_METHODS, type ReadResponse, requestsByNode } from '../support/node-http.ts'
import { ownRequests, ownResponse } from '../support/own-codec.ts'
import type { Random } from '../support/random.ts'

/** node:http of Bun does not parse with llhttp, and is no judge. */
const JUDGED = process.versions.bun === undefined

/** Longer inputs are not also cut into single bytes. */
const SINGLE_BYTES = 2000

/**
 * Whether node:http has the rules of RFC 9112, 9.3 for an answer. Without a length it takes the answer to a HEAD for one
 * that ends with the connection, and it obeys Proxy-Connection, which is in no RFC.
 */
function agreesOnReuse({ fields }: ReadResponse): boolean {
  return (
    fields.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name)) &&
    !fields.some(([name]) => /^proxy-connection$/i.test(name))
  )
}

function waysToSplit(bytes: Buffer, random: Random): Buffer[][] {
  const ways = [random.split(bytes, 3), random.split(bytes, 12)]
  if (bytes.length <= SINGLE_BYTES) ways.push(Array.from(bytes, byte => Buffer.of(byte)))
  return ways
}

/** @returns how many requests were accepted */
export async function checkRequests(bytes: Buffer, random: Random): Promise<number> {
  const own = ownRequests([bytes])
  for (const pieces of waysToSplit(bytes, random)) {
    same(ownRequests(pieces), own, `split at ${pieces.map(piece => piece.length)}, it is read otherwise`)
  }
  const unknown = own.requests.findIndex(({ method }) => !NODE_METHODS.includes(method))
  // node:http reads nothing after a request that asks to change the protocol.
  const upgrade = own.requests.findIndex(({ fields }) => fields.some(([name]) => /^upgrade$/i.test(name)))
  const judged = Math.min(unknown < 0 ? Infinity : unknown, upgrade < 0 ? Infinity : upgrade + 1)
  const accepted = own.requests.slice(0, judged).map(({ keepAlive: _, ...request }) => request)
  if (accepted.length > 0 && JUDGED) {
    const others = await requestsByNode(bytes)
    same(others.slice(0, accepted.length), accepted, 'llhttp reads other requests')
  }
  return own.requests.length
}

/** @returns 1 if an answer was accepted, else 0 */
export async function checkResponse(bytes: Buffer, random: Random, method: string): Promise<number> {
  const ends = random.below(4) > 0
  const own = ownResponse([bytes], method, ends)
  for (const pieces of waysToSplit(bytes, random)) {
    const split = ownResponse(pieces, method, ends)
    same(split, own, `split at ${pieces.map(piece => piece.length)}, it is read otherwise`)
  }
  if (own.response === undefined || own.status === 101) return 0
  if (!JUDGED) return 1
  const other = await answerByNode(bytes, method, ends)
  // node:http ends with a 1xx that says close; for us that is about the connection after the answer.
  if (own.informed.length > 0 && other.refused === 'HPE_CLOSED_CONNECTION') return 1
  same(other.informed, own.informed, 'llhttp reads other informational responses')
  same(other.response, own.response, `llhttp reads another answer (${other.refused})`)
  if (own.reusable && own.rest === 0 && agreesOnReuse(own.response)) {
    same(other.reusable, true, 'llhttp would not use the connection again')
    same(other.refused, undefined, 'llhttp refuses what follows')
  }
  return 1
}
