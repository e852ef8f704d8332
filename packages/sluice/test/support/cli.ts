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

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** A module that is loaded before the program. */
  readonly preload?: string
  /** Without it, the banner is for people unless standard output has the lines of a log, and the logs are as they come. */
  readonly json?: boolean
}

/** A line that is awaited for longer than this will not come. */
const LINE_LIMIT = 10_000

/** Runs a command that ends by itself. */
export async function runSluice(args: readonly string[]): Promise<Finished> {
  const child = start(args, {})
  const out = collect(child.stdout)
  const err = collect(child.stderr)
  // One that serves although it should have refused must not outlive the test.
  const timer = setTimeout(() => child.kill('SIGKILL'), LINE_LIMIT)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, stdout: out(), stderr: err() }
}

/** A command that serves; with `--json`, unless told otherwise, so that its log can be waited for. */
export class RunningSluice {
  readonly #child: ChildProcess
  readonly #lines: LogLine[] = []
  readonly #other: string[] = []
  readonly #waiting = new Set<() => void>()
  readonly #exit: Promise<number | null>
  readonly #stdout: () => string
  #ended = false

  private constructor(args: readonly string[], options: StartOptions) {
    this.#child = start(options.json === false ? args : [...args, '--json'], options)
    this.#stdout = collect(this.#child.stdout)
    this.#child.stdout?.on('data', () => this.#wake())
    this.#exit = once(this.#child, 'close').then(([code]) => {
      this.#ended = true
      this.#wake()
      return code
    })
    const lines = createInterface({ input: this.#child.stderr ?? process.stdin })
    lines.on('line', line => {
      if (line.startsWith('{')) this.#lines.push(JSON.parse(line))
      else this.#other.push(line)
      this.#wake()
    })
  }

  /** Starts it, and waits until it is ready. */
  static async start(args: readonly string[], options: StartOptions = {}): Promise<RunningSluice> {
    const sluice = new RunningSluice(args, options)
    await sluice.#until(() => {
      const isLogged = sluice.#lines.some(line => line.msg === 'ready')
      return isLogged || /ready in [\s\S]*\n\n$/.test(sluice.stdout) ? true : undefined
    })
    return sluice
  }

  /** The port of its n-th route. */
  async port(route: number = 0): Promise<number> {
    const { routes } = await this.logged(line => line.msg === 'ready')
    const listen = (routes as { listen: string }[])[route]?.listen ?? ''
    return Number(listen.slice(listen.lastIndexOf(':') + 1))
  }

  /** Waits for a log line. */
  logged(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    return this.#until(() => this.#lines.find(wanted))
  }

  /** Waits for text on standard output. */
  printed(wanted: RegExp): Promise<string> {
    return this.#until(() => (wanted.test(this.#stdout()) ? this.#stdout() : undefined))
  }

  /** All that it has logged so far. */
  get lines(): readonly LogLine[] {
    return this.#lines
  }

  /** What came on standard error that is no log line: warnings of the runtime, stack traces. */
  get otherOutput(): readonly string[] {
    return this.#other
  }

  get stdout(): string {
    return this.#stdout()
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

  async #until<T>(look: () => T | undefined): Promise<T> {
    const limit = performance.now() + LINE_LIMIT
    const timer = setTimeout(() => this.#wake(), LINE_LIMIT + 1)
    try {
      for (;;) {
        const found = look()
        if (found !== undefined) return found
        if (this.#ended || performance.now() > limit) {
          const said = JSON.stringify([...this.#lines, ...this.#other], null, 1)
          throw new Error(`${this.#ended ? 'ended' : 'waited'} without what was awaited; it said ${said}`)
        }
        await new Promise<void>(resolve => this.#waiting.add(resolve))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function start(args: readonly string[], { env, preload }: StartOptions): ChildProcess {
  const { SLUICE_LOG: _, NODE_OPTIONS: __, ...inherited } = process.env
  const child = spawn(
    process.execPath,
    [...(preload === undefined ? [] : ['--import', preload]), main, ...args],
    { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  // Whatever ends the test run, the program does not outlive it.
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('close', () => process.off('exit', kill))
  return child
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.on('data', chunk => {
    text += String(chunk)
  })
  return () => text
}
