// Runs the command line from source, on the runtime that runs the tests, and reads its logs.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface LogLine {
  readonly level: string
  readonly target: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Finished {
  /** The exit code; null if a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command that ends by itself. */
export async function runSluice(args: readonly string[]): Promise<Finished> {
  const child = start(args, {})
  const out = collect(child.stdout)
  const err = collect(child.stderr)
  const [code] = await once(child, 'close')
  return { code, stdout: out(), stderr: err() }
}

/** A command that serves, with `--json`: its log can be waited for. */
export class RunningSluice {
  readonly #child: ChildProcess
  readonly #lines: LogLine[] = []
  readonly #waiting = new Set<() => void>()
  readonly #exit: Promise<number | null>
  #ended = false

  private constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = start([...args, '--json'], env)
    this.#exit = once(this.#child, 'close').then(([code]) => {
      this.#ended = true
      this.#wake()
      return code
    })
    const lines = createInterface({ input: this.#child.stderr ?? process.stdin })
    lines.on('line', line => {
      this.#lines.push(JSON.parse(line))
      this.#wake()
    })
  }

  /** Starts it, and waits until it is ready. */
  static async start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<RunningSluice> {
    const sluice = new RunningSluice(args, env)
    await sluice.logged(line => line.msg === 'ready')
    return sluice
  }

  /** The port of its n-th route. */
  async port(route: number = 0): Promise<number> {
    const { routes } = await this.logged(line => line.msg === 'ready')
    const listen = (routes as { listen: string }[])[route]?.listen ?? ''
    return Number(listen.slice(listen.lastIndexOf(':') + 1))
  }

  /** Waits for a log line. */
  async logged(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const line = this.#lines.find(wanted)
      if (line !== undefined) return line
      if (this.#ended) throw new Error(`ended without the line; it logged ${JSON.stringify(this.#lines)}`)
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The exit code. */
  exited(): Promise<number | null> {
    return this.#exit
  }

  get running(): boolean {
    return !this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const { SLUICE_LOG: _, ...inherited } = process.env
  return spawn(process.execPath, [main, ...args], {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.on('data', chunk => {
    text += String(chunk)
  })
  return () => text
}
