// What the Node proxies have in common: node:https with the benchmark's certificate, on the port that they are told.
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'

const [, , port, originPort, cert = '', key = ''] = process.argv

export const origin: string = `http://127.0.0.1:${originPort}`

export const listening: { host: string; port: number; backlog: number } = {
  host: '127.0.0.1',
  port: Number(port),
  backlog: 4096,
}

export const tlsOptions: { cert: Buffer; key: Buffer; minVersion: 'TLSv1.3' } = {
  cert: readFileSync(cert),
  key: readFileSync(key),
  minVersion: 'TLSv1.3',
}

export function serve(listener: RequestListener): void {
  createServer(tlsOptions, listener).listen(listening)
}
