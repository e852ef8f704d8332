// The load: wrk for requests on kept connections, a client of our own where each connection matters.
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

export interface Client extends Started {
  /** Sends a command and waits for the line that answers it. */
  ask(command: string): Promise<string>
}

const clientProgram = join(dirname(fileURLToPath(import.meta.url)), 'client.entry.ts')

/** Starts the client program (client.entry.ts) for one proxy. */
export function startClient(core: number, port: number, groups: string): Client {
  const program = startPinned(core, [process.execPath, clientProgram, String(port), groups])
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
