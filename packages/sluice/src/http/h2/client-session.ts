// PLACEHOLDER so that the pool compiles: whoever writes the HTTP/2 client replaces this file.
import type { Connected } from '../../net/index.ts'
import type { UpstreamLimits } from '../client/limits.ts'
import type { UpstreamExchange, UpstreamObserver, UpstreamRequest } from '../client/upstream.ts'

export class Http2UpstreamSession {
  constructor(
    _connected: Connected,
    _limits: UpstreamLimits & { readonly idleTimeout: number },
    _owner: { changed(): void; closed(): void },
  ) {}
  get available(): number {
    return 0
  }
  get reused(): boolean {
    return false
  }
  send(_request: UpstreamRequest, _observer: UpstreamObserver): UpstreamExchange {
    throw new Error('placeholder')
  }
  close(): void {}
}
