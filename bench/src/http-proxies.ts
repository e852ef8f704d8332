// The proxies of the HTTP benchmark: each terminates TLS and forwards requests over kept HTTP/1.1 connections, in one
// process, with the forwarding fields that it sends by default.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { httpPaths, nginxPreamble } from './origin.ts'
import { firstLine, type Kind, onBun, onNode, program } from './proxies.ts'
import { bunBinary } from './runtimes.ts'

const sluice = { http2: true, accessLog: true }

export const proxies: readonly Kind[] = [
  {
    name: 'sluice',
    ...onNode,
    ...sluice,
    command: program('sluice-http.entry.ts'),
  },
  {
    name: 'sluice-bun',
    ...onBun,
    ...sluice,
    onRequest: true,
    command: program('sluice-http.entry.ts', bunBinary),
  },
  {
    name: 'nginx',
    version: () => firstLine('nginx', ['-v'], /nginx\/(\S+)/),
    from: 'nginx-light',
    http2: true,
    accessLog: true,
    command: ({ workspace, originPort, accessLog }, port) => {
      const { folder, certificate, key } = workspace
      const config = join(folder, `nginx-${port}.conf`)
      writeFileSync(
        config,
        `${nginxPreamble(folder, false).replace('nginx.pid', `nginx-${port}.pid`)}
http {
  log_format json escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
    '"target":"$request_uri","protocol":"$server_protocol","status":$status,"bytes":$body_bytes_sent,'
    '"seconds":$request_time,"upstream":"$upstream_addr","upstreamSeconds":"$upstream_response_time",'
    '"tls":"$ssl_protocol","agent":"$http_user_agent","referer":"$http_referer"}';
  access_log ${accessLog ? `${folder}/access-${port}.log json` : 'off'};
  ${httpPaths(folder, `proxy-${port}`)}
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  tcp_nodelay on;
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 2048;
    keepalive_timeout 1h;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.3;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # What a slow client has not taken yet would go to a file.
      proxy_max_temp_file_size 0;
    }
  }
}
`,
      )
      return ['nginx', '-p', folder, '-e', 'stderr', '-c', config]
    },
  },
  {
    name: 'haproxy',
    version: () => firstLine('haproxy', ['-v'], /version (\d+\.\d+\.\d+)/),
    from: 'haproxy',
    http2: true,
    command: ({ workspace, originPort }, port) => {
      const config = join(workspace.folder, `haproxy-${port}.cfg`)
      writeFileSync(
        config,
        `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend in
  bind 127.0.0.1:${port} ssl crt ${workspace.both} ssl-min-ver TLSv1.3 alpn h2,http/1.1 backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort}
`,
      )
      return ['haproxy', '-db', '-q', '-f', config]
    },
  },
  nodePeer('http-proxy'),
  nodePeer('httpxy'),
  nodePeer('http-proxy-3'),
  nodePeer('fast-proxy'),
  nodePeer('@fastify/http-proxy', 'peers/fastify-http-proxy.entry.ts'),
]

/** A proxy that is an npm package, on the Node that runs Sluice. */
function nodePeer(name: string, file = `peers/${name}.entry.ts`): Kind {
  return { name, version: () => installedVersion(name), from: 'npm ci', command: program(file) }
}

/** Read from its package.json: `exports` may keep it from being required. */
function installedVersion(name: string): string | undefined {
  try {
    const file = fileURLToPath(new URL(`../../node_modules/${name}/package.json`, import.meta.url))
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
    return version
  } catch {
    return undefined
  }
}
