import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RedirectStatus, redirect } from './redirect.ts'

const locationOf = (location: string): string | undefined => redirect(location).headers.get('location')

describe('redirect', () => {
  it('answers with the place, and 302 unless told', () => {
    const answer = redirect('/login?next=%2Fcart#top')
    expect(answer.status).toBe(302)
    expect(answer.headers.get('location')).toBe('/login?next=%2Fcart#top')
    expect(answer.body.length).toBe(0)
    for (const status of [301, 303, 307, 308] as const) expect(redirect('/', status).status).toBe(status)
  })

  it.each([
    ['https://a.example:8443/p?q=[1]&r=a+b', 'https://a.example:8443/p?q=[1]&r=a+b'],
    ['/a b', '/a%20b'],
    ['/über/日本?x=é', '/%C3%BCber/%E6%97%A5%E6%9C%AC?x=%C3%A9'],
    ['/100%', '/100%25'],
    ['/%zz%4', '/%25zz%254'],
    ['/%e4%BD', '/%e4%BD'],
    ['/\\evil.example', '/%5Cevil.example'],
    ['/<script>"\'`{}|^', "/%3Cscript%3E%22'%60%7B%7D%7C%5E"],
    ['/\u202e\u2028', '/%E2%80%AE%E2%80%A8'],
    ['/😀', '/%F0%9F%98%80'],
  ])('encodes what must be: %j', (location, expected) => {
    expect(locationOf(location)).toBe(expected)
  })

  it.each(['', '/a\r\nSet-Cookie: a=b', '/a\nb', '/\0', '/\x7f', '/\x85', '/\ud800'])(
    'refuses %j',
    location => {
      expect(() => redirect(location)).toThrow(expect.objectContaining({ code: 'HTTP_HEADER_INVALID' }))
    },
  )

  it('refuses a status that does not redirect', () => {
    for (const status of [200, 300, 304, 305, 306, 404, Number.NaN]) {
      expect(() => redirect('/', status as RedirectStatus)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    }
  })

  it('makes a field value of URL characters, and of one that is made nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), text => {
        if (/\p{Cc}/u.test(text)) return
        const location = locationOf(text) ?? ''
        expect(location).toMatch(/^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/)
        expect(locationOf(location)).toBe(location)
      }),
    )
  })
})
