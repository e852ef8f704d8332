// The load: wrk and h2load for requests on kept connections, clients of our own where each connection or each moment
// matters.
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Started, startPinned } from './processes.ts'

export interface Load {
  /** Waits for the end and throws if something was answered wrongly. */
  finish(): Promise<void>
}

/** A closed loop of requests on connections that are kept. */
export function requests(
  core: number,
  port: number,
  path: string,
  connections: number,
  seconds: number,
): Load {
  const program = startPinned(
    core,
    ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`].concat(`https://127.0.0.1:${port}${path}`),
  )
  return {
    finish: async () => {
      if (program.child.exitCode === null) await once(program.child, 'exit')
      const report = program.output()
      if (!/requests in/.test(report) || /Non-2xx|Socket errors: .*[1-9]/.test(report)) {
        throw new Error(`the load met errors:\n${report}`)
      }
    },
  }
}

/** The same over HTTP/2, with as many streams open on each connection. */
export function http2Requests(
  core: number,
  port: number,
  path: string,
  connections: number,
  streams: number,
  seconds: number,
): Load {
  const url = `https://127.0.0.1:${port}${path}`
  const counts = ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`]
  const program = startPinned(core, ['h2load', ...counts, '--npn-list=h2', url])
  return {
    finish: async () => {
      if (program.child.exitCode === null) await once(program.child, 'exit')
      const report = program.output()
      if (!/Application protocol: h2/.test(report) || !/ 0 failed, 0 errored, 0 timeout/.test(report)) {
        throw new Error(`the load met errors:\n${report}`)
      }
    },
  }
}

export interface Client extends Started {
  /** Sends a command and waits for the line that answers it. */
  ask(command: string): Promise<string>
}

/** A client that connects again and again, or holds connections (client.entry.ts). */
export function startClient(core: number, port: number, groups: string): Client {
  return clientProgram('client.entry.ts', core, [String(port), groups])
}

/** A client that sends at a fixed rate (rate.entry.ts). */
export function rateClient(core: number, port: number): Client {
  return clientProgram('rate.entry.ts', core, [String(port)])
}

/** A client that downloads slowly (slow.entry.ts). */
export function slowClient(core: number, port: number): Client {
  return clientProgram('slow.entry.ts', core, [String(port)])
}

const here = dirname(fileURLToPath(import.meta.url))

function clientProgram(file: string, core: number, args: string[]): Client {
  const program = startPinned(core, [process.execPath, join(here, file), ...args])
  const { stdin, stdout } = program.child
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return {
    ...program,
    ask: async command => {
      stdin.write(`${command}\n`)
      const line = await lines.next()
      if (line.done || line.value.startsWith('error')) {
        throw new Error(`the client failed at "${command}": ${line.value ?? program.output()}`)
      }
      return line.value
    },
  }
}
