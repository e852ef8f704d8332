// What Bun lacks: the one list of tests that don't run there, each with its reason. docs/runtimes.md refers to it.
// A test that is listed and does not exist fails its file, on every runtime, so the list can't outlive the tests.

export interface BunGap {
  /** The test file, from packages/sluice/. */
  readonly file: string
  /** The test's names from the outside in, joined by ' > '; a describe block's covers all tests in it. */
  readonly test: string
  /** What Bun does otherwise, with the version in which it was seen. */
  readonly reason: string
}

const connect = 'src/net/connect.test.ts'
const byName = 'connectTcp > finds a server by name that listens on'

export const bunGaps: readonly BunGap[] = [
  {
    file: 'src/net/bind.test.ts',
    test: 'bind > says why it can not listen on nobody.invalid:0',
    reason: 'Bun 1.4 gives no code for a name that does not resolve; it is LISTEN_FAILED there',
  },
  {
    file: 'src/net/listen.test.ts',
    test: 'listen > gives a slow client all that was written, however long it takes',
    reason:
      'Bun 1.4 does not tell how much of what was written has gone out; it is reset after 30 seconds there',
  },
  {
    file: 'src/net/listen.test.ts',
    test: 'listen > lets as many wait in the kernel as its backlog says',
    reason: 'Bun 1.4 listens with a backlog of its own',
  },
  {
    file: connect,
    test: 'connectTcp > sets TCP_NODELAY and keep-alive on the socket of the system',
    reason: 'the test watches the handle below a Node socket, which sockets of Bun 1.4 do not have',
  },
  {
    file: connect,
    test: `${byName} 127.0.0.1 only, whichever address comes first`,
    reason: 'the test answers for dns.lookup, and Bun 1.4 resolves names by itself',
  },
  {
    file: connect,
    test: `${byName} ::1 only, whichever address comes first`,
    reason: 'the test answers for dns.lookup, and Bun 1.4 resolves names by itself',
  },
  {
    file: 'src/http/h2/client-frames.test.ts',
    test: 'an upstream that does not speak HTTP/2 > but speaks TLS',
    reason:
      'sockets of Bun 1.4 do not tell whether anything has come below HTTP/2; it is HTTP_UPSTREAM_CLOSED there',
  },
  {
    file: 'src/http/h2/client-frames.test.ts',
    test: 'an upstream that does not speak HTTP/2 > but answers without SETTINGS',
    reason: 'node:http2 of Bun 1.4 takes an answer without SETTINGS before it (RFC 9113, 3.4)',
  },
  {
    file: 'src/tls/accept-tls.test.ts',
    test: 'acceptTls > refuses renegotiation',
    reason:
      'the TLS client of Bun 1.4 can not renegotiate; the interop tests have OpenSSL ask for it, on Bun too',
  },
  ...[false, true].map(clientHello => ({
    file: 'src/tls/handshake-error.test.ts',
    test: `a handshake fails (clientHello: ${clientHello}) > for no TLS 1.3 cipher in common`,
    reason: 'BoringSSL chooses the cipher suites of TLS 1.3 by itself, whatever `ciphers` says',
  })),
  {
    file: 'src/tls/certificates/files.test.ts',
    test: 'fromFiles > says what the platform does not serve',
    reason: 'BoringSSL serves RSA keys of 512 bits, which OpenSSL refuses',
  },
  ...[
    'openssl s_client with TLS 1_3 > refuses our certificate, which we say',
    'curl > says that it does not trust us, and so do we',
  ].map(test => ({
    file: 'test/interop/tls.test.ts',
    test,
    reason:
      "Bun 1.4 can not read the alert with which OpenSSL's TLS 1.3 client refuses a certificate; it is TLS_HANDSHAKE_FAILED",
  })),
  {
    file: 'src/http/h1/llhttp.test.ts',
    test: 'beside llhttp > accepts nothing that llhttp refuses or understands otherwise',
    reason:
      'node:http of Bun 1.4 does not parse with llhttp; its own parser refuses methods that llhttp knows',
  },
  {
    file: 'src/http/h2/session.test.ts',
    test: 'an HTTP/2 session > answers many streams at once, HEAD and bodiless ones too',
    reason: 'the HTTP/2 client of Bun 1.4 opens more streams than it was told it may: those are refused',
  },
  {
    file: 'src/http/h1/timeouts.test.ts',
    test: 'time limits of HTTP/1.1 > lets a client go on that takes some of a chunk, though not all of it for long',
    reason: 'Bun 1.4 does not tell how much of a chunk that is being written has gone out',
  },
  {
    file: 'test/robustness/quiet.test.ts',
    test: 'a quiet moment > leaves the machine code of requests as it is',
    reason: 'Bun has another engine, which tells nothing of what it compiles',
  },
]
