import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAlternativeNames } from './alternative-names.ts'

const none = { dns: [], ip: [], email: [], uri: [] }

describe('parseAlternativeNames', () => {
  it('sorts names by their kind and keeps their order', () => {
    expect(
      parseAlternativeNames(
        'DNS:b.example, DNS:*.a.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, ' +
          'email:a@b.example, URI:spiffe://a/b, Registered ID:1.2.3',
      ),
    ).toEqual({
      dns: ['b.example', '*.a.example'],
      ip: ['127.0.0.1', '0:0:0:0:0:0:0:1'],
      email: ['a@b.example'],
      uri: ['spiffe://a/b'],
    })
  })

  it('is empty where there are none', () => {
    expect(parseAlternativeNames(undefined)).toEqual(none)
    expect(parseAlternativeNames('')).toEqual(none)
  })

  it('takes a quoted value as one name, whatever is in it', () => {
    expect(parseAlternativeNames('DNS:"a.example, DNS:admin.example", DNS:c.example').dns).toEqual([
      'a.example, DNS:admin.example',
      'c.example',
    ])
    expect(parseAlternativeNames('URI:"http://a/\\"\\u002c DNS:b"').uri).toEqual(['http://a/", DNS:b'])
  })

  it('believes nothing that comes after what it can not split', () => {
    expect(parseAlternativeNames('DNS:a.example, DNS:"open, DNS:b.example').dns).toEqual(['a.example'])
    expect(parseAlternativeNames('DNS:"bad \\x escape", DNS:b.example').dns).toEqual([])
  })

  it('finds again what was written, and throws for no text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary-ascii', maxLength: 20 }), { maxLength: 5 }), values => {
        const text = values.map(value => `DNS:${JSON.stringify(value)}`).join(', ')
        expect(parseAlternativeNames(text).dns).toEqual(values)
      }),
    )
    fc.assert(
      fc.property(fc.string(), text => {
        parseAlternativeNames(text)
        parseAlternativeNames(`DNS:${text}`)
        parseAlternativeNames(`constructor:a, DNS:"${text}"`)
      }),
    )
  })
})
