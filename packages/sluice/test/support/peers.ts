// Real programs as peers in tests: found or named by their Debian package, waited for, and stopped by their process id.
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export interface PeerOptions {
  /** `haproxy`; looked for in PATH and in the folders for administrators' programs. */
  readonly program: string
  /** The Debian package that has it, named when the program is missing. */
  readonly package: string
  readonly args: readonly string[]
  /** TCP ports on 127.0.0.1 that must accept before the peer counts as started. */
  readonly ports?: readonly number[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** How long it may take to start, in milliseconds. @default 10000 */
  readonly startLimit?: number
}

export interface Peer {
  readonly pid: number
  /** What it has written to stdout and stderr so far. */
  output(): string
  /** Ends it with SIGTERM, and with SIGKILL if it does not go within three seconds. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** What it gets on stdin, which is then closed. @default nothing */
  readonly input?: string | Buffer
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** It is killed after so many milliseconds. @default 20000 */
  readonly limit?: number
}

const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
const POLL = 20

/** Where a program lies. Throws with the name of its Debian package if it lies nowhere: a missing peer is a failure. */
export function findProgram(program: string, debianPackage: string): string {
  for (const folder of FOLDERS) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${program} is not installed; run: apt-get install ${debianPackage}`)
}

/** A TCP port on 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A folder of its own under the system's temporary folder, and how to remove it. */
export function temporaryFolder(prefix = 'sluice-'): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), prefix))
  // Programs of several processes (Chromium) may still write there for a moment after the first one has ended.
  return {
    path,
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }),
  }
}

/** Starts a program that goes on running, in the foreground, and waits until its ports accept. */
export async function startPeer(options: PeerOptions): Promise<Peer> {
  const child = spawn(findProgram(options.program, options.package), options.args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  const output = collect(child)
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  if (pid === undefined) throw new Error(`${options.program} could not be started`)
  // Whatever ends the test run, the peer does not outlive it.
  const killNow = () => child.kill('SIGKILL')
  process.once('exit', killNow)
  exited.then(() => process.off('exit', killNow))

  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(killNow, 3000)
    await exited
    clearTimeout(timer)
  }

  const until = performance.now() + (options.startLimit ?? 10_000)
  for (const port of options.ports ?? []) {
    while (!(await accepts(port))) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended || performance.now() > until) {
        await stop()
        throw new Error(
          `${options.program} ${ended ? 'ended' : 'did not listen in time'} (port ${port}):\n${output()}`,
        )
      }
      await wait(POLL)
    }
  }
  return { pid, output, stop, [Symbol.asyncDispose]: stop }
}

/** Runs a program to its end. A non-zero exit code is a result, not an error. */
export async function runPeer(
  program: string,
  debianPackage: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = spawn(findProgram(program, debianPackage), args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.limit ?? 20_000,
    killSignal: 'SIGKILL',
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A program that ends without reading its input breaks the pipe; its exit code tells the rest.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exit, signal) => resolve(exit ?? (signal === null ? 1 : 128)))
  })
  return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
}

function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
