// HTTP: messages, the server, and ways to make answers.

export type { NodeRequestListener } from './adapters/app-exchange.ts'
export type { FetchHandler } from './adapters/fetch-handler.ts'
export { fetchHandler } from './adapters/fetch-handler.ts'
export type { NodeHandlerOptions, NodeUpgradeListener } from './adapters/node-handler.ts'
export { nodeHandler } from './adapters/node-handler.ts'
export type { FileOptions } from './answers/file.ts'
export { file } from './answers/file.ts'
export type { RedirectStatus } from './answers/redirect.ts'
export { redirect } from './answers/redirect.ts'
export type { BodyContent, BodyReadOptions, BodySink, BodySource } from './body.ts'
export { Body } from './body.ts'
export { requestFields, responseFields } from './client/fields.ts'
export type { UpstreamLimits } from './client/limits.ts'
export type { PoolCounts, PoolSettings } from './client/pool.ts'
export { UpstreamPool } from './client/pool.ts'
export type {
  UpstreamExchange,
  UpstreamObserver,
  UpstreamRequest,
  UpstreamResponse,
} from './client/upstream.ts'
export type { HeaderFields } from './headers.ts'
export { HeaderList } from './headers.ts'
export type { AccessLogDestination, AccessLogOptions } from './layers/access-log.ts'
export { accessLog } from './layers/access-log.ts'
export { bodyLimit } from './layers/body-limit.ts'
export type { RequestIdOptions, WithRequestId } from './layers/request-id.ts'
export { requestId } from './layers/request-id.ts'
export { timeout } from './layers/timeout.ts'
export type { ForwardedClient, TrustForwardedOptions, WithClient } from './layers/trust-forwarded.ts'
export { trustForwarded } from './layers/trust-forwarded.ts'
export type { ServeHttpOptions } from './limits.ts'
export type { HttpRequest, HttpVersion, RequestNotes, RequestOutcome } from './request.ts'
export type { HttpResponse, ResponseOptions, Tunnel } from './response.ts'
export { empty, json, respond, text } from './response.ts'
export { serveHttp } from './serve.ts'
