// serveHttp with real clients: curl (1.0, 1.1, 2, prior knowledge, uploads, Expect), nghttp and h2load, on plain
// connections and below TLS.
import { writeFileSync } from 'node:fs'
import { configureLogging, stack } from 'sluice'
import { fetchHandler, type HttpRequest, json, respond, serveHttp, text } from 'sluice/http'
import { type Connection, IpAddress, type Listener, listen } from 'sluice/net'
import { acceptTls, selfSigned } from 'sluice/tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runPeer, temporaryFolder } from '../support/peers.ts'

configureLogging({ directives: 'off' })

const SIZE = 3_000_000
const folder = temporaryFolder()
const upload = `${folder.path}/upload`
const listeners: Listener[] = []
let plain = ''
let secure = ''

async function service(request: HttpRequest) {
  switch (request.path) {
    case '/echo': {
      // Behind a body whose length is told, trailers go out only if they are announced.
      const trailer = request.headers.get('trailer')
      return respond(request.body, trailer === undefined ? {} : { headers: { trailer } })
    }
    case '/length':
      return text(String((await request.body.bytes({ limit: '10mb' })).length))
    case '/download':
      return respond(Buffer.alloc(SIZE, 'x'))
    case '/refuse':
      return text('no', { status: 403 })
    case '/web':
      return fetchHandler(async web => new Response(web.body, { headers: { 'x-method': web.method } }))(
        request,
      )
    default:
      return json({ version: request.version, scheme: request.scheme, authority: request.authority })
  }
}

async function port(listening: Promise<Listener>): Promise<number> {
  const listener = await listening
  listeners.push(listener)
  return listener.address instanceof IpAddress ? listener.address.port : 0
}

beforeAll(async () => {
  writeFileSync(upload, Buffer.alloc(SIZE, 'y'))
  plain = `http://127.0.0.1:${await port(listen('127.0.0.1:0', {}, serveHttp(service)))}`
  const terminating = stack<Connection>()
    .layer(acceptTls({ certificate: selfSigned(), alpn: ['h2', 'http/1.1'] }))
    .service(serveHttp(service))
  secure = `https://127.0.0.1:${await port(listen('127.0.0.1:0', {}, terminating))}`
})

afterAll(async () => {
  await Promise.all(listeners.map(listener => listener.close(0)))
  folder.remove()
})

async function curl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runPeer('curl', 'curl', ['-sS', '-k', '--max-time', '15', ...args])
  expect(code, stderr).toBe(0)
  return stdout
}

const VARIANTS: readonly (readonly [
  name: string,
  base: () => string,
  args: readonly string[],
  version: string,
])[] = [
  ['HTTP/1.0', () => plain, ['--http1.0'], '1.0'],
  ['HTTP/1.1', () => plain, ['--http1.1'], '1.1'],
  ['HTTP/2 by prior knowledge', () => plain, ['--http2-prior-knowledge'], '2'],
  ['an upgrade to h2c that is not taken', () => plain, ['--http2'], '1.1'],
  ['HTTP/1.1 below TLS', () => secure, ['--http1.1'], '1.1'],
  ['HTTP/2 below TLS', () => secure, ['--http2'], '2'],
  ['HTTP/1.1 below TLS without ALPN', () => secure, ['--no-alpn'], '1.1'],
]

describe.each(VARIANTS)('curl with %s', (_name, base, args, version) => {
  it('is answered', async () => {
    const { host, protocol } = new URL(base())
    const answer = JSON.parse(await curl(...args, `${base()}/`))
    expect(answer).toEqual({ version, scheme: protocol.slice(0, -1), authority: host })
  })

  // curl 7.88 can't use a session by prior knowledge again, with any server; nghttp, below, can.
  if (!args.includes('--http2-prior-knowledge')) {
    it('gets several answers on one connection', async () => {
      const urls = Array.from({ length: 5 }, (_each, index) => `${base()}/echo?${index}`)
      const keep = version === '1.0' ? ['-H', 'Connection: keep-alive'] : []
      const answer = await curl(...args, ...keep, '-w', '%{num_connects},', ...urls)
      expect(answer).toBe('1,0,0,0,0,')
    })
  }

  it('asks for the head alone', async () => {
    const answer = await curl(...args, '-I', `${base()}/download`)
    expect(answer).toMatch(/^HTTP\/[\d.]+ 200/)
    expect(answer.toLowerCase()).toContain(`content-length: ${SIZE}\r\n`)
  })

  it('uploads and downloads', async () => {
    expect(await curl(...args, '-T', upload, `${base()}/length`)).toBe(String(SIZE))
    expect(await curl(...args, '-o', '/dev/null', '-w', '%{size_download}', `${base()}/download`)).toBe(
      String(SIZE),
    )
    const echoed = await curl(...args, '--data-binary', `@${upload}`, `${base()}/echo`)
    expect(echoed.length).toBe(SIZE)
    const web = await curl(...args, '--data-binary', `@${upload}`, `${base()}/web`)
    expect(web.length).toBe(SIZE)
  })

  it('learns of a refusal while it uploads', async () => {
    const answer = await curl(...args, '-T', upload, '-w', '%{http_code}', `${base()}/refuse`)
    expect(answer).toBe('no403')
  })

  if (version !== '1.0') {
    it('uploads chunks, and after 100 Continue', async () => {
      expect(await curl(...args, '-H', 'Transfer-Encoding: chunked', '-T', upload, `${base()}/length`)).toBe(
        String(SIZE),
      )
      const expecting = await curl(
        ...args,
        '-v',
        '-H',
        'Expect: 100-continue',
        '-T',
        upload,
        '--stderr',
        '-',
        `${base()}/length`,
      )
      expect(expecting).toMatch(/< HTTP\/[\d.]+ 100/)
      expect(expecting).toContain(String(SIZE))
    })
  }
})

describe('nghttp', () => {
  it.each([
    ['prior knowledge', () => plain],
    ['ALPN', () => secure],
  ])('gets several answers on one session with %s', async (_name, base) => {
    const { code, stdout } = await runPeer('nghttp', 'nghttp2-client', [
      '-s',
      '-n',
      `${base()}/`,
      `${base()}/download`,
      `${base()}/echo`,
    ])
    expect(code).toBe(0)
    expect(stdout.match(/ 200 /g)).toHaveLength(3)
  })

  it('uploads with trailers', async () => {
    const { stdout } = await runPeer('nghttp', 'nghttp2-client', [
      '-v',
      '-d',
      upload,
      '--trailer',
      'x-sum: 1',
      `${plain}/echo`,
    ])
    expect(/recv .*x-sum: 1/.test(stdout)).toBe(true)
  })
})

describe('h2load', () => {
  it('has every one of many requests answered', async () => {
    const { stdout } = await runPeer('h2load', 'nghttp2-client', [
      '-n',
      '2000',
      '-c',
      '4',
      '-m',
      '100',
      `${plain}/`,
    ])
    expect(stdout).toContain('2000 succeeded, 0 failed, 0 errored')
  })
})
