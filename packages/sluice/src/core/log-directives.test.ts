import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLogDirectives } from './log-directives.ts'

describe('parseLogDirectives', () => {
  it.each([
    ['', 'tls', 'info'],
    ['warn', 'tls', 'warn'],
    ['DEBUG', 'tls', 'debug'],
    ['off', 'tls', 'silent'],
    ['info,tls=debug', 'tls', 'debug'],
    ['info,tls=debug', 'net', 'info'],
    ['info, tls = debug ,', 'tls', 'debug'],
    ['tls=debug,warn', 'net', 'warn'],
    ['tls=debug', 'tls.accept', 'debug'],
    ['tls=debug,tls.accept=error', 'tls.accept.sni', 'error'],
    ['tls.accept=error,tls=debug', 'tls.accept', 'error'],
    ['tls=debug', 'tlsx', 'info'],
    ['tls=debug,tls=trace', 'tls', 'trace'],
    ['proxy-protocol=off', 'proxy-protocol', 'silent'],
  ])('%j gives %s the level %s', (text, target, level) => {
    const directives = parseLogDirectives(text)
    expect(directives.levelOf(target)).toBe(level)
    expect(directives.warnings).toEqual([])
  })

  it.each(['loud', 'tls=', '=debug', 'tls=loud', 'tls=debug=trace'])('leaves out %j and warns', wrong => {
    const directives = parseLogDirectives(`error,${wrong}`)
    expect(directives.levelOf('tls')).toBe('error')
    expect(directives.warnings).toEqual([expect.stringContaining(`log directive "${wrong}" is left out`)])
  })

  it('never throws, and always ends', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'tls.=,info debug') }),
        fc.string(),
        (text, target) => {
          expect(parseLogDirectives(text).levelOf(target)).toMatch(/^[a-z]+$/)
        },
      ),
    )
  })
})
