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

/** A step of the machine that leads nowhere: EOS is in the string. */
const ERROR = -1
const STATES = 256

interface Machine {
  /**
   * By state and byte: up to two symbols in the lower bytes, the next state in the third, how many symbols in the fourth.
   * 256 KB, of which text uses about a tenth.
   */
  readonly steps: Int32Array
  /** By state, whether a string may end there. */
  readonly ends: Uint8Array
}

/** Made with the first string that needs it: that takes a millisecond. */
let machine: Machine | undefined

/** Where strings are put together; longer ones get a buffer of their own. */
const SCRATCH = Buffer.allocUnsafeSlow(16 * 1024)

/** @returns undefined if the bytes are no string of the code */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  machine ??= makeMachine()
  const { steps, ends } = machine
  // The shortest codes have five bits, and two symbols are always written.
  const most = Math.ceil(((end - start) * 8) / 5) + 2
  const out = most <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafeSlow(most)
  let length = 0
  let state = 0
  for (let at = start; at < end; at++) {
    const step = steps[(state << 8) | (bytes[at] as number)] as number
    if (step < 0) return undefined
    out[length] = step
    out[length + 1] = step >> 8
    length += step >> 24
    state = (step >> 16) & 255
  }
  return ends[state] === 1 ? out.toString('latin1', 0, length) : undefined
}

/** The tree: a child is a state, or a symbol as its complement. */
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

function makeMachine(): Machine {
  const tree = makeTree()
  const steps = new Int32Array(STATES * 256)
  for (let from = 0; from < STATES; from++) {
    for (let byte = 0; byte < 256; byte++) steps[(from << 8) | byte] = stepOf(tree, from, byte)
  }
  const ends = new Uint8Array(STATES)
  let padded = 0
  for (let bits = 0; bits <= MOST_PADDING; bits++) {
    ends[padded] = 1
    padded = tree[padded * 2 + 1] as number
  }
  return { steps, ends }
}

function stepOf(tree: Int16Array, from: number, byte: number): number {
  let state = from
  let symbols = 0
  let count = 0
  for (let bit = 7; bit >= 0; bit--) {
    const child = tree[state * 2 + ((byte >> bit) & 1)] as number
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
