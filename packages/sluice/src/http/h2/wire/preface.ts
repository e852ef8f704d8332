// How an HTTP/2 client begins (RFC 9113, section 3.4).
import { ConnectionError, PROTOCOL_ERROR } from './frames.ts'

export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export class PrefaceReader {
  #come = 0

  /**
   * @returns what came behind the preface
   * @throws {ConnectionError} if it is something else
   */
  read(chunk: Buffer): Buffer {
    if (this.#come === PREFACE.length) return chunk
    const count = Math.min(chunk.length, PREFACE.length - this.#come)
    if (chunk.compare(PREFACE, this.#come, this.#come + count, 0, count) !== 0) {
      throw new ConnectionError(PROTOCOL_ERROR, 'it did not begin with the preface of HTTP/2')
    }
    this.#come += count
    return chunk.subarray(count)
  }
}
