import { describe, expect, it } from 'vitest'
import { parseClientHello } from './index.ts'

function refusal(text: string): unknown {
  const bytes = Buffer.from(text, 'latin1')
  let code: unknown
  for (let length = 1; length <= bytes.length; length++) {
    try {
      expect(parseClientHello(bytes.subarray(0, length))).toBeUndefined()
    } catch (error) {
      code ??= (error as { code: unknown }).code
    }
  }
  try {
    parseClientHello(bytes)
  } catch (error) {
    const whole = error as { code: string; message: string }
    // Byte by byte comes to the same.
    expect(code).toBe(whole.code)
    return `${whole.code}: ${whole.message}`
  }
  return undefined
}

describe('plain HTTP on a TLS port', () => {
  it.each([
    'GET / HTTP/1.1\r\n',
    'POST /form',
    'OPTIONS *',
    'GET http://a.example/',
    'GET HTTPS://a.example/',
    'CONNECT a.example:443 HTTP/1.1',
    'CONNECT [::1]:443',
    'M-SEARCH *',
    'PROPFIND /dav',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ])('is told from other bytes: %j', text => {
    const method = text.slice(0, text.indexOf(' '))
    expect(refusal(text)).toBe(
      `TLS_PLAIN_HTTP: the client began a plain HTTP request (${method}) where TLS was expected; ` +
        "use https:// on the client's side",
    )
  })

  it('shows no more of it than the method', () => {
    expect(refusal('GET /?password=secret HTTP/1.1')).not.toContain('secret')
  })
})

describe('what is not TLS', () => {
  it.each([
    ['EHLO mail.example\r\n', 'EHLO mail.exampl...'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'SSH-2.0-OpenSSH_...'],
    ['get / http/1.1', 'get / http/1.1'],
    ['GET  / HTTP/1.1', 'GET  / HTTP/1.1'],
    ['GET htt /', 'GET htt /'],
    ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1', 'AAAAAAAAAAAAAAAA...'],
    ['\0', '\\x00'],
    ['\x80\x2e\x01\x03\x01', '\\x80.\\x01\\x03\\x01'],
    ['\x16\x02\x00', '\\x16\\x02\\x00'],
    ['\x15\x01', '\\x15\\x01'],
    ['\r\nGET / HTTP/1.1', '\\x0d\\x0aGET / HTTP/1.1'],
    ['\x1b[2J"', '\\x1b[2J"'],
  ])('is refused with its first bytes: %j', (text, shown) => {
    expect(refusal(text)).toBe(`TLS_NOT_TLS: the client sent "${shown}" where a TLS ClientHello was expected`)
  })

  it.each([
    ['PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n', 1],
    ['PROXY UNKNOWN\r\n', 1],
    ['\r\n\r\n\0\r\nQUIT\n\x21\x11', 2],
  ])('says what to do about a PROXY header: %j', (text, version) => {
    expect(refusal(text)).toBe(
      `TLS_NOT_TLS: the client sent a PROXY protocol header (version ${version}) where TLS was expected; ` +
        'put acceptProxyHeader above acceptTls',
    )
  })

  it.each(['G', 'GET', 'GET ', 'GET h', 'PROXY', '\r\n\r\n\0\r\nQUIT', '\x15', '\x16', '\x16\x03\x01'])(
    'is not decided too early: %j',
    text => {
      expect(refusal(text)).toBeUndefined()
    },
  )
})
