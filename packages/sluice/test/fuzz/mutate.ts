// Makes new inputs from those of the corpus: a few small changes where parsers are known to disagree.
import type { Random } from '../support/random.ts'

/** What is put in, or in place of something: what the grammar is made of, and what breaks it. */
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\0',
  '\x0b',
  '\x7f',
  '\xa0',
  '\xff',
  ' ',
  '\t',
  '  ',
  ':',
  ': ',
  ';',
  ';a=b',
  ';a="\\"',
  ',',
  '"',
  '\\',
  '%',
  '%00',
  '#',
  '+',
  '-',
  '_',
  '0x',
  '0',
  '5',
  '00000000000000000',
  'ffffffffffffffff',
  '1fffffffffffff',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  'HTTP/1.0',
  'HTTP/1.1',
  'HTTP/2.0',
  'HTTP/0.9',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD',
  'CONNECT',
  'OPTIONS',
  '*',
  'http://a/',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  'Host: a\r\n',
  'Host: b\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5, 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Connection: content-length, transfer-encoding, x\r\n',
  'Expect: 100-continue\r\n',
  'Trailer: x\r\n',
  'TE: trailers\r\n',
  'X: y\r\n',
  'X_Forwarded_For: 1\r\n',
  ' folded\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\n\r\n',
  '000',
  '099',
  '600',
  '1000',
] as const

/** Longer than this, an input says nothing that a shorter one does not. */
const LONGEST = 20_000

/** A few changes to an input. */
export function mutate(random: Random, input: Buffer, others: readonly Buffer[]): Buffer {
  let bytes = input
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = change(random, bytes, others)
  return bytes.subarray(0, LONGEST)
}

function change(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const at = random.below(bytes.length + 1)
  const piece = Buffer.from(random.pick(PIECES), 'latin1')
  switch (random.below(8)) {
    case 0:
      return spliced(bytes, at, 0, piece)
    case 1:
      return spliced(bytes, at, piece.length, piece)
    case 2:
      return spliced(bytes, at, 1 + random.below(8), '')
    case 3:
      return spliced(bytes, at, 1, Buffer.of(random.below(256)))
    case 4: {
      const length = 1 + random.below(40)
      return spliced(bytes, random.below(bytes.length + 1), 0, bytes.subarray(at, at + length))
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), tail(random, random.pick(others))])
    case 6:
      return atLine(random, bytes, piece)
    default:
      return nudged(random, bytes)
  }
}

function spliced(bytes: Buffer, at: number, removed: number, added: Buffer | string): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(added), bytes.subarray(at + removed)])
}

function tail(random: Random, bytes: Buffer): Buffer {
  return bytes.subarray(random.below(bytes.length + 1))
}

/** Puts a piece at the beginning of a line. */
function atLine(random: Random, bytes: Buffer, piece: Buffer): Buffer {
  const starts: number[] = [0]
  for (let at = bytes.indexOf('\n'); at >= 0; at = bytes.indexOf('\n', at + 1)) starts.push(at + 1)
  return spliced(bytes, random.pick(starts), 0, piece)
}

/** Changes a digit: lengths and sizes that are off by a little. */
function nudged(random: Random, bytes: Buffer): Buffer {
  const digits: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte >= 0x30 && byte <= 0x39) digits.push(at)
  }
  if (digits.length === 0) return bytes
  return spliced(bytes, random.pick(digits), 1, `${random.below(10)}`)
}
