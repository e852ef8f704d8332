import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets } from '../../../test/support/sockets.ts'
import { Body, empty, HeaderList, type HttpRequest, type HttpResponse, respond, text } from '../index.ts'
import { Outbox } from './outbox.ts'

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})

/** Answers that others follow, and such as are the last on their connection. */
const MIDDLE = [
  'text',
  'bytes',
  'empty',
  'later',
  'streamed',
  'dripped',
  'informed',
  'continued',
  'head',
] as const
const LAST = ['close', 'upgrade', 'malformed', 'cut', 'large'] as const
type Kind = (typeof MIDDLE)[number] | (typeof LAST)[number]

const LARGE = 300_000

async function* pieces(waits: boolean, breaks = false): AsyncGenerator<Buffer> {
  for (const piece of ['one', 'two', 'three']) {
    if (waits) await turn()
    yield Buffer.from(piece)
  }
  if (breaks) throw new Error('broken')
}

async function serve(request: HttpRequest): Promise<HttpResponse> {
  await turn()
  return text(request.path)
}

function answer(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
  const kind = request.path.slice(1) as Kind
  switch (kind) {
    case 'bytes':
      return respond(Buffer.from(request.path))
    case 'empty':
      return empty()
    case 'later':
      return serve(request)
    case 'streamed':
    case 'dripped':
    case 'cut':
      return respond(pieces(kind === 'dripped', kind === 'cut'))
    case 'informed':
      request.inform(103, new HeaderList({ link: '<a>' }))
      return request.query === '' ? text(request.path) : serve(request)
    case 'continued':
      return request.body.text().then(text)
    case 'upgrade': {
      const tunnel = ({ socket }: { socket: NodeJS.WritableStream }): void => void socket.end('tunnelled')
      return { status: 101, headers: new HeaderList(), body: Body.empty, tunnel }
    }
    case 'large':
      return respond(Buffer.alloc(LARGE, 'x'))
    default:
      return text(request.path)
  }
}

function ask(kind: Kind): string {
  const fields = {
    continued: 'Expect: 100-continue\r\nContent-Length: 10\r\n',
    close: 'Connection: close\r\n',
    large: 'Connection: close\r\n',
    upgrade: 'Connection: upgrade\r\nUpgrade: test\r\n',
    malformed: 'a b\r\n',
  }
  const method = kind === 'continued' ? 'POST' : kind === 'head' ? 'HEAD' : 'GET'
  const own = fields[kind as keyof typeof fields] ?? ''
  return `${method} /${kind} HTTP/1.1\r\nHost: a\r\n${own}\r\n${kind === 'continued' ? '/continued' : ''}`
}

/** What comes for it, without fields that are the same in all. */
function expected(kind: Kind): string {
  const plain = `HTTP/1.1 200 OK\r\ncontent-length: ${kind.length + 1}\r\n`
  const chunked =
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n'
  switch (kind) {
    case 'empty':
      return 'HTTP/1.1 204 No Content\r\n\r\n'
    case 'head':
      return `${plain}\r\n`
    case 'streamed':
    case 'dripped':
      return `${chunked}0\r\n\r\n`
    case 'cut':
      return chunked
    case 'informed':
      return `HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n${plain}\r\n/${kind}`
    case 'close':
      return `${plain}connection: close\r\n\r\n/${kind}`
    case 'upgrade':
      return 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: test\r\n\r\ntunnelled'
    case 'large':
      return `HTTP/1.1 200 OK\r\ncontent-length: ${LARGE}\r\nconnection: close\r\n\r\n${'x'.repeat(LARGE)}`
    case 'malformed':
      return 'HTTP/1.1 400 Bad Request\r\n'
    default:
      return `${plain}\r\n/${kind}`
  }
}

function plain(received: string): string {
  return received
    .replaceAll(/date: [^\r]+\r\n/g, '')
    .replaceAll('content-type: text/plain; charset=utf-8\r\n', '')
    .replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '')
    .replace(/(HTTP\/1\.1 400 Bad Request\r\n).*/s, '$1')
}

const sequences = fc.record({
  kinds: fc.array(fc.constantFrom(...MIDDLE), { maxLength: 12 }),
  last: fc.constantFrom(...LAST),
  /** Where the requests are cut into pieces that are sent in turns of their own. */
  cuts: fc.array(fc.nat(2000), { maxLength: 4 }),
})

async function send(client: RawClient, requests: string, cuts: readonly number[]): Promise<void> {
  const inner = cuts.map(cut => 1 + (cut % (requests.length - 1)))
  let start = 0
  for (const end of [...new Set(inner), requests.length].sort((one, other) => one - other)) {
    client.send(requests.slice(start, end))
    start = end
    await turn()
  }
}

/** A socket that records what it is given to send, piece by piece. */
function recording(): { out: Outbox; pieces: string[] } {
  const pieces: string[] = []
  const socket = new Writable({
    highWaterMark: 16 * 1024,
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      pieces.push(chunk)
      done()
    },
    writev: (chunks, done) => {
      pieces.push(chunks.map(({ chunk }) => String(chunk)).join(''))
      done()
    },
  })
  return { out: new Outbox(socket as Socket), pieces }
}

describe('what is written at the end of a turn', () => {
  it('goes out in one piece, with what was written to the socket directly behind it', async () => {
    const { out, pieces } = recording()
    out.write('a')
    out.write('b')
    expect(pieces).toEqual([])
    await turn()
    expect(pieces).toEqual(['ab'])
    out.write('c')
    out.direct().write('d')
    out.write('e')
    out.hold().write('f')
    expect(pieces).toEqual(['ab'])
    await turn()
    out.direct().write('g')
    expect(pieces).toEqual(['ab', 'cdef', 'g'])
    out.hold().write('h')
    expect(pieces).toEqual(['ab', 'cdef', 'g'])
    await turn()
    expect(pieces).toEqual(['ab', 'cdef', 'g', 'h'])
  })

  it('goes out before it where it is flushed, or the socket is ended', async () => {
    const { out, pieces } = recording()
    out.write('a')
    out.flush()
    expect(pieces).toEqual(['a'])
    out.write('b')
    out.direct().end('c')
    await turn()
    expect(pieces).toEqual(['a', 'bc'])
  })

  it('is not mixed up by what is written while it goes out', async () => {
    const one = recording()
    const other = recording()
    const third = recording()
    const socket = one.out.direct() as unknown as Writable
    const { _write } = socket
    // As a socket does that lies over another one of this process.
    socket._write = (chunk, encoding, done) => {
      third.out.write('new')
      other.out.write(' and more')
      other.out.direct()
      _write.call(socket, chunk, encoding, done)
    }
    one.out.write('first')
    other.out.write('second')
    await turn()
    await turn()
    expect([one, other, third].map(({ pieces }) => pieces.join(''))).toEqual([
      'first',
      'second and more',
      'new',
    ])
  })

  it('is counted by the socket where it is much', () => {
    const { out, pieces } = recording()
    const much = 'x'.repeat(20_000)
    out.write(much)
    expect([pieces, out.direct().writableLength, out.direct().writableNeedDrain]).toEqual([[], 20_000, true])
    out.flush()
    expect(pieces).toEqual([much])
  })

  it('is dropped where the socket has been destroyed', async () => {
    const { out, pieces } = recording()
    const socket = out.direct()
    out.write('a')
    socket.destroy()
    await turn()
    expect([pieces, socket.errored]).toEqual([[], null])
  })

  it('comes complete and in order, whatever kinds of answers follow each other', async () => {
    const { port } = await startHttp(answer)
    await fc.assert(
      fc.asyncProperty(sequences, async ({ kinds, last, cuts }) => {
        const all: Kind[] = [...kinds, last]
        const client = await RawClient.connect(port)
        await send(client, all.map(ask).join(''), cuts)
        await client.over()
        client.socket.destroy()
        expect(plain(client.received)).toBe(all.map(expected).join(''))
      }),
      { numRuns: 150 },
    )
  })
})
