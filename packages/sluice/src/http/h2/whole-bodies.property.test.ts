// Clients that keep to the windows, at whatever pace: each byte of a body comes once and in order, both ways.
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { startHttp, stopHttp } from '../../../test/support/http.ts'
import {
  block,
  data,
  END_STREAM,
  FrameClient,
  fields,
  frame,
  headers,
  PADDED,
  POST,
  settings,
  WINDOW_UPDATE,
  windowUpdate,
} from '../../../test/support/http2-frames.ts'
import { judge } from '../../../test/support/http2-judge.ts'
import { Random } from '../../../test/support/random.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { Body, type HttpRequest, type HttpResponse, text } from '../index.ts'

afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

const DATA = 0
/** What the server lets a client send at first, after what its first frames say. */
const STREAM_WINDOW = 256 * 1024
const FIRST_WINDOW = 65_535

/** Sends bodies back: as they come, or after all has come, chunk by chunk. */
async function echo({ body, path }: HttpRequest): Promise<HttpResponse> {
  if (path === '/stream') return { ...text(''), body }
  if (path === '/whole') return { ...text(''), body: Body.from(await body.bytes()) }
  return {
    ...text(''),
    body: Body.from(
      (async function* () {
        for await (const chunk of body) {
          await turn()
          yield chunk
        }
      })(),
    ),
  }
}

/** One body under way. */
interface Upload {
  readonly id: number
  readonly content: Buffer
  sent: number
  done: boolean
}

/** A client that sends some bodies by turns, and lets the server send a little at a time. */
class Client {
  readonly #random: Random
  readonly #client: FrameClient
  readonly #sent: Buffer[] = []
  readonly #uploads: Upload[]
  /** What the server still lets it send: for all streams (0), and for each. */
  readonly #credit = new Map<number, number>()
  /** What it lets the server send, and has not said yet. */
  readonly #owed = new Map<number, number>()
  #seen = 0

  constructor(client: FrameClient, random: Random, uploads: readonly Upload[]) {
    this.#client = client
    this.#random = random
    this.#uploads = [...uploads]
    this.#credit.set(0, FIRST_WINDOW)
    for (const { id } of uploads) this.#credit.set(id, STREAM_WINDOW)
  }

  async run(window: number): Promise<void> {
    const random = this.#random
    this.#send(settings([4, window]))
    for (const { id } of this.#uploads) {
      const path = random.pick(['/stream', '/whole', '/turns'])
      this.#send(headers(id, block(...fields(POST, { ':path': path })), 0))
    }
    while (!this.#uploads.every(({ id }) => this.#client.isDone(id))) {
      if (this.#client.isOver) throw new Error(`the session ended: ${this.#client.goaway}`)
      for (let times = random.below(8); times > 0; times--) this.#upload(random.pick(this.#uploads))
      this.#look()
      await turn()
    }
  }

  /** What came, as the RFC allows it. */
  judged() {
    const bytes = Buffer.concat(
      this.#client.frames.map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload)),
    )
    const sent = this.#sent.map(each => ({
      type: each[3] as number,
      flags: each[4] as number,
      stream: each.readUInt32BE(5),
      payload: each.subarray(9),
    }))
    return judge(bytes, sent)
  }

  #upload(upload: Upload): void {
    const { id, content, sent, done } = upload
    const room = Math.min(this.#credit.get(0) ?? 0, this.#credit.get(id) ?? 0, 16_384)
    const padding = this.#random.below(4) === 0 ? this.#random.below(20) : -1
    const length = Math.min(content.length - sent, this.#random.below(16_000), room - padding - 1)
    if (done || length < 0 || (length === 0 && sent < content.length)) return
    upload.sent += length
    upload.done = upload.sent === content.length
    const bytes = content.subarray(sent, upload.sent)
    const end = upload.done ? END_STREAM : 0
    const filled = padding < 0 ? bytes : Buffer.concat([Buffer.of(padding), bytes, Buffer.alloc(padding)])
    this.#send(data(id, filled, end | (padding < 0 ? 0 : PADDED)))
    for (const each of [0, id]) this.#credit.set(each, (this.#credit.get(each) ?? 0) - filled.length)
  }

  /** Reads what came, and opens windows again, at once or later. */
  #look(): void {
    const { frames } = this.#client
    for (; this.#seen < frames.length; this.#seen++) {
      const one = frames[this.#seen]
      if (one?.type === WINDOW_UPDATE) {
        this.#credit.set(one.stream, (this.#credit.get(one.stream) ?? 0) + one.payload.readUInt32BE(0))
      }
      if (one?.type !== DATA || one.payload.length === 0) continue
      for (const each of [0, one.stream]) {
        this.#owed.set(each, (this.#owed.get(each) ?? 0) + one.payload.length)
      }
    }
    for (const [id, owed] of this.#owed) {
      if (this.#random.below(3) > 0) continue
      this.#owed.delete(id)
      this.#send(windowUpdate(id, owed))
    }
  }

  #send(bytes: Buffer): void {
    this.#sent.push(bytes)
    this.#client.send(...this.#random.split(bytes, 3))
  }
}

describe('bodies over HTTP/2', () => {
  it('come whole at any pace, both ways', async () => {
    const { port } = await startHttp(echo)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.nat(100_000), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(1000, 5000, 65_535, 1_000_000),
        async (seed, sizes, window) => {
          const random = new Random(seed)
          const uploads = sizes.map((size, index) => ({
            id: 2 * index + 1,
            content: Buffer.alloc(size, `${seed} ${index} and so on `),
            sent: 0,
            done: false,
          }))
          const client = await FrameClient.connect(port, Buffer.alloc(0))
          const judged = new Client(client, random, uploads)
          await judged.run(window)
          const { streams } = judged.judged()
          for (const { id, content } of uploads) {
            const stream = streams.get(id)
            expect(stream?.reset).toBeUndefined()
            expect(Buffer.concat(stream?.body ?? []).equals(content)).toBe(true)
          }
          client.raw.socket.destroy()
        },
      ),
      { numRuns: 20 },
    )
  })
})
