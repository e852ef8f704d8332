// Processes under measurement: started on one core, their CPU time and memory read from /proc, ended by id.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'

export interface Started {
  readonly pid: number
  readonly child: ChildProcessWithoutNullStreams
  /** The last of what it printed. */
  output(): string
  stop(): Promise<void>
}

/** Starts a program on one core (`taskset -c`), in its own process group so that all of it can be ended. */
export function startPinned(
  core: number,
  command: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Started {
  const child = spawn('taskset', ['-c', String(core), ...command], { ...options, detached: true })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  // A program that has ended can't be told anything any more; that it has ended is noticed elsewhere.
  child.stdin.on('error', () => {})
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', error => {
      output += String(error)
      resolve()
    })
  })
  const pid = child.pid ?? 0
  const stop = async (): Promise<void> => {
    running.delete(stop)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (child.exitCode !== null || child.signalCode !== null) break
      killGroup(pid, signal)
      await Promise.race([ended, pause(500)])
    }
    killGroup(pid, 'SIGKILL')
  }
  running.add(stop)
  return { pid, child, stop, output: () => output }
}

const running = new Set<() => Promise<void>>()

/** Ends whatever is still running, on every way out. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(stop => stop()))
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  if (pid === 0) return
  try {
    process.kill(-pid, signal)
  } catch {
    // Gone already.
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

/** Waits until something accepts on the port, or says what the program printed before it failed. */
export async function accepting(name: string, port: number, program: Started): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (program.child.exitCode !== null) break
    const open = await new Promise<boolean>(resolve => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (open) return
    await pause(100)
  }
  throw new Error(`${name} does not accept connections on port ${port}:\n${program.output()}`)
}

/** A process and all that descend from it: a master and its workers. */
function family(pid: number): number[] {
  const members = [pid]
  for (const member of members) {
    for (const task of tasks(member)) {
      const children = read(`/proc/${member}/task/${task}/children`)
      for (const child of children.split(' ')) if (child.trim() !== '') members.push(Number(child))
    }
  }
  return members
}

/**
 * User + system time of a process with all its threads and children, in nanoseconds. The scheduler's own account is
 * exact, where `stat` counts in ticks of 10 ms.
 */
export function cpuTime(pid: number): number {
  let total = 0
  for (const member of family(pid)) {
    for (const task of tasks(member)) {
      const [ran = '0'] = read(`/proc/${member}/task/${task}/schedstat`).split(' ')
      total += Number(ran)
    }
  }
  return total
}

/** Proportional set size of a process and its children, in bytes: pages shared by several are counted once. */
export function memory(pid: number): number {
  let total = 0
  for (const member of family(pid)) {
    const [, kilobytes = '0'] = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${member}/smaps_rollup`)) ?? []
    total += Number(kilobytes) * 1024
  }
  return total
}

function tasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
