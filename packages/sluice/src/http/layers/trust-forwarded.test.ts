import { afterEach, describe, expect, it } from 'vitest'
import { exchange, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { stack } from '../../core/index.ts'
import { type Connection, IpAddress, type Listener, listen } from '../../net/index.ts'
import { acceptProxyHeader } from '../../proxy-protocol/index.ts'
import { type HttpRequest, type HttpResponse, json, serveHttp } from '../index.ts'
import { type TrustForwardedOptions, trustForwarded } from './trust-forwarded.ts'

captureLogs()
let listener: Listener | undefined
afterEach(async () => {
  await stopHttp()
  await listener?.close(0)
  listener = undefined
  await closeSockets()
})

const told = (options: TrustForwardedOptions) =>
  stack<HttpRequest, HttpResponse>()
    .layer(trustForwarded(options))
    .service(({ client }) => json({ ...client, address: String(client.address) }))

/** What is known of the client of a request with these fields, which comes from 127.0.0.1. */
async function clientOf(fields: readonly string[], options: TrustForwardedOptions = { trust: [] }) {
  const { port } = await startHttp(told(options))
  return ask(port, fields)
}

async function ask(port: number, fields: readonly string[], before = '') {
  const lines = ['GET / HTTP/1.1', 'Host: seen.example', 'Connection: close', ...fields, '', '']
  const { received } = await exchange(port, before + lines.join('\r\n'))
  return JSON.parse(received.slice(received.indexOf('\r\n\r\n')))
}

const PROXIES = { trust: ['loopback', '10.0.0.0/8'] }
const OBSERVED = { scheme: 'http', host: 'seen.example' }
/** It is not known who the client is. */
const UNKNOWN = { ...OBSERVED, address: 'undefined', trusted: false }

describe('trustForwarded', () => {
  it('takes the sender for the client, whatever the fields of a stranger say', async () => {
    const fields = [
      'Forwarded: for=192.0.2.1;proto=https;host=a.example',
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: a.example',
    ]
    const client = await clientOf(fields, { trust: ['10.0.0.0/8'] })
    expect(client).toEqual({
      ...OBSERVED,
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      trusted: false,
    })
  })

  it('takes a trusted sender that says nothing for the client, and what it says of the scheme and host', async () => {
    const address = expect.stringMatching(/^127\.0\.0\.1:\d+$/)
    expect(await clientOf([], PROXIES)).toEqual({ ...OBSERVED, address, trusted: true })
    expect(await clientOf(['X-Forwarded-Proto: HTTPS'], PROXIES)).toMatchObject({ address, scheme: 'https' })
  })

  it.each([
    [
      ['Forwarded: for=192.0.2.7;proto=https;host="a.example:8443"'],
      '192.0.2.7:0',
      'https',
      'a.example:8443',
    ],
    [['Forwarded: for="[2001:db8::7]:4711"'], '[2001:db8::7]:4711', 'http', 'seen.example'],
    [
      ['Forwarded: for=192.0.2.7;proto=https;host=a.example, for=10.0.0.2;proto=http;host=b.internal'],
      '192.0.2.7:0',
      'https',
      'a.example',
    ],
    [
      ['Forwarded: for=192.0.2.66', 'Forwarded: for=192.0.2.7, for=10.0.0.2'],
      '192.0.2.7:0',
      'http',
      undefined,
    ],
    [['X-Forwarded-For: 192.0.2.7'], '192.0.2.7:0', 'http', 'seen.example'],
    [['X-Forwarded-For: 2001:db8::7'], '[2001:db8::7]:0', 'http', 'seen.example'],
    [['X-Forwarded-For: 192.0.2.7:4711 ,\t10.0.0.2'], '192.0.2.7:4711', 'http', 'seen.example'],
    [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-For: 10.0.0.2'], '192.0.2.7:0', 'http', 'seen.example'],
    [['X-Forwarded-For: 10.0.0.3, 10.0.0.2'], '10.0.0.3:0', 'http', 'seen.example'],
    [
      ['X-Forwarded-For: 192.0.2.7, 10.0.0.2', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a.example'],
      '192.0.2.7:0',
      'https',
      'a.example',
    ],
    [
      ['X-Forwarded-For: 192.0.2.66, 192.0.2.7, 10.0.0.2', 'X-Forwarded-Proto: http, https, http'],
      '192.0.2.7:0',
      'https',
      'seen.example',
    ],
    [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: wss'], '192.0.2.7:0', 'https', 'seen.example'],
  ])('believes trusted proxies: %j', async (fields, address, scheme, host) => {
    expect(await clientOf(fields, PROXIES)).toEqual({
      address,
      scheme,
      host: host ?? 'seen.example',
      trusted: true,
    })
  })

  it.each([
    [['X-Forwarded-For: 10.0.0.1, 192.0.2.7'], 'a trusted address'],
    [['X-Forwarded-For: 127.0.0.1, evil, 192.0.2.7'], 'nonsense'],
    [[`X-Forwarded-For: ${'10.0.0.9, '.repeat(100)}192.0.2.7`], 'a long list'],
    [['Forwarded: for=10.0.0.1, for=192.0.2.7'], 'a trusted address in Forwarded'],
    [['Forwarded: for="', 'Forwarded: for=192.0.2.7'], 'an open quote in a line of its own'],
    [['X-Forwarded-For: 192.0.2.7', 'Forwarded: for=10.0.0.1, for=192.0.2.7'], 'a chain in the other field'],
  ])('does not look beyond the first that is not trusted: %j (%s)', async fields => {
    expect(await clientOf(fields, PROXIES)).toMatchObject({ address: '192.0.2.7:0', trusted: true })
  })

  it.each([
    ['Forwarded: for=unknown;proto=https'],
    ['Forwarded: for=_hidden;proto=https'],
    ['Forwarded: proto=https'],
    ['Forwarded: for=192.0.2.7, for=unknown;proto=https, for=10.0.0.2'],
    ['X-Forwarded-For: unknown', 'X-Forwarded-Proto: https'],
  ])('knows no address where a trusted proxy hides it: %s', async (...fields) => {
    expect(await clientOf(fields, PROXIES)).toEqual({
      ...OBSERVED,
      address: 'undefined',
      scheme: 'https',
      trusted: true,
    })
  })

  it.each([
    [['Forwarded: for=192.0.2.7:80'], 'no quotes'],
    // As a proxy would write that appends to what a stranger sent.
    [['Forwarded: for=", for=192.0.2.7'], 'an open quote'],
    [['Forwarded: for=192.0.2.7; proto=https'], 'a space'],
    [['X-Forwarded-For: 192.0.2.7, '], 'an empty hop'],
    [['X-Forwarded-For: proxy.example'], 'a name'],
    [['X-Forwarded-For: "192.0.2.7"'], 'quotes'],
    [['X-Forwarded-For: 192.0.2.7, evil, 10.0.0.2'], 'nonsense said by a trusted proxy'],
    [[`X-Forwarded-For: 192.0.2.7, ${Array(50).fill('10.0.0.9').join(', ')}`], 'more than 50 proxies'],
    [['X-Forwarded-For: 192.0.2.7', 'Forwarded: for=192.0.2.8'], 'two fields that contradict each other'],
    [['X-Forwarded-For: 192.0.2.7', 'Forwarded: for=unknown'], 'one field that hides what the other tells'],
    [
      ['X-Forwarded-For: 192.0.2.7, 10.0.0.2', 'Forwarded: for=192.0.2.8, for=10.0.0.2'],
      'two fields that part on the way',
    ],
  ])('guesses nothing: %j (%s)', async fields => {
    expect(await clientOf(fields, PROXIES)).toEqual(UNKNOWN)
  })

  it('takes 50 proxies, and a chain that only one of the fields goes on with', async () => {
    const long = `X-Forwarded-For: 192.0.2.7, ${Array(49).fill('10.0.0.9').join(', ')}`
    expect(await clientOf([long], PROXIES)).toMatchObject({ address: '192.0.2.7:0', trusted: true })
    const both = ['X-Forwarded-For: 192.0.2.7, 10.0.0.2', 'Forwarded: for=10.0.0.2;proto=http']
    expect(await clientOf(both, PROXIES)).toMatchObject({ address: '192.0.2.7:0', trusted: true })
    const without = ['X-Forwarded-For: 192.0.2.7', 'Forwarded: proto=https']
    expect(await clientOf(without, PROXIES)).toMatchObject({ address: '192.0.2.7:0', scheme: 'https' })
  })

  it.each([
    [['X-Forwarded-Proto: gopher'], 'a scheme that is none'],
    [['X-Forwarded-Proto: https, http'], 'several, and one hop'],
    [['X-Forwarded-Host: a.example, b.example'], 'several hosts'],
    [['X-Forwarded-Host: user@a.example'], 'a host that is none'],
    [['X-Forwarded-Host: a.example/path'], 'a host with a path'],
    [['Forwarded: for=192.0.2.7;proto=https', 'X-Forwarded-Proto: http'], 'schemes that contradict'],
    [['Forwarded: for=192.0.2.7;host=a.example', 'X-Forwarded-Host: b.example'], 'hosts that contradict'],
  ])('keeps the address, and falls back to what is observed for the rest: %j (%s)', async fields => {
    expect(await clientOf(['X-Forwarded-For: 192.0.2.7', ...fields], PROXIES)).toEqual({
      ...OBSERVED,
      address: '192.0.2.7:0',
      trusted: false,
    })
  })

  it('takes a host with the port of its scheme for the same', async () => {
    const fields = [
      'Forwarded: for=192.0.2.7;proto=https;host="A.example:443"',
      'X-Forwarded-Host: a.example',
      'X-Forwarded-For: 192.0.2.7',
    ]
    expect(await clientOf(fields, PROXIES)).toMatchObject({ host: 'A.example:443', trusted: true })
  })

  it('looks at the fields alone that it is told to', async () => {
    const fields = ['Forwarded: for=192.0.2.8;proto=https', 'X-Forwarded-For: 192.0.2.7']
    expect(await clientOf(fields, { ...PROXIES, fields: 'forwarded' })).toMatchObject({
      address: '192.0.2.8:0',
      scheme: 'https',
      trusted: true,
    })
    expect(await clientOf(fields, { ...PROXIES, fields: 'x-forwarded' })).toMatchObject({
      address: '192.0.2.7:0',
      scheme: 'http',
      trusted: true,
    })
    expect(() => trustForwarded({ ...PROXIES, fields: 'none' as 'forwarded' })).toThrow(/fields is "none"/)
    expect(() => trustForwarded({ trust: ['everyone'] })).toThrow(
      expect.objectContaining({ code: 'CIDR_INVALID' }),
    )
  })

  it('asks for trust in the source of a PROXY header, not in the balancer that wrote it', async () => {
    listener = await listen(
      '127.0.0.1:0',
      {},
      stack<Connection>()
        .layer(acceptProxyHeader({ trust: ['loopback'] }))
        .service(serveHttp(told({ trust: ['10.0.0.0/8'] }))),
    )
    const port = listener.address instanceof IpAddress ? listener.address.port : 0
    const fields = ['X-Forwarded-For: 192.0.2.7']
    expect(await ask(port, fields, 'PROXY TCP4 10.0.0.5 10.0.0.1 4711 80\r\n')).toMatchObject({
      address: '192.0.2.7:0',
      trusted: true,
    })
    expect(await ask(port, fields, 'PROXY TCP4 192.0.2.66 10.0.0.1 4711 80\r\n')).toMatchObject({
      address: '192.0.2.66:4711',
      trusted: false,
    })
    // The balancer's own connection: it is the sender, and not in this list.
    expect(await ask(port, fields, 'PROXY UNKNOWN\r\n')).toMatchObject({
      address: expect.stringMatching(/^127\.0\.0\.1:/),
      trusted: false,
    })
  })
})
