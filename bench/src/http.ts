// TLS in, HTTP/1.1 out on kept connections: Sluice and its peers side by side.
import type { Benchmark } from './benchmark.ts'
import { proxies } from './http-proxies.ts'
import { rows } from './http-rows.ts'

export const http: Benchmark = {
  name: 'http',
  title: 'TLS in, HTTP/1.1 out on kept connections',
  proxies,
  rows,
  proxyProtocol: false,
  connections: { option: 'downloads', what: 'slow downloads in the memory row', count: 1000 },
}
