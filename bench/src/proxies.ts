// The proxies under test: each terminates TLS and forwards the bytes to the origin after a PROXY header, in one process.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nginxPreamble } from './origin.ts'
import { accepting, type Started, startPinned } from './processes.ts'
import { bunBinary } from './runtimes.ts'
import { freePort, type Workspace } from './workspace.ts'

export const proxyNames = [
  'sluice',
  'sluice-bun',
  'nginx',
  'haproxy',
  'hitch',
  'node-sketch',
  'bun-sketch',
] as const
export type ProxyName = (typeof proxyNames)[number]

export interface RunningProxy extends Started {
  readonly name: ProxyName
  readonly port: number
}

interface Setting {
  readonly workspace: Workspace
  readonly originPort: number
  readonly core: number
  readonly nodeFlags: readonly string[]
}

interface Kind {
  /** What it is, for the table's heading; undefined if it is not installed. */
  version(): string | undefined
  /** The Debian package that brings it. */
  readonly from?: string
  command(setting: Setting, port: number): readonly string[]
}

const here = dirname(fileURLToPath(import.meta.url))

function program(file: string, runtime: () => string | undefined): Kind['command'] {
  return ({ workspace, originPort, nodeFlags }, port) => {
    const binary = runtime() ?? ''
    const flags = binary === process.execPath ? nodeFlags : []
    const args = [String(port), String(originPort), workspace.certificate, workspace.key]
    return [binary, ...flags, '--conditions=@sluice/source', join(here, file), ...args]
  }
}

const kinds: Record<ProxyName, Kind> = {
  sluice: {
    version: () => `Node ${process.versions.node}`,
    command: program('sluice-l4.entry.ts', () => process.execPath),
  },
  'sluice-bun': {
    version: () => first(bunBinary(), ['--version'], /(\S+)/, 'Bun '),
    command: program('sluice-l4.entry.ts', bunBinary),
  },
  nginx: {
    version: () => first('nginx', ['-v'], /nginx\/(\S+)/),
    from: 'nginx-light and libnginx-mod-stream',
    command: ({ workspace, originPort }, port) => {
      const config = join(workspace.folder, 'nginx-stream.conf')
      writeFileSync(
        config,
        `${nginxPreamble(workspace.folder, true).replace('nginx.pid', 'nginx-stream.pid')}
stream {
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${workspace.certificate};
    ssl_certificate_key ${workspace.key};
    ssl_protocols TLSv1.3;
    proxy_pass 127.0.0.1:${originPort};
    proxy_protocol on;
    proxy_timeout 1h;
    tcp_nodelay on;
  }
}
`,
      )
      return ['nginx', '-p', workspace.folder, '-e', 'stderr', '-c', config]
    },
  },
  haproxy: {
    version: () => first('haproxy', ['-v'], /version (\d+\.\d+\.\d+)/),
    from: 'haproxy',
    command: ({ workspace, originPort }, port) => {
      const config = join(workspace.folder, 'haproxy.cfg')
      writeFileSync(
        config,
        `global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend in
  bind 127.0.0.1:${port} ssl crt ${workspace.both} ssl-min-ver TLSv1.3 backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort} send-proxy-v2
`,
      )
      return ['haproxy', '-db', '-q', '-f', config]
    },
  },
  hitch: {
    version: () => first('hitch', ['--version'], /hitch (\S+)/),
    from: 'hitch',
    command: ({ workspace, originPort }, port) => {
      const config = join(workspace.folder, 'hitch.conf')
      writeFileSync(
        config,
        `frontend = "[127.0.0.1]:${port}"
backend = "[127.0.0.1]:${originPort}"
pem-file = "${workspace.both}"
workers = 1
backlog = 4096
tls-protos = TLSv1.3
write-proxy-v2 = on
daemon = off
quiet = on
syslog = off
log-level = 0
ocsp-dir = ""
${process.getuid?.() === 0 ? 'user = "nobody"' : ''}
`,
      )
      return ['hitch', `--config=${config}`]
    },
  },
  'node-sketch': {
    version: () => `Node ${process.versions.node}`,
    command: program('sketch-l4.entry.ts', () => process.execPath),
  },
  'bun-sketch': {
    version: () => first(bunBinary(), ['--version'], /(\S+)/, 'Bun '),
    command: program('sketch-l4.entry.ts', bunBinary),
  },
}

export function version(name: ProxyName): string | undefined {
  return kinds[name].version()
}

/** The proxies that can run here, and what would bring those that can't. */
export function installed(): { names: ProxyName[]; missing: string[] } {
  const names = proxyNames.filter(name => !name.endsWith('-sketch') && version(name) !== undefined)
  const missing = proxyNames.flatMap(name => (version(name) === undefined ? (kinds[name].from ?? []) : []))
  return { names, missing }
}

export async function startProxy(name: ProxyName, setting: Setting): Promise<RunningProxy> {
  if (version(name) === undefined) {
    throw new Error(`${name} is not installed; it comes with ${kinds[name].from ?? '--runtime bun'}`)
  }
  const port = await freePort()
  const command = kinds[name].command(setting, port)
  const env = { ...process.env, SLUICE_LOG: 'warn', NODE_ENV: 'production' }
  const running = startPinned(setting.core, command, { cwd: setting.workspace.folder, env })
  await accepting(name, port, running)
  return { ...running, name, port }
}

function first(
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
