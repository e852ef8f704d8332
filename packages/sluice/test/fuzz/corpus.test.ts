// The kept inputs of the fuzz targets, those with which something was found among them, as an ordinary test.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../support/random.ts'
import { checkRequests, checkResponse } from './codec-oracles.ts'
import { corpus } from './corpus.ts'
import { checkHpack } from './hpack-oracle.ts'
import { checkHttp2Frames, checkHttp2Session } from './http2-oracles.ts'
import { mutate } from './mutate.ts'
import { FuzzedProxy } from './proxy-oracles.ts'

let proxy: FuzzedProxy
beforeAll(async () => {
  proxy = await FuzzedProxy.start()
})
afterAll(() => proxy.close())

describe('requests of the corpus', () => {
  it.each(corpus('requests'))('$name', async ({ bytes }) => {
    await checkRequests(bytes, new Random(1))
    await proxy.checkRequests(bytes, new Random(1))
  })
})

describe('responses of the corpus', () => {
  it.each(corpus('responses'))('$name', async ({ bytes }) => {
    for (const method of ['GET', 'HEAD']) {
      await checkResponse(bytes, new Random(1), method)
      await proxy.checkResponse(bytes, new Random(1), method)
    }
  })
})

describe('field sections of the corpus', () => {
  it.each(corpus('hpack'))('$name', ({ bytes }) => {
    for (let seed = 0; seed < 20; seed++) checkHpack(bytes, new Random(seed))
  })
})

describe('frames of the corpus', () => {
  it.each(corpus('http2'))('$name', async ({ bytes }) => {
    for (let seed = 0; seed < 10; seed++) {
      await checkHttp2Frames(bytes, new Random(seed))
      await checkHttp2Session(bytes, new Random(seed))
    }
  })
})

describe('mutations', () => {
  it('are the same for the same seed, and often still accepted', async () => {
    const inputs = corpus('requests').map(({ bytes }) => bytes)
    let accepted = 0
    for (let seed = 0; seed < 200; seed++) {
      const [once, again] = [new Random(seed), new Random(seed)].map(random =>
        mutate(random, random.pick(inputs), inputs),
      )
      expect(again).toEqual(once)
      accepted += Math.min(1, await checkRequests(once ?? Buffer.alloc(0), new Random(seed)))
    }
    expect(accepted).toBeGreaterThan(20)
    expect(accepted).toBeLessThan(190)
  })
})
