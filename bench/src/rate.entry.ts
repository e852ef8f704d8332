// A client that sends requests at a fixed rate over kept TLS connections, whether or not answers come. Latency counts
// from the moment at which a request was due, so that what waits behind a slow answer counts as well (no "coordinated
// omission"). Commands on stdin, one line of answer each:
//   open N                    connects until there are N connections, each new one with one request answered
//   run RATE WARM SECONDS     sends RATE requests per second; those due in the first WARM seconds are not counted
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { connect, createSecureContext } from 'node:tls'

const [port] = process.argv.slice(2)
const options = {
  host: '127.0.0.1',
  port: Number(port),
  secureContext: createSecureContext({ minVersion: 'TLSv1.3', ecdhCurve: 'X25519' }),
  // The benchmark's own certificate, made a moment ago; what a client checks is not what is measured.
  rejectUnauthorized: false,
}
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
const BODY = 'hello world\n'
const LAST_CHUNK = '0\r\n\r\n'
/**
 * Milliseconds that it sleeps before it looks for what is due and what has come. A timer would be late by up to one or
 * two; and it must sleep: the origin is on the same core, and Linux gives that to one who never does for 4 ms at a time
 * (whatever its priority, as each of the two is a session: sched(7), autogroup).
 */
const NAP = 0.25
/** Milliseconds after the last request was due in which answers are waited for. */
const PATIENCE = 10_000

/** Nobody changes it: to wait for that is to sleep. */
const never = new Int32Array(new SharedArrayBuffer(4))

interface Connection {
  send(due: number): void
}

/** Connections without a request; the one that has waited longest is next, so that all are used. */
const free: Connection[] = []
/** When the requests were due that no connection was free for. */
const waiting: number[] = []
let failed = ''
let running = false
let answered: (due: number, now: number) => void = () => {}

async function open(): Promise<void> {
  const socket = connect(options)
  socket.setNoDelay(true)
  socket.on('error', error => {
    failed ||= error.message
  })
  await once(socket, 'secureConnect')
  const first = await new Promise<Buffer>(resolve => {
    const parts: Buffer[] = []
    const read = (part: Buffer): void => {
      parts.push(part)
      const all = Buffer.concat(parts)
      if (!all.includes(BODY) || (isChunked(all) && !all.includes(LAST_CHUNK))) return
      socket.off('data', read)
      resolve(all)
    }
    socket.on('data', read)
    socket.write(REQUEST)
  })
  const end = Buffer.from(isChunked(first) ? LAST_CHUNK : BODY)
  let due = 0
  let began = false
  const connection: Connection = {
    send(when) {
      due = when
      began = false
      socket.write(REQUEST)
    },
  }
  socket.on('data', (part: Buffer) => {
    // 'HTTP/1.1 2': enough to know an answer by; the rest of it is known by its end.
    if (!began && part[9] !== 0x32) failed ||= `answered with ${part.subarray(0, 40)}`
    began = true
    if (part.length < end.length || part.compare(end, 0, end.length, part.length - end.length) !== 0) return
    answered(due, performance.now())
    const next = waiting.shift()
    if (next === undefined) free.push(connection)
    else connection.send(next)
  })
  socket.on('close', () => {
    // Between two runs it may: most servers close what is idle for long.
    if (running) failed ||= 'the proxy closed a kept connection'
    const at = free.indexOf(connection)
    if (at >= 0) free.splice(at, 1)
  })
  free.push(connection)
}

function isChunked(answer: Buffer): boolean {
  return /\r\ntransfer-encoding: *chunked\r\n/i.test(answer.toString('latin1'))
}

async function run(rate: number, warm: number, seconds: number): Promise<string> {
  const interval = 1000 / rate
  const total = Math.round(rate * (warm + seconds))
  const skipped = Math.round(rate * warm)
  const latencies = new Float64Array(total - skipped)
  const lateness = new Float64Array(total - skipped)
  const start = performance.now() + 100
  const counted = start + skipped * interval
  let count = 0
  let done = 0
  answered = (due, now) => {
    done++
    if (due >= counted && count < latencies.length) latencies[count++] = now - due
  }
  let sent = 0
  await new Promise<void>(resolve => {
    const turn = (): void => {
      const now = performance.now()
      for (let due = start + sent * interval; sent < total && due <= now; due = start + sent * interval) {
        if (sent >= skipped) lateness[sent - skipped] = performance.now() - due
        sent++
        const connection = free.shift()
        if (connection === undefined) waiting.push(due)
        else connection.send(due)
      }
      if (done === total || failed !== '' || now > start + total * interval + PATIENCE) resolve()
      else {
        Atomics.wait(never, 0, 0, NAP)
        setImmediate(turn)
      }
    }
    turn()
  })
  if (failed === '' && done < total) failed = `${total - done} of ${total} requests were never answered`
  const sorted = latencies.subarray(0, count).sort()
  lateness.sort()
  const percentile = (values: Float64Array, share: number): number =>
    Math.round((values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0) * 1000)
  return JSON.stringify({
    count,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    p999: percentile(sorted, 0.999),
    most: percentile(sorted, 1),
    late99: percentile(lateness, 0.99),
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...numbers] = line.split(' ')
  const [first = 0, second = 0, third = 0] = numbers.map(Number)
  let answer = 'ok'
  try {
    if (command === 'open') {
      await Promise.all(Array.from({ length: first - free.length }, open))
    } else if (command === 'run') {
      running = true
      answer = await run(first, second, third)
      running = false
    }
    if (failed !== '') answer = `error: ${failed}`
  } catch (error) {
    answer = `error: ${String(error)}`
  }
  process.stdout.write(`${answer}\n`)
}
process.exit(0)
