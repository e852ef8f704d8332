// A proxy under test: how one is started for measuring, and what all of a kind have in common.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { accepting, type Started, startPinned } from './processes.ts'
import { bunBinary } from './runtimes.ts'
import { freePort, type Workspace } from './workspace.ts'

/** What a row may want of a proxy beside the usual. */
export interface Variant {
  /** Writes a line in JSON for each request to a file. */
  readonly accessLog?: boolean
}

export interface ProxySetting extends Variant {
  readonly workspace: Workspace
  readonly originPort: number
  readonly core: number
  readonly nodeFlags: readonly string[]
}

export interface Kind {
  readonly name: string
  /** What it is, for the table's heading; undefined if it is not installed. */
  version(): string | undefined
  /** The Debian package that brings it. */
  readonly from?: string
  /** Measured only when asked for by name. */
  readonly onRequest?: boolean
  /** Runs on Bun, which can be fetched. */
  readonly bun?: boolean
  /** Speaks HTTP/2 with clients. */
  readonly http2?: boolean
  /** Has the variant with an access log. */
  readonly accessLog?: boolean
  command(setting: ProxySetting, port: number): readonly string[]
}

export interface RunningProxy extends Started {
  readonly kind: Kind
  readonly port: number
}

const here = dirname(fileURLToPath(import.meta.url))

export const onNode = {
  version: (): string => `Node ${process.versions.node}`,
}

export const onBun = {
  version: (): string | undefined => firstLine(bunBinary(), ['--version'], /(\S+)/, 'Bun '),
  bun: true,
}

/**
 * Each has one core. V8 starts four threads for its collector whatever the machine has, and on one core its main thread
 * waits for each of them in turn: a 99th percentile of 5 ms instead of 4.
 */
const ONE_CORE = ['--single-threaded-gc']

/** A program of this folder: it is told the ports, the certificate and the key, and where to log requests if at all. */
export function program(
  file: string,
  runtime: () => string | undefined = () => process.execPath,
): Kind['command'] {
  return ({ workspace, originPort, nodeFlags, accessLog }, port) => {
    const binary = runtime() ?? ''
    const flags = binary === process.execPath ? [...ONE_CORE, ...nodeFlags] : []
    const args = [String(port), String(originPort), workspace.certificate, workspace.key]
    if (accessLog) args.push(join(workspace.folder, `access-${port}.log`))
    return [binary, ...flags, '--conditions=@sluice/source', join(here, file), ...args]
  }
}

/** The proxies that can run here, and what would bring those that can't. */
export function installed(all: readonly Kind[]): { kinds: Kind[]; missing: string[] } {
  const kinds = all.filter(kind => !kind.onRequest && kind.version() !== undefined)
  const missing = all.flatMap(kind => (kind.version() === undefined ? (kind.from ?? []) : []))
  return { kinds, missing }
}

export async function startProxy(kind: Kind, setting: ProxySetting): Promise<RunningProxy> {
  const { name } = kind
  if (kind.version() === undefined) {
    throw new Error(`${name} is not installed; it comes with ${kind.from ?? '--runtime bun'}`)
  }
  const port = await freePort()
  const env = { ...process.env, SLUICE_LOG: 'warn', NODE_ENV: 'production' }
  const running = startPinned(setting.core, kind.command(setting, port), {
    cwd: setting.workspace.folder,
    env,
  })
  await accepting(name, port, running)
  return { ...running, kind, port }
}

/** What a program says of its version; undefined if there is no such program. */
export function firstLine(
  command: string | undefined,
  args: string[],
  pattern: RegExp,
  prefix = '',
): string | undefined {
  if (command === undefined) return undefined
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  const [, found] = pattern.exec(`${stdout}${stderr}`) ?? []
  return error === undefined && found !== undefined ? prefix + found : undefined
}
