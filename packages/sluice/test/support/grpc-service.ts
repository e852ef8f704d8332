// A gRPC service for tests whose messages are bytes as they are: nothing is needed to write them down but functions that
// give back what they get.
import type { MethodDefinition } from '@grpc/grpc-js'

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes
  return {
    path: `/test.Bytes/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
}

export const BytesService = {
  /** Sends the message back. */
  echo: method('echo', false, false),
  /** How many messages came, their bytes, and the hash of all of them. */
  collect: method('collect', true, false),
  /** So many messages of so many bytes: `COUNT SIZE`. */
  repeat: method('repeat', false, true),
  /** Each message, when it comes. */
  chat: method('chat', true, true),
  /** Fails with the status `CODE DETAILS`, before any message. */
  fail: method('fail', false, false),
  /** Fails after two messages. */
  failLate: method('failLate', false, true),
  /** Never answers, and tells when it is cancelled. */
  hang: method('hang', false, false),
  /** The metadata that came, and how much time was left, in milliseconds. */
  told: method('told', false, false),
} as const

/** What the origin writes: first its ports, then each call that was cancelled, by the message that it had. */
export interface GrpcPlaces {
  readonly ports: Readonly<Record<'h2c' | 'tls', number>>
  readonly ca: string
}
