// Between pushed bodies and what JavaScript has for streams: async iterables and web streams. These cost promises for
// each chunk, which is why bodies are pushed wherever Sluice itself moves them.
import { SluiceError } from '../core/index.ts'
import type { BodySink, BodySource } from './body.ts'

/** What a body in memory is written in. */
export const PIECE: number = 64 * 1024

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

type Start = (sink: BodySink) => BodySource

/** Pushes what an iterable yields. */
export function sourceOf(chunks: Chunks): BodySource {
  let paused = false
  let cancelled = false
  let wake: (() => void) | undefined
  let iterator: Iterator<Uint8Array> | AsyncIterator<Uint8Array> | undefined

  async function run(sink: BodySink): Promise<void> {
    // The sink is not called before `start` has returned.
    await null
    try {
      if (cancelled) return
      iterator ??= iterate(chunks)
      for (;;) {
        while (paused && !cancelled) await new Promise<void>(resolve => (wake = resolve))
        if (cancelled) return
        const { done, value } = await iterator.next()
        if (cancelled) return
        if (done === true) return sink.end()
        if (!(value instanceof Uint8Array)) {
          throw new SluiceError(
            'HTTP_BODY_INVALID',
            'a body yielded something other than bytes; yield Uint8Array',
          )
        }
        if (value.length > 0) sink.data(asBuffer(value))
      }
    } catch (error) {
      if (cancelled) return
      release().catch(() => undefined)
      sink.fail(error)
    }
  }

  async function release(): Promise<void> {
    iterator ??= iterate(chunks)
    await iterator.return?.()
  }

  function resume(): void {
    paused = false
    wake?.()
    wake = undefined
  }

  return {
    start: sink => void run(sink),
    pause: () => {
      paused = true
    },
    resume,
    cancel: () => {
      if (cancelled) return
      cancelled = true
      resume()
      // One that was not begun may hold something, too. What it throws now concerns nobody any more.
      release().catch(() => undefined)
    },
  }
}

function iterate(chunks: Chunks): Iterator<Uint8Array> | AsyncIterator<Uint8Array> {
  if (chunks instanceof ReadableStream) {
    // Its own iterator cancels only after the read that is under way, which may wait for ever.
    const reader = (chunks as ReadableStream<Uint8Array>).getReader()
    return {
      next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
      return: async () => {
        await reader.cancel()
        return { done: true, value: undefined }
      },
    }
  }
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
}

/** Bytes in pieces, so that a slow reader is seen to make progress. */
export function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE)
}

/** Pulls what is pushed, chunk by chunk. Begins with the first pull; leaving early cancels. */
export function chunksOf(start: Start): AsyncIterator<Buffer> {
  const queue: Buffer[] = []
  let source: BodySource | undefined
  let over = false
  let failure: { error: unknown } | undefined
  let waiting: { resolve(result: IteratorResult<Buffer>): void; reject(error: unknown): void } | undefined

  const sink: BodySink = {
    data(chunk) {
      if (waiting === undefined) {
        queue.push(chunk)
        source?.pause()
      } else {
        const { resolve } = waiting
        waiting = undefined
        resolve({ done: false, value: chunk })
      }
    },
    end() {
      over = true
      waiting?.resolve({ done: true, value: undefined })
    },
    fail(error) {
      over = true
      if (waiting === undefined) failure = { error }
      else waiting.reject(error)
    },
  }

  return {
    next() {
      const chunk = queue.shift()
      if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk })
      if (failure !== undefined) {
        const { error } = failure
        failure = undefined
        return Promise.reject(error)
      }
      if (over) return Promise.resolve({ done: true, value: undefined })
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        if (source === undefined) {
          source = start(sink)
        } else {
          source.resume()
        }
      })
    },
    return() {
      if (!over) source?.cancel()
      over = true
      queue.length = 0
      return Promise.resolve({ done: true, value: undefined })
    },
  }
}

/** A web stream of what is pushed. Begins with the first read. */
export function streamOf(start: Start): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks = chunksOf(start)
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done === true) controller.close()
        else controller.enqueue(new Uint8Array(value))
      },
      async cancel() {
        await chunks.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
