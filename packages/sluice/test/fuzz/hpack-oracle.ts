// What must hold of HPACK for any bytes: it reads what a naive decoder reads, or both find an error, and what it read it
// can write, so that both read the same again. The oracle throws what does not hold.
import { deepStrictEqual as same } from 'node:assert'
import { HpackDecoder, HpackError } from '../../src/http/h2/hpack/decoder.ts'
import { HpackEncoder } from '../../src/http/h2/hpack/encoder.ts'
import type { HpackField } from '../../src/http/h2/hpack/field.ts'
import { NaiveDecoder, type NaiveField } from '../support/naive-hpack.ts'
import type { Random } from '../support/random.ts'

const TABLE = 4096
const NO_LIMIT = Number.POSITIVE_INFINITY

/** An input is the blocks of one connection, each with two bytes before it that say its length. */
function hpackBlocks(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at)
    blocks.push(bytes.subarray(at + 2, end))
    at = end
  }
  return blocks
}

function pairs(fields: readonly HpackField[]): NaiveField[] {
  return fields.map(({ name, value }) => [name, value])
}

/** @returns undefined where it finds an error */
function own(
  decoder: HpackDecoder,
  block: Buffer,
  maxSize: number = NO_LIMIT,
  maxFields: number = NO_LIMIT,
): NaiveField[] | undefined {
  try {
    return pairs(decoder.decode(block, 0, block.length, maxSize, maxFields))
  } catch (error) {
    if (error instanceof HpackError) return undefined
    throw error
  }
}

function naive(decoder: NaiveDecoder, block: Buffer): NaiveField[] | undefined {
  try {
    return decoder.decode(block)
  } catch {
    return undefined
  }
}

/** What is kept of fields within limits. */
function within(fields: readonly NaiveField[], maxSize: number, maxFields: number): NaiveField[] {
  let size = 0
  const beyond = fields.findIndex(([name, value], index) => {
    size += name.length + value.length + 32
    return size > maxSize || index >= maxFields
  })
  return fields.slice(0, beyond < 0 ? fields.length : beyond)
}

/** @returns how many blocks were accepted */
export function checkHpack(bytes: Buffer, random: Random): number {
  const [decoder, limited, judge] = [
    new HpackDecoder(TABLE),
    new HpackDecoder(TABLE),
    new NaiveDecoder(TABLE),
  ]
  const encoder = new HpackEncoder()
  const [reader, judgeOfWritten] = [new HpackDecoder(TABLE), new NaiveDecoder(TABLE)]
  let accepted = 0
  for (const block of hpackBlocks(bytes)) {
    const fields = naive(judge, block)
    same(own(decoder, block), fields, 'it is read otherwise')
    const [maxSize, maxFields] = [random.below(2000), random.below(30)]
    const kept = fields === undefined ? undefined : within(fields, maxSize, maxFields)
    same(own(limited, block, maxSize, maxFields), kept, 'within limits, other fields are kept')
    if (fields === undefined) return accepted
    same(limited.overflowed, kept?.length !== fields.length, 'it is not said whether there were more')
    accepted++
    if (random.below(4) === 0) encoder.tableLimit = random.below(2) === 0 ? TABLE : random.below(TABLE)
    const text = fields.reduce((whole, [name, value]) => whole + encoder.field(name, value), encoder.begin())
    const written = Buffer.from(text, 'latin1')
    same(own(reader, written), fields, 'what is written again is read otherwise')
    same(naive(judgeOfWritten, written), fields, 'what is written again means something else')
  }
  return accepted
}
