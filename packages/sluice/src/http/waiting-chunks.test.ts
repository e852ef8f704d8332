import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WaitingChunks } from './waiting-chunks.ts'

describe('chunks that wait', () => {
  it('come out as they went in, whatever their sizes', () => {
    const step = fc.oneof(
      fc.integer({ min: 1, max: 4000 }).map(size => ({ size })),
      fc.constant('shift' as const),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const waiting = new WaitingChunks()
        const pushed: Buffer[] = []
        const shifted: Buffer[] = []
        let byte = 0
        for (const one of steps) {
          if (one === 'shift') {
            const chunk = waiting.shift()
            if (chunk !== undefined) shifted.push(chunk)
          } else {
            // A part of something larger.
            const chunk = Buffer.alloc(one.size * 3, byte++ & 255).subarray(one.size, 2 * one.size)
            pushed.push(Buffer.from(chunk))
            waiting.push(chunk)
          }
          const inside = Buffer.concat(pushed).length - Buffer.concat(shifted).length
          expect(waiting.size).toBe(inside)
        }
        for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) shifted.push(chunk)
        expect(Buffer.concat(shifted).equals(Buffer.concat(pushed))).toBe(true)
        expect(waiting.size).toBe(0)
      }),
    )
  })

  it.each([
    ['of a byte', 1, 20_000],
    ['that are small', 600, 400],
    ['that are a part of something larger', 1500, 200],
  ])('%s take little more memory than they have bytes', (_name, size, count) => {
    const waiting = new WaitingChunks()
    for (let each = 0; each < count; each++) waiting.push(Buffer.alloc(65_536).subarray(0, size))
    const memory = new Set<ArrayBufferLike>()
    for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) memory.add(chunk.buffer)
    let bytes = 0
    for (const one of memory) bytes += one.byteLength
    expect(bytes).toBeLessThan(size * count * 2 + 4096)
  })

  it('come out as a whole', () => {
    const waiting = new WaitingChunks()
    for (const text of ['a', 'b'.repeat(5000), 'c']) waiting.push(Buffer.from(text))
    expect(waiting.whole().toString()).toBe(`a${'b'.repeat(5000)}c`)
    expect([waiting.size, waiting.whole().length]).toEqual([0, 0])
  })

  it('are gone when they are let go', () => {
    const waiting = new WaitingChunks()
    waiting.push(Buffer.from('a'))
    waiting.clear()
    waiting.push(Buffer.from('b'))
    expect([waiting.size, String(waiting.shift()), waiting.shift()]).toEqual([1, 'b', undefined])
  })
})
