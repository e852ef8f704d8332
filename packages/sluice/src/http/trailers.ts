// The fields after a body (RFC 9110, section 6.5), over HTTP/1.1 or HTTP/2.
import { SluiceError } from '../core/index.ts'
import type { HeaderList } from './headers.ts'

/**
 * Fields that a trailer must not carry (RFC 9110, 6.5.1): framing, routing, authentication, control. And those with which
 * proxies tell who the client is: a server that merges trailers into the head would believe a stranger's.
 */
const FORBIDDEN = new Set(
  `authorization cache-control connection content-encoding content-length content-range content-type cookie expect
  forwarded host keep-alive max-forwards pragma proxy-authenticate proxy-authorization proxy-connection range set-cookie te
  trailer transfer-encoding true-client-ip upgrade via www-authenticate x-client-ip x-cluster-client-ip x-real-ip`.split(
    /\s+/,
  ),
)

/**
 * @throws {SluiceError} `HTTP_TRAILER_FORBIDDEN`
 */
export function checkTrailers(trailers: HeaderList): void {
  for (let index = 0, size = trailers.size; index < size; index++) {
    const name = trailers.nameAt(index)
    // Underscores and other signs are dashes to some servers.
    const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
    if (FORBIDDEN.has(plain) || plain.startsWith('x-forwarded')) {
      throw new SluiceError('HTTP_TRAILER_FORBIDDEN', `the trailer section has the field ${name}`)
    }
  }
}
