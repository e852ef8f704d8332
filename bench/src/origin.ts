// The origin: nginx behind a PROXY header, answering 12 bytes or a file of 1 MB, and counting what it answered.
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

export async function startOrigin(workspace: Workspace, core: number): Promise<Origin> {
  const port = await freePort()
  const statusPort = await freePort()
  const config = join(workspace.folder, 'origin.conf')
  writeFileSync(
    config,
    `${nginxPreamble(workspace.folder, false)}
http {
  access_log off;
  client_body_temp_path ${workspace.folder}/origin-body;
  proxy_temp_path ${workspace.folder}/origin-proxy;
  fastcgi_temp_path ${workspace.folder}/origin-fastcgi;
  uwsgi_temp_path ${workspace.folder}/origin-uwsgi;
  scgi_temp_path ${workspace.folder}/origin-scgi;
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  sendfile on;
  tcp_nodelay on;
  open_file_cache max=10 inactive=1h;
  server {
    listen 127.0.0.1:${port} proxy_protocol backlog=4096;
    root ${workspace.folder};
    location = / { return 200 ${JSON.stringify(SMALL_ANSWER)}; }
    location = /large { default_type application/octet-stream; }
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
