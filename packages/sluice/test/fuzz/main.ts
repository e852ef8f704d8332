// `npm run fuzz`: changes the kept inputs for a given time, and keeps every new one for which something does not hold.
// Each round has a seed of its own, so that it can be run again alone.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../support/random.ts'
import { checkRequests, checkResponse } from './codec-oracles.ts'
import { corpus, type Kind, keepInput } from './corpus.ts'
import { checkHpack } from './hpack-oracle.ts'
import { mutateFrames } from './http2-inputs.ts'
import { checkHttp2Frames, checkHttp2Session } from './http2-oracles.ts'
import { mutate } from './mutate.ts'
import { FuzzedProxy } from './proxy-oracles.ts'

const USAGE = `usage: npm run fuzz -- [--seconds 60] [--seed NUMBER] [--target NAME] [FILE …]

  --seconds  how long                                                           [default: 60]
  --seed     of the first round; the same seed gives the same inputs            [default: the time]
  --target   requests or responses (the codec), proxied-requests or proxied-responses
             (the whole proxy), hpack, http2-frames, http2-sessions, or all of them in turn                   [default: all]
  FILE       an input of the corpus, to run it alone; its folder says the kind
`

interface Target {
  readonly kind: Kind
  /** @returns how many messages were accepted */
  check(bytes: Buffer, random: Random): Promise<number>
}

const proxy = await FuzzedProxy.start()
const METHODS = ['GET', 'HEAD', 'POST'] as const

const targets: Readonly<Record<string, Target>> = {
  requests: { kind: 'requests', check: checkRequests },
  responses: {
    kind: 'responses',
    check: (bytes, random) => checkResponse(bytes, random, random.pick(METHODS)),
  },
  'proxied-requests': { kind: 'requests', check: (bytes, random) => proxy.checkRequests(bytes, random) },
  'proxied-responses': {
    kind: 'responses',
    check: (bytes, random) => proxy.checkResponse(bytes, random, random.pick(METHODS)),
  },
  hpack: { kind: 'hpack', check: async (bytes, random) => checkHpack(bytes, random) },
  'http2-frames': { kind: 'http2', check: checkHttp2Frames },
  'http2-sessions': { kind: 'http2', check: checkHttp2Session },
}

/** Beyond this the run has found enough. */
const MOST_FINDINGS = 10
/** The heap may not grow by more than this, in bytes, from one look to the next; it settles in the first of them. */
const ROUNDS_BETWEEN_LOOKS = 20_000
const HEAP_GROWTH = 8 * 1024 * 1024

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    target: { type: 'string', default: 'all' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Runs one input of the corpus through everything that takes its kind. */
async function again(file: string): Promise<boolean> {
  const bytes = readFileSync(file)
  let held = true
  for (const [name, { kind, check }] of Object.entries(targets)) {
    if (!file.includes(kind)) continue
    try {
      for (let seed = 0; seed < 20; seed++) await check(bytes, new Random(seed))
    } catch (error) {
      held = false
      say(`${name}: ${file}\n${error instanceof Error ? error.message : error}`)
    }
  }
  return held
}

async function fuzz(chosen: readonly [string, Target][], seconds: number, first: number): Promise<boolean> {
  const inputs = {
    requests: corpus('requests').map(({ bytes }) => bytes),
    responses: corpus('responses').map(({ bytes }) => bytes),
    hpack: corpus('hpack').map(({ bytes }) => bytes),
    http2: corpus('http2').map(({ bytes }) => bytes),
  }
  const until = performance.now() + seconds * 1000
  let findings = 0
  let accepted = 0
  let rounds = 0
  let heap = Number.POSITIVE_INFINITY
  while (performance.now() < until && findings < MOST_FINDINGS) {
    const seed = first + rounds
    const [name, { kind, check }] = chosen[rounds % chosen.length] as [string, Target]
    const random = new Random(seed)
    const change = kind === 'http2' ? mutateFrames : mutate
    const bytes = change(random, random.pick(inputs[kind]), inputs[kind])
    rounds++
    try {
      accepted += await check(bytes, random)
    } catch (error) {
      findings++
      const file = relative(process.cwd(), keepInput(kind, `found-${seed}`, bytes))
      say(`${name}: ${error instanceof Error ? error.message : error}`)
      say(`kept; run it again with: npm run fuzz -- ${file}\n`)
    }
    if (rounds % ROUNDS_BETWEEN_LOOKS === 0 && global.gc !== undefined) {
      global.gc()
      const { heapUsed } = process.memoryUsage()
      if (heapUsed - heap > HEAP_GROWTH) {
        findings++
        say(`the heap has grown from ${heap} to ${heapUsed} bytes in ${ROUNDS_BETWEEN_LOOKS} rounds`)
      }
      heap = heapUsed
    }
  }
  say(`${rounds} rounds from seed ${first}, ${accepted} messages accepted, ${findings} findings`)
  return findings === 0
}

const chosen = Object.entries(targets).filter(([name]) => values.target === 'all' || values.target === name)
let held: boolean
if (values.help || chosen.length === 0) {
  say(USAGE)
  held = values.help
} else if (positionals.length > 0) {
  const results: boolean[] = []
  for (const file of positionals) results.push(await again(file))
  held = results.every(Boolean)
  if (held) say('all holds')
} else {
  held = await fuzz(chosen, Number(values.seconds), Number(values.seed ?? Date.now() % 1_000_000_000))
}
await proxy.close()
process.exitCode = held ? 0 : 1
