// TLS in, TCP with a PROXY header out: Sluice and its peers side by side.
import type { Benchmark } from './benchmark.ts'
import { proxies } from './l4-proxies.ts'
import { rows } from './l4-rows.ts'

export const l4: Benchmark = {
  name: 'l4',
  title: 'TLS in, TCP with a PROXY header out',
  proxies,
  rows,
  proxyProtocol: true,
  connections: { option: 'idle', what: 'idle connections in the memory row', count: 2000 },
}
