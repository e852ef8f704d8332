import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import http2 from 'node:http2'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { exchange, RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { temporaryFolder } from '../../../test/support/peers.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { type BodySink, type HttpRequest, type HttpResponse, text } from '../index.ts'
import { contentTypeOf } from './content-type.ts'
import { type FileOptions, file } from './file.ts'

const logs = captureLogs()
const folder = temporaryFolder()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  await until(() => openFiles().length === 0)
  logs.length = 0
})
afterAll(() => folder.remove())

/** What this process has open in the folder. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap(descriptor => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`)
      return path.startsWith(folder.path) ? [path] : []
    } catch {
      return []
    }
  })
}

const MODIFIED = new Date('2026-01-02T03:04:05.678Z')
const LAST_MODIFIED = 'Fri, 02 Jan 2026 03:04:05 GMT'

function write(name: string, content: string | Buffer): string {
  const path = join(folder.path, name)
  writeFileSync(path, content)
  utimesSync(path, MODIFIED, MODIFIED)
  return path
}

const small = write('small.txt', 'hello file\n')
const LARGE = 5 * 1024 * 1024 + 123
const noise = Buffer.alloc(LARGE, 'Sluice relays what comes, and nothing else. ')
const large = write('large.bin', noise)

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

async function get(
  path: string,
  fields: readonly string[] = [],
  { method = 'GET', ...options }: FileOptions & { method?: string } = {},
): Promise<Answer> {
  const { port } = await startHttp(request => file(request, path, options))
  const lines = [`${method} / HTTP/1.1`, 'Host: a', 'Connection: close', ...fields, '', '']
  const { received } = await exchange(port, lines.join('\r\n'))
  const end = received.indexOf('\r\n\r\n')
  const [statusLine = '', ...rest] = received.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(rest.map(line => line.split(': ') as [string, string]))
  return { status: Number(statusLine.split(' ')[1]), headers, body: received.slice(end + 4) }
}

describe('file', () => {
  it('answers with the file, its type, length, time and tag', async () => {
    const { status, headers, body } = await get(small)
    expect(status).toBe(200)
    expect(body).toBe('hello file\n')
    expect(headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '11',
      'last-modified': LAST_MODIFIED,
      etag: expect.stringMatching(/^W\/"b-[0-9a-f]+"$/),
      'accept-ranges': 'bytes',
    })
  })

  it('streams a large file as it is, over HTTP/1.1 and HTTP/2', async () => {
    const { headers, body } = await get(large)
    expect(headers['content-length']).toBe(String(LARGE))
    expect(Buffer.from(body, 'latin1').equals(noise)).toBe(true)

    const { port } = await startHttp(request => file(request, large))
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const hash = createHash('sha256')
    for await (const chunk of session.request({ ':path': '/' })) hash.update(chunk)
    session.close()
    expect(hash.digest('hex')).toBe(createHash('sha256').update(noise).digest('hex'))
  })

  it('has the fields that it is given, and the type before its own', async () => {
    const headers = { 'cache-control': 'max-age=60', 'Content-Type': 'text/x-mine' }
    const whole = await get(small, [], { headers })
    expect(whole.headers).toMatchObject({ 'cache-control': 'max-age=60', 'Content-Type': 'text/x-mine' })
    expect(whole.headers).not.toHaveProperty('content-type')
    const unchanged = await get(small, ['If-None-Match: *'], { headers })
    expect(unchanged.headers).toMatchObject({ 'cache-control': 'max-age=60' })
  })

  it('says of HEAD what it would of GET, whatever the range', async () => {
    for (const path of [small, large]) {
      const { headers, body } = await get(path, ['Range: bytes=0-1'], { method: 'HEAD' })
      const whole = await get(path)
      expect({ ...headers, date: '' }).toEqual({ ...whole.headers, date: '' })
      expect(body).toBe('')
    }
  })

  it('answers 304 if the client has it', async () => {
    const { headers } = await get(small)
    for (const field of [
      `If-None-Match: ${headers.etag}`,
      `If-Modified-Since: ${headers['last-modified']}`,
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await get(small, [field], { method })
        expect(answer.status).toBe(304)
        expect(answer.body).toBe('')
        expect(answer.headers).toMatchObject({ etag: headers.etag, 'last-modified': LAST_MODIFIED })
        expect(answer.headers).not.toHaveProperty('content-length')
        expect(answer.headers).not.toHaveProperty('content-type')
      }
    }
    expect((await get(small, ['If-Match: "x"'])).status).toBe(412)
  })

  it('has another tag when size or time are others', async () => {
    const path = write('changing.txt', 'one')
    const first = (await get(path)).headers.etag
    writeFileSync(path, 'other')
    utimesSync(path, MODIFIED, MODIFIED)
    const second = (await get(path)).headers.etag
    utimesSync(path, MODIFIED, new Date(MODIFIED.getTime() + 1))
    const third = (await get(path)).headers.etag
    expect(new Set([first, second, third]).size).toBe(3)
  })

  it.each([
    [small, 'bytes=1-4', 'ello', 'bytes 1-4/11'],
    [small, 'bytes=-5', 'file\n', 'bytes 6-10/11'],
    [small, 'bytes=10-', '\n', 'bytes 10-10/11'],
  ])('answers %s with the range %s', async (path, range, expected, contentRange) => {
    const { status, headers, body } = await get(path, [`Range: ${range}`])
    expect(status).toBe(206)
    expect(body).toBe(expected)
    expect(headers['content-range']).toBe(contentRange)
    expect(headers['content-length']).toBe(String(expected.length))
  })

  it('streams a large range', async () => {
    const { status, headers, body } = await get(large, ['Range: bytes=100-4000099'])
    expect(status).toBe(206)
    expect(headers['content-range']).toBe(`bytes 100-4000099/${LARGE}`)
    expect(Buffer.from(body, 'latin1').equals(noise.subarray(100, 4_000_100))).toBe(true)
  })

  it('goes on with a range if the file is the same, and begins again if not', async () => {
    const range = 'Range: bytes=6-'
    expect((await get(small, [range, `If-Range: ${LAST_MODIFIED}`])).status).toBe(206)
    const again = await get(small, [range, 'If-Range: Fri, 02 Jan 2026 03:04:04 GMT'])
    expect([again.status, again.body]).toEqual([200, 'hello file\n'])
  })

  it('answers 416 with the length for a range that is not there', async () => {
    const { status, headers, body } = await get(small, ['Range: bytes=11-'])
    expect([status, body, headers['content-range']]).toEqual([416, '', 'bytes */11'])
  })

  it('answers with an empty file', async () => {
    const { status, headers, body } = await get(write('empty', ''))
    expect([status, body, headers['content-length']]).toEqual([200, '', '0'])
    expect(headers['content-type']).toBe('application/octet-stream')
  })

  it('answers 404 where there is no file to be sent', async () => {
    mkdirSync(join(folder.path, 'sub'), { recursive: true })
    const loop = join(folder.path, 'loop')
    symlinkSync(loop, loop)
    const fifo = join(folder.path, 'fifo')
    execFileSync('mkfifo', [fifo])
    const socket = join(folder.path, 'socket')
    const server = createServer()
    await new Promise<void>(resolve => server.listen(socket, resolve))
    const missing = ['missing', 'sub', 'small.txt/x', 'loop', 'fifo', 'socket', 'a\0b', 'x'.repeat(300)]
    for (const name of [...missing.map(each => join(folder.path, each)), '', '/dev/null']) {
      expect([name, (await get(name)).status]).toEqual([name, 404])
    }
    server.close()
    const page = await get(join(folder.path, 'missing'), ['Accept: text/html'])
    expect(page.body).toContain('<h1>404 Not Found</h1>')
    expect(page.body).not.toContain('missing')
    expect(logs).toEqual([])
  })

  it('answers 405 for what is neither GET nor HEAD', async () => {
    const { status, headers } = await get(small, ['Content-Length: 0'], { method: 'POST' })
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
  })

  it('cuts an answer when the file becomes shorter, and says so', async () => {
    const path = write('shrinking.bin', Buffer.alloc(64 * 1024 * 1024))
    const { port } = await startHttp(request => file(request, path))
    const client = await RawClient.connect(port)
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until(() => client.received.length > 0)
    truncateSync(path, 1000)
    await client.over()
    expect(client.received.length).toBeLessThan(64 * 1024 * 1024)
    expect(logs).toMatchObject([{ code: 'HTTP_FILE_FAILED', level: 'error' }])
  })

  it('closes the file when the client goes, and when the answer is thrown away', async () => {
    let answered: HttpResponse | undefined
    const { port } = await startHttp(async request => {
      answered = await file(request, large)
      if (request.path === '/away') {
        answered.body.discard()
        return text('something else')
      }
      return answered
    })
    const client = await RawClient.connect(port)
    client.socket.pause()
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => answered !== undefined)
    client.socket.resetAndDestroy()
    await until(() => openFiles().length === 0)
    await exchange(port, 'GET /away HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await until(() => openFiles().length === 0)
  })

  it('closes the file in the middle of a read that nobody waits for any more', async () => {
    const { body } = await file(fakeRequest(), large)
    const source = body.pipe({
      data: () => expect.unreachable(),
      end: () => expect.unreachable(),
      fail: () => expect.unreachable(),
    })
    source.cancel()
    source.cancel()
    await until(() => openFiles().length === 0)
  })

  it('reads no further than the reader takes, and lends its memory to who borrows', async () => {
    const { body } = (await file(fakeRequest(), large)) as HttpResponse
    let taken = 0
    const buffers = new Set<ArrayBufferLike>()
    const done = Promise.withResolvers<void>()
    let resume: (() => void) | undefined
    const sink: BodySink = {
      borrows: true,
      data(chunk, lent) {
        expect(lent).toBe(true)
        taken += chunk.length
        buffers.add(chunk.buffer)
        source.pause()
        resume = () => source.resume()
      },
      end: () => done.resolve(),
      fail: error => done.reject(error),
    }
    const source = body.pipe(sink)
    await until(() => resume !== undefined)
    // However long it is paused, nothing more comes.
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(taken).toBe(64 * 1024)
    const resuming = setInterval(() => resume?.(), 0)
    await done.promise
    clearInterval(resuming)
    expect(taken).toBe(LARGE)
    expect(buffers.size).toBe(1)
  })

  it('tells the reader of a reader that throws, and closes the file', async () => {
    const { body } = await file(fakeRequest(), large)
    const failed = Promise.withResolvers<unknown>()
    body.pipe({
      data() {
        throw new Error('broken reader')
      },
      end: () => failed.reject(new Error('ended')),
      fail: failed.resolve,
    })
    expect(await failed.promise).toMatchObject({
      code: 'HTTP_FILE_FAILED',
      cause: { message: 'broken reader' },
    })
    await until(() => openFiles().length === 0)
  })
})

function fakeRequest(): HttpRequest {
  return { method: 'GET', headers: text('').headers } as unknown as HttpRequest
}

describe('contentTypeOf', () => {
  it.each([
    ['/srv/www/index.html', 'text/html; charset=utf-8'],
    ['APP.JS', 'text/javascript; charset=utf-8'],
    ['a.b.css', 'text/css; charset=utf-8'],
    ['photo.jpeg', 'image/jpeg'],
    ['font.woff2', 'font/woff2'],
    ['noend', 'application/octet-stream'],
    ['folder.html/noend', 'application/octet-stream'],
    ['/srv/.html', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ])('%s is %s', (path, type) => {
    expect(contentTypeOf(path)).toBe(type)
  })
})
