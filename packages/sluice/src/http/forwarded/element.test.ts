import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ForwardedElement, parseForwarded } from './element.ts'

describe('parseForwarded', () => {
  it('reads the examples of RFC 7239', () => {
    expect(parseForwarded('for="_gazonk"')).toEqual([{ for: '_gazonk' }])
    expect(parseForwarded('For="[2001:db8:cafe::17]:4711"')).toEqual([{ for: '[2001:db8:cafe::17]:4711' }])
    expect(parseForwarded('for=192.0.2.60;proto=http;by=203.0.113.43')).toEqual([
      { for: '192.0.2.60', proto: 'http', by: '203.0.113.43' },
    ])
    expect(parseForwarded('for=192.0.2.43, for=198.51.100.17')).toEqual([
      { for: '192.0.2.43' },
      { for: '198.51.100.17' },
    ])
    expect(parseForwarded('for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown')).toEqual([
      { for: '192.0.2.43' },
      { for: '[2001:db8:cafe::17]' },
      { for: 'unknown' },
    ])
    expect(parseForwarded('for=_hidden, for=_SEVKISEK')).toHaveLength(2)
  })

  it('reads names in any case, empty elements and pairs, and parameters of others', () => {
    expect(parseForwarded('FOR=a;PROTO=b')).toEqual([{ for: 'a', proto: 'b' }])
    expect(parseForwarded(' , for=a , ,\t for=b,')).toEqual([{ for: 'a' }, { for: 'b' }])
    expect(parseForwarded('for=a;;host=b;')).toEqual([{ for: 'a', host: 'b' }])
    expect(parseForwarded('secret=x;for=a')).toEqual([{ for: 'a' }])
    expect(parseForwarded('__proto__=x;constructor=y')).toEqual([{}])
  })

  it('reads quoted strings: what is escaped, and what would end a list outside of them', () => {
    expect(parseForwarded('for="a\\"b\\\\c, for=d;x"')).toEqual([{ for: 'a"b\\c, for=d;x' }])
    expect(parseForwarded('for=""')).toEqual([{ for: '' }])
  })

  it.each([
    ['', 'nothing'],
    [' , ,', 'only empty elements'],
    ['for', 'no value'],
    ['for=', 'an empty value'],
    ['=a', 'no name'],
    ['for = a', 'spaces around ='],
    ['for=a; host=b', 'a space after ;'],
    ['for=a ;host=b', 'a space before ;'],
    ['for=192.0.2.1:80', 'a port without quotes'],
    ['for=[::1]', 'brackets without quotes'],
    ['for="a', 'an open quote'],
    ['for="a\\', 'an open escape'],
    ['for="a"b', 'something after the quote'],
    ['for=a"b"', 'a quote inside a token'],
    ['for=a;FOR=b', 'a parameter twice'],
    ['x=1;for=a;X=2', 'a parameter of others twice'],
    ['for=a b', 'two tokens'],
    ['for=\u00e9', 'obs-text without quotes'],
    ['for="\u0100"', 'what no field can have'],
    ['for="a\x7fb"', 'a control character'],
    ['for="a\\\nb"', 'an escaped line end'],
  ])('refuses %j: %s', value => {
    expect(parseForwarded(value)).toBeUndefined()
  })

  const text = fc.string({
    unit: fc.constantFrom(...'ab1.:[]_-"\\,;= \t()\u00e9'),
    maxLength: 12,
  })
  const element: fc.Arbitrary<ForwardedElement> = fc.record(
    { for: text, by: text, host: text, proto: text },
    { requiredKeys: ['for'] },
  )

  it('reads what was written by the grammar', () => {
    const space = fc.constantFrom('', ' ', '\t', '  ')
    fc.assert(
      fc.property(
        fc.array(element, { minLength: 1, maxLength: 4 }),
        space,
        space,
        (elements, left, right) => {
          const written = elements.map(one =>
            Object.entries(one)
              .map(([name, value]) => `${name}=${printed(value)}`)
              .join(';'),
          )
          expect(parseForwarded(written.join(`${left},${right}`))).toEqual(elements)
        },
      ),
    )
  })

  it('reads any text or refuses it, and what it reads means the same when written again', () => {
    const tricky = fc.string({ unit: fc.constantFrom(...'for=by;,"\\ a1.:[]\t\x00\u00ff'), maxLength: 30 })
    fc.assert(
      fc.property(tricky, value => {
        const elements = parseForwarded(value)
        if (elements === undefined) return
        const written = elements.map(one => {
          const pairs = Object.entries(one).map(([name, each]) => `${name}=${printed(each)}`)
          return pairs.join(';') || 'x=y'
        })
        expect(parseForwarded(written.join(','))).toEqual(elements)
      }),
      { numRuns: 2000 },
    )
  })
})

function printed(value: string): string {
  if (/^[a-z0-9._-]+$/i.test(value)) return value
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}
