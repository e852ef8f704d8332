// Origins that serve files: nginx and Caddy, each in clear and with TLS, over HTTP/1.1 and HTTP/2.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { testCertificate } from './certificates.ts'
import { freePort, startPeer, temporaryFolder } from './peers.ts'

export interface FileOrigin {
  readonly h1: string
  readonly h2c: string
  /** With a certificate by `ca`. */
  readonly tls: string
  readonly ca: string
  stop(): Promise<void>
}

export interface Nginx extends FileOrigin {
  /** The requests so far: `CONNECTION NUMBER-ON-IT METHOD TARGET STATUS VERSION`. */
  log(): string[]
  /** What was uploaded to `/uploads/NAME`. */
  uploaded(name: string): Buffer
}

/** The files of a site. */
export interface Site {
  readonly path: string
  readonly files: Readonly<Record<'small.txt' | 'style.css' | 'empty.txt' | 'noise.bin', Buffer>>
  remove(): void
}

/** A small text, a style sheet that gzip makes smaller, an empty file, and megabytes that look like noise. */
export function makeSite(): Site {
  const folder = temporaryFolder('sluice-site-')
  const noise = Buffer.alloc(5_000_011)
  // Every position tells where it is: nothing can be lost, doubled or swapped without another hash.
  for (let at = 0; at + 4 <= noise.length; at += 4) noise.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at)
  const files = {
    'small.txt': Buffer.from('small, and no more than that\n'),
    'style.css': Buffer.from(
      Array.from({ length: 2000 }, (_, at) => `.rule-${at} { order: ${at} }\n`).join(''),
    ),
    'empty.txt': Buffer.alloc(0),
    'noise.bin': noise,
  }
  for (const [name, bytes] of Object.entries(files)) writeFileSync(`${folder.path}/${name}`, bytes)
  return { path: folder.path, files, remove: folder.remove }
}

export async function startNginx(site: Site): Promise<Nginx> {
  const folder = temporaryFolder('sluice-nginx-')
  const [h1, h2c, tls] = [await freePort(), await freePort(), await freePort()]
  const file = (name: string) => `${folder.path}/${name}`
  const ca = await writeCertificate(file)
  mkdirSync(file('uploads'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    file('nginx.conf'),
    `
    daemon off;
    master_process off;
    pid ${file('nginx.pid')};
    error_log stderr;
    events { worker_connections 256; }
    http {
      log_format requests '$connection $connection_requests $request_method $request_uri $status $server_protocol';
      access_log ${file('access.log')} requests;
      ${temporary.map(name => `${name}_temp_path ${file(name)};`).join('\n')}
      types { text/plain txt; text/css css; application/octet-stream bin; }
      gzip on;
      # Requests with Via, which is ours, are not compressed by default.
      gzip_proxied any;
      gzip_types text/css;
      gzip_vary on;
      sendfile on;
      client_max_body_size 300m;
      ssl_certificate ${file('cert.pem')};
      ssl_certificate_key ${file('key.pem')};
      server {
        listen 127.0.0.1:${h1};
        listen 127.0.0.1:${h2c} http2;
        listen 127.0.0.1:${tls} ssl http2;
        root ${site.path};
        location /uploads/ { root ${folder.path}; dav_methods PUT DELETE; }
        location /too-large/ { root ${folder.path}; dav_methods PUT; client_max_body_size 1k; }
        location /moved { return 301 /small.txt; }
        location /hello { add_header x-hello $http_x_asked; add_header x-proto $server_protocol; return 200 "hello $http_host\\n"; }
        location /nothing { return 204; }
        location /closes { keepalive_timeout 0; return 200 "closed\\n"; }
      }
    }
    `,
  )
  const peer = await startPeer({
    program: 'nginx',
    package: 'nginx-light',
    args: ['-c', file('nginx.conf'), '-e', 'stderr', '-p', folder.path],
    ports: [h1, h2c, tls],
  })
  return {
    h1: `http://127.0.0.1:${h1}`,
    h2c: `h2c://127.0.0.1:${h2c}`,
    tls: `https://localhost:${tls}`,
    ca,
    log: () => readFileSync(file('access.log'), 'utf8').split('\n').slice(0, -1),
    uploaded: name => readFileSync(file(`uploads/${name}`)),
    stop: async () => {
      await peer.stop()
      folder.remove()
    },
  }
}

export async function startCaddy(site: Site): Promise<FileOrigin> {
  const folder = temporaryFolder('sluice-caddy-')
  const [h1, tls] = [await freePort(), await freePort()]
  const file = (name: string) => `${folder.path}/${name}`
  const ca = await writeCertificate(file)
  writeFileSync(
    file('Caddyfile'),
    `
    {
      admin off
      auto_https off
      servers {
        protocols h1 h2 h2c
      }
    }
    (site) {
      bind 127.0.0.1
      root * ${site.path}
      encode gzip {
        minimum_length 100
        match header Content-Type text/css*
      }
      respond /nothing 204
      respond /hello "hello {host}" 200
      header /hello x-hello {header.x-asked}
      header /hello x-proto {http.request.proto}
      redir /moved /small.txt 301
      file_server
    }
    http://:${h1} {
      import site
    }
    https://:${tls} {
      tls ${file('cert.pem')} ${file('key.pem')}
      import site
    }
    `,
  )
  const peer = await startPeer({
    program: 'caddy',
    package: 'caddy',
    args: ['run', '--config', file('Caddyfile'), '--adapter', 'caddyfile'],
    env: { XDG_DATA_HOME: folder.path, XDG_CONFIG_HOME: folder.path, HOME: folder.path },
    ports: [h1, tls],
  })
  return {
    h1: `http://127.0.0.1:${h1}`,
    h2c: `h2c://127.0.0.1:${h1}`,
    tls: `https://localhost:${tls}`,
    ca,
    stop: async () => {
      await peer.stop()
      folder.remove()
    },
  }
}

/** Writes a certificate for localhost, and gives it back as the CA to verify it by. */
async function writeCertificate(file: (name: string) => string): Promise<string> {
  const { cert, key } = await testCertificate({ usage: 'server' })
  writeFileSync(file('cert.pem'), cert)
  writeFileSync(file('key.pem'), key)
  return cert
}
