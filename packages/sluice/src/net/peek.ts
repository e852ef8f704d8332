// Looks at the first bytes of a connection, under a time and a size limit, and hands on what was not consumed.
import type { Socket } from 'node:net'
import { SluiceError } from '../core/index.ts'

/** Plain numbers, as it is read for each connection: `milliseconds()` and `bytes()` make them from what people write. */
export interface ReadHeadOptions {
  /** Milliseconds until it is given up. */
  readonly timeout: number
  /** Bytes after which it is given up if they still make no sense. */
  readonly limit: number
  /** What is awaited, for the messages of errors: `a PROXY header`. */
  readonly what: string
}

/** What a parser found in the first bytes, and how many of them it used up: none for a mere look. */
export interface Head<T> {
  readonly value: T
  readonly consumed: number
}

/**
 * Reads the beginning of a connection until `parse` has made sense of it. What was read beyond `consumed` goes back to
 * the socket, so that whoever reads next (TLS, HTTP, a relay) gets every byte. Leaves the socket without listeners of
 * its own, not flowing.
 *
 * @param parse gets all bytes so far, each time that more have come; answers undefined if it needs more. What it
 *   throws is passed on. It is called for every segment: it must see cheaply that it needs more.
 * @throws {SluiceError} `PEEK_TIMEOUT`, `PEEK_LIMIT`, `DOWNSTREAM_CLOSED`, `DOWNSTREAM_RESET`
 */
export function readHead<T>(
  socket: Socket,
  options: ReadHeadOptions,
  parse: (bytes: Buffer) => Head<T> | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let store: Buffer = EMPTY
    let length = 0
    const timer = setTimeout(() => {
      fail(
        new SluiceError(
          'PEEK_TIMEOUT',
          `${options.what} did not arrive within ${options.timeout} ms (${length} bytes came)`,
        ),
      )
    }, options.timeout)

    function onReadable(): void {
      const before = length
      // From Node 26 on, each read gives one chunk, and what is left in the buffer is not told of again.
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        ;[store, length] = append(store, length, chunk)
      }
      if (length === before) return
      try {
        const head = parse(store.subarray(0, length))
        if (head !== undefined) {
          stop()
          if (head.consumed < length) socket.unshift(store.subarray(head.consumed, length))
          resolve(head.value)
        } else if (!(length < options.limit)) {
          fail(
            new SluiceError(
              'PEEK_LIMIT',
              `${options.what} was not complete after ${length} bytes (limit ${options.limit})`,
            ),
          )
        }
      } catch (error) {
        fail(error)
      }
    }
    function onEnd(): void {
      fail(
        new SluiceError(
          'DOWNSTREAM_CLOSED',
          `the client closed the connection before ${options.what} was complete (${length} bytes came)`,
        ),
      )
    }
    function onError(cause: Error): void {
      fail(
        new SluiceError(
          'DOWNSTREAM_RESET',
          `the client reset the connection before ${options.what} was complete (${length} bytes came)`,
          { cause },
        ),
      )
    }
    function fail(error: unknown): void {
      stop()
      reject(error)
    }
    function stop(): void {
      clearTimeout(timer)
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      socket.off('error', onError)
    }

    if (socket.errored) return onError(socket.errored)
    if (socket.destroyed || socket.readableEnded) return onEnd()
    socket.on('readable', onReadable)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.on('error', onError)
  })
}

const EMPTY = Buffer.alloc(0)

/** Adds a chunk, doubling the store when it is full: one byte at a time costs no more than all at once. */
function append(store: Buffer, length: number, chunk: Buffer): [Buffer, number] {
  const total = length + chunk.length
  if (length === 0) return [chunk, total]
  if (total <= store.length) {
    chunk.copy(store, length)
    return [store, total]
  }
  const grown = Buffer.alloc(Math.max(total, store.length * 2))
  store.copy(grown, 0, 0, length)
  chunk.copy(grown, length)
  return [grown, total]
}
