// The Huffman code of HPACK (RFC 7541, 5.2 and appendix B), read a byte at a time: the inner nodes of the code's tree are
// the states of a machine, and a table says for each state and byte what comes out and where that leads.

/**
 * How many bits the code of each symbol has, in base 36; the last symbol is EOS. The codes themselves follow from that:
 * they go up in the order of length, then of symbol.
 */
const LENGTHS = [
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca',
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds',
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn',
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq',
  'u',
].join('')
const EOS = 256

/** More bits of padding than these are an error, as are bits that are not ones. */
const MOST_PADDING = 7

const STATES = 256

/** The tree: two places for each state, with a state, or a symbol as its complement. */
const TREE = makeTree()

/**
 * By state and byte: the symbols that end in that byte (at most two, since five bits are the least) in the lower bytes,
 * the next state in the third, how many symbols in the fourth. Filled in as bytes are met: text needs a small part, and
 * all at once would take some milliseconds. 0 is never a step, since in eight bits either a symbol ends or the root is left.
 */
const STEPS = new Int32Array(STATES << 8)
const UNKNOWN = 0
/** EOS is in the string. */
const ERROR = -1

/** By state, 1 where a string may end. */
const ENDS = makeEnds()

/** Where strings are put together; longer ones get a buffer of their own. */
const SCRATCH = Buffer.allocUnsafeSlow(16 * 1024)

/** @returns undefined if the bytes are no string of the code */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  // Two symbols are always written, of which fewer may count.
  const most = Math.ceil(((end - start) * 8) / 5) + 2
  const out = most <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafeSlow(most)
  const steps = STEPS
  let length = 0
  /** The state, as the upper byte of a place in the table. */
  let state = 0
  let at = start
  while (at < end) {
    const place = state | (bytes[at] as number)
    const step = steps[place] as number
    if (step <= UNKNOWN) {
      // Then the same byte again: V8 makes better code of a loop in which a step comes from one place only.
      if (step === ERROR || fillIn(place) === ERROR) return undefined
      continue
    }
    out[length] = step & 255
    out[length + 1] = (step >> 8) & 255
    length += step >> 24
    state = (step >> 8) & 0xff00
    at++
  }
  return ENDS[state >> 8] === 1 ? out.toString('latin1', 0, length) : undefined
}

function makeTree(): Int16Array {
  const tree = new Int16Array(STATES * 2)
  let states = 1
  let code = 0
  let bits = 0
  const symbols = Array.from(LENGTHS, (digit, symbol) => ({ symbol, length: Number.parseInt(digit, 36) }))
  symbols.sort((one, other) => one.length - other.length || one.symbol - other.symbol)
  for (const { symbol, length } of symbols) {
    code <<= length - bits
    bits = length
    let state = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const child = state * 2 + ((code >> bit) & 1)
      // The root is nobody's child: 0 says that there is none yet.
      if (tree[child] === 0) tree[child] = states++
      state = tree[child] as number
    }
    tree[state * 2 + (code & 1)] = ~symbol
    code++
  }
  return tree
}

/** Padding is the beginning of EOS, which is ones only. */
function makeEnds(): Uint8Array {
  const ends = new Uint8Array(STATES)
  let state = 0
  for (let bits = 0; bits <= MOST_PADDING; bits++) {
    ends[state] = 1
    state = TREE[state * 2 + 1] as number
  }
  return ends
}

function fillIn(place: number): number {
  const step = stepOf(place >> 8, place & 255)
  STEPS[place] = step
  return step
}

function stepOf(from: number, byte: number): number {
  let state = from
  let symbols = 0
  let count = 0
  for (let bit = 7; bit >= 0; bit--) {
    const child = TREE[state * 2 + ((byte >> bit) & 1)] as number
    if (child >= 0) state = child
    else {
      const symbol = ~child
      if (symbol === EOS) return ERROR
      symbols |= symbol << (count * 8)
      count++
      state = 0
    }
  }
  return (count << 24) | (state << 16) | symbols
}
