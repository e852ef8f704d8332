// The proxies of the L4 benchmark: each terminates TLS and forwards the bytes to the origin after a PROXY header, in one
// process.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nginxPreamble } from './origin.ts'
import { firstLine, type Kind, onBun, onNode, program } from './proxies.ts'
import { bunBinary } from './runtimes.ts'

export const proxies: readonly Kind[] = [
  {
    name: 'sluice',
    ...onNode,
    command: program('sluice-l4.entry.ts'),
  },
  {
    name: 'sluice-bun',
    ...onBun,
    command: program('sluice-l4.entry.ts', bunBinary),
  },
  {
    name: 'nginx',
    version: () => firstLine('nginx', ['-v'], /nginx\/(\S+)/),
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
  {
    name: 'haproxy',
    version: () => firstLine('haproxy', ['-v'], /version (\d+\.\d+\.\d+)/),
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
  {
    name: 'hitch',
    version: () => firstLine('hitch', ['--version'], /hitch (\S+)/),
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
  {
    name: 'node-sketch',
    onRequest: true,
    ...onNode,
    command: program('sketch-l4.entry.ts'),
  },
  {
    name: 'bun-sketch',
    onRequest: true,
    ...onBun,
    command: program('sketch-l4.entry.ts', bunBinary),
  },
]
