// Bytes that say where they are, as many as wanted, made as they are needed: what is lost, doubled or swapped on the way
// shows in their hash.
import { createHash } from 'node:crypto'

const BLOCK = 65_536

/** The bytes in blocks of 64 KiB, the last one shorter; each is good until the next is taken. */
export function* pattern(count: number): Generator<Buffer, void> {
  const block = Buffer.alloc(BLOCK)
  for (let at = 0; at < BLOCK; at += 4) block.writeUInt32LE(Math.imul(at + 1, 2_654_435_761) >>> 0, at)
  for (let done = 0; done < count; done += BLOCK) {
    // A copy: what is handed to a socket must not change any more.
    const bytes = Buffer.from(block)
    bytes.writeDoubleLE(done, 0)
    yield bytes.subarray(0, Math.min(BLOCK, count - done))
  }
}

export function patternHash(count: number): string {
  const hash = createHash('sha256')
  for (const bytes of pattern(count)) hash.update(bytes)
  return hash.digest('hex')
}
