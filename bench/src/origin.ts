// The origin: nginx, answering 12 bytes or a file of 1 or 10 MB, and counting what it answered.
import { existsSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { accepting, startPinned } from './processes.ts'
import { freePort, SMALL_ANSWER, type Workspace } from './workspace.ts'

export interface Origin {
  readonly port: number
  /** Requests begun since it started, this question for it not counted. */
  requests(): Promise<number>
}

/** @param stream whether the configuration needs the stream module, which Debian builds as a file of its own */
export function nginxPreamble(folder: string, stream: boolean): string {
  const module = '/usr/lib/nginx/modules/ngx_stream_module.so'
  // Workers run as whoever runs the benchmark: as another user they could not read the folder.
  return `${stream && existsSync(module) ? `load_module ${module};\n` : ''}${process.getuid?.() === 0 ? 'user root;\n' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 15000; }
`
}

/** Where an nginx that speaks HTTP may write: the folders that Debian gives it are not everybody's. */
export function httpPaths(folder: string, name: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(part => `${part}_temp_path ${folder}/${name}-${part};`)
    .join(' ')
}

/** @param proxyProtocol whether each connection begins with a PROXY header */
export async function startOrigin(
  workspace: Workspace,
  core: number,
  proxyProtocol: boolean,
): Promise<Origin> {
  const port = await freePort()
  const statusPort = await freePort()
  const config = join(workspace.folder, 'origin.conf')
  writeFileSync(
    config,
    `${nginxPreamble(workspace.folder, false)}
http {
  access_log off;
  ${httpPaths(workspace.folder, 'origin')}
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  sendfile on;
  tcp_nodelay on;
  open_file_cache max=10 inactive=1h;
  server {
    listen 127.0.0.1:${port} ${proxyProtocol ? 'proxy_protocol ' : ''}backlog=4096;
    root ${workspace.folder};
    location = / { return 200 ${JSON.stringify(SMALL_ANSWER)}; }
    location = /large { default_type application/octet-stream; }
    location = /huge { default_type application/octet-stream; }
  }
  server {
    listen 127.0.0.1:${statusPort};
    location = / { stub_status; }
  }
}
`,
  )
  const program = startPinned(core, ['nginx', '-p', workspace.folder, '-e', 'stderr', '-c', config])
  await accepting('nginx (the origin)', statusPort, program)
  let asked = 0
  return {
    port,
    requests: async () => {
      const status = await text(statusPort)
      asked++
      const [, , , requests] = /(\d+) (\d+) (\d+)\s*\n/.exec(status) ?? []
      return Number(requests) - asked
    },
  }
}

function text(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(body))
    }).on('error', reject)
  })
}
