// Bytes that wait to be read, in little more memory than they are: what came in small pieces is put together, and what is
// a small part of something larger is copied, so that it does not keep all of that.

/** A piece below this size is copied into a block with others. */
const SMALL = 1024
const BLOCK = 2 * SMALL

/** How many times its length a chunk may keep in memory: full frames in full reads of 64 KB are below that. */
const MOST_KEPT = 8

export class WaitingChunks {
  readonly #chunks: Buffer[] = []
  #size = 0
  /** The block that the last chunk lies in, from its beginning, and how much of it is used. */
  #block: Buffer | undefined
  #used = 0

  /** Bytes of all. */
  get size(): number {
    return this.#size
  }

  push(chunk: Buffer): void {
    const { length } = chunk
    this.#size += length
    if (length >= SMALL) {
      this.#block = undefined
      this.#chunks.push(chunk.buffer.byteLength > 2 * length ? copyOf(chunk) : chunk)
      return
    }
    const block = this.#block
    if (block !== undefined && this.#used + length <= BLOCK && this.#chunks.length > 0) {
      chunk.copy(block, this.#used)
      this.#used += length
      this.#chunks[this.#chunks.length - 1] = block.subarray(0, this.#used)
      return
    }
    const fresh = Buffer.allocUnsafeSlow(BLOCK)
    chunk.copy(fresh)
    this.#block = fresh
    this.#used = length
    this.#chunks.push(fresh.subarray(0, length))
  }

  /** The next bytes. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return undefined
    this.#size -= chunk.length
    // What comes now begins another chunk.
    if (this.#chunks.length === 0) this.#block = undefined
    return keepable(chunk)
  }

  /** All bytes at once; none are left. */
  whole(): Buffer {
    const chunks = this.#chunks.slice()
    const size = this.#size
    this.clear()
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)
  }

  clear(): void {
    this.#chunks.length = 0
    this.#size = 0
    this.#block = undefined
  }
}

/**
 * Bytes that may be kept by whoever gets them. What is a small part of what was read at once is copied: a byte here and there
 * would keep all that came with it.
 */
export function keepable(chunk: Buffer): Buffer {
  return chunk.buffer.byteLength > MOST_KEPT * chunk.length ? copyOf(chunk) : chunk
}

function copyOf(chunk: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(chunk.length)
  chunk.copy(copy)
  return copy
}
