// Reads the ClientHello at the beginning of a connection without taking it off the connection.
import type { ClientHello } from './client-hello.ts'
import { parseMessage } from './message.ts'
import { MessageReader, wireLimit } from './records.ts'

/** The longest ClientHello that is read, in bytes. Real ones have 200 to 2500, large post-quantum ones less than 6000. */
export const CLIENT_HELLO_LIMIT = 16_384

/**
 * The ClientHello in the bytes that were read so far, from the first of the connection on; undefined if there have to be
 * more. For bytes that come in parts, `clientHelloReader` does the same without beginning anew each time.
 *
 * @param limit The longest handshake message, in bytes. Default: 16384.
 * @throws {SluiceError} `TLS_CLIENT_HELLO_MALFORMED`, `TLS_CLIENT_HELLO_TOO_LARGE`, `TLS_PLAIN_HTTP`, `TLS_NOT_TLS`
 */
export function parseClientHello(bytes: Buffer, limit: number = CLIENT_HELLO_LIMIT): ClientHello | undefined {
  const body = new MessageReader(limit).read(bytes)
  return body === undefined ? undefined : parseMessage(body)
}

/**
 * A parser for `readHead`: it is given all bytes so far, again each time that there are more, and answers `consumed: 0`,
 * so that they stay for TLS. Use one for each connection: it remembers how far it got.
 *
 * @param limit The longest handshake message, in bytes. Default: 16384.
 * @throws {SluiceError} as `parseClientHello`; its parser does
 */
export function clientHelloReader(
  limit: number = CLIENT_HELLO_LIMIT,
): (bytes: Buffer) => { value: ClientHello; consumed: 0 } | undefined {
  const reader = new MessageReader(limit)
  return bytes => {
    const body = reader.read(bytes)
    return body === undefined ? undefined : { value: parseMessage(body), consumed: 0 }
  }
}

/** The `limit` for `readHead` that lets a ClientHello through however it is spread over records: the parser refuses first. */
export function clientHelloWireLimit(limit: number = CLIENT_HELLO_LIMIT): number {
  return wireLimit(limit)
}
