// The reverse proxy and its upstreams.
export type { ReverseProxyOptions } from './reverse-proxy.ts'
export { reverseProxy } from './reverse-proxy.ts'
export type { UpstreamOptions } from './upstream.ts'
