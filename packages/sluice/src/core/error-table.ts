// The table of errors. docs/errors.md lists the same codes, and a test keeps both equal.

/** Who caused it: the client's side, the backend's side, or Sluice and the machine that it runs on. */
export type Side = 'downstream' | 'upstream' | 'internal'

/**
 * Whether the same work may be tried again: never, only if it is idempotent and went over a reused connection that had
 * died, whenever it is idempotent, or always, as nobody has begun with it.
 */
export type Retry = 'never' | 'reused-connection' | 'idempotent' | 'always'

export interface ErrorKind {
  readonly side: Side
  readonly retry: Retry
  /** The HTTP status that a client is answered, where there is a client that speaks HTTP. */
  readonly status?: number
  /** What happened and what to do about it, in a sentence or two; docs/errors.md repeats it. */
  readonly meaning: string
}

export type ErrorCode = keyof typeof errorTable

/** Every code with its side, its retry rule, its status and its meaning. */
export const errorTable = {
  // core
  INTERNAL: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'Something in Sluice or in a service failed in a way that has no code of its own. The log line has the cause.',
  },
  DURATION_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A duration was not a number of milliseconds or a number with a unit, such as `30s`.',
  },
  SIZE_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A size was not a number of bytes or a number with a unit, such as `16kb`.',
  },
  OPTION_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'An option has a value that it can not have, such as a limit of 0. The message says which it can have.',
  },

  // net
  ADDRESS_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'An address could not be read. Write `host:port`, `[::1]:443`, `:8080`, a port, or `unix:/path`.',
  },
  CIDR_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'A network could not be read. Write an address with a prefix (`10.0.0.0/8`), an address, `loopback`, `private` or `unix`.',
  },
  LISTEN_ADDRESS_IN_USE: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'Another program listens on the address. Stop it, or choose another address.',
  },
  LISTEN_ADDRESS_UNAVAILABLE: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'The address does not belong to this machine.',
  },
  LISTEN_PERMISSION: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'The address may not be used without privileges; ports below 1024 usually need them.',
  },
  LISTEN_FAILED: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'The address could not be listened on for a reason that has no code of its own; the cause says which.',
  },
  CONNECTION_LIMIT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The listener has as many connections open and waiting as it is allowed; this one was refused.',
  },
  DOWNSTREAM_RESET: { side: 'downstream', retry: 'never', meaning: 'The client reset the connection.' },
  DOWNSTREAM_CLOSED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client closed the connection before it had sent what was needed.',
  },
  PEEK_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The first bytes of a connection did not come in time.',
  },
  PEEK_LIMIT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The first bytes of a connection were longer than allowed before they made sense.',
  },
  RELAY_IDLE: {
    side: 'downstream',
    retry: 'never',
    meaning:
      'Nothing was relayed in either direction for the idle limit, and both sides were reset. It is not thrown; it is the `code` of the outcome of the relay and of its log line.',
  },
  CONNECT_REFUSED: {
    side: 'upstream',
    retry: 'idempotent',
    status: 502,
    meaning: 'Nothing listens on the backend address. Is the backend running?',
  },
  CONNECT_TIMEOUT: {
    side: 'upstream',
    retry: 'idempotent',
    status: 504,
    meaning: 'The backend did not accept the connection within the connect limit.',
  },
  CONNECT_UNREACHABLE: {
    side: 'upstream',
    retry: 'idempotent',
    status: 502,
    meaning: 'There is no route to the backend.',
  },
  CONNECT_NAME: {
    side: 'upstream',
    retry: 'idempotent',
    status: 502,
    meaning: 'The name of the backend could not be resolved.',
  },
  CONNECT_FAILED: {
    side: 'upstream',
    retry: 'idempotent',
    status: 502,
    meaning:
      'The connection to the backend failed for a reason that has no code of its own; the cause says which.',
  },

  // proxy-protocol
  PROXY_HEADER_MISSING: {
    side: 'downstream',
    retry: 'never',
    meaning: 'A PROXY header is required here and the connection did not begin with one.',
  },
  PROXY_HEADER_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    meaning:
      'The connection began like a PROXY header, but the header breaks the grammar of the specification.',
  },
  PROXY_HEADER_TOO_LARGE: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The PROXY header is longer than allowed.',
  },
  PROXY_HEADER_CHECKSUM: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The checksum in the PROXY header (CRC32C) does not match its bytes.',
  },
  PROXY_HEADER_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The PROXY header did not arrive in time.',
  },
  PROXY_HEADER_UNTRUSTED: {
    side: 'downstream',
    retry: 'never',
    meaning:
      'A PROXY header came from a peer that is not trusted. Add the peer to `trust` if it is your load balancer.',
  },
  PROXY_HEADER_REJECTED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'A PROXY header came where the policy is to reject connections that bring one.',
  },
  PROXY_HEADER_UNSENDABLE: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A PROXY header could not be written: its addresses or TLVs do not fit the format.',
  },

  // tls
  TLS_CERTIFICATE_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A certificate could not be read, or is not one. It must be PEM.',
  },
  TLS_CERTIFICATE_EXPIRED: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A certificate has expired. Renew it, or pass another.',
  },
  TLS_CERTIFICATE_NOT_YET_VALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A certificate is not valid yet. Check the clock of this machine.',
  },
  TLS_CERTIFICATE_FILE: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A certificate or key file could not be read.',
  },
  TLS_KEY_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A private key could not be read, or its passphrase is missing or wrong.',
  },
  TLS_KEY_MISMATCH: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A private key does not belong to the certificate that it was given with.',
  },
  TLS_CA_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'A CA file is missing, empty or not a certificate. Nothing would be verified, so nothing is started.',
  },
  TLS_OPTION_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A TLS option (ciphers, versions, ALPN) has a value that the platform does not accept.',
  },
  TLS_ISSUE_FAILED: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'A certificate could not be issued, or its source failed or gave none in time. The cause says why.',
  },
  TLS_SERVER_NAME_REFUSED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client asked for a server name that is malformed or not served here.',
  },
  TLS_HANDSHAKE_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The TLS handshake was not finished in time.',
  },
  TLS_HANDSHAKE_CLOSED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client closed or reset the connection during the TLS handshake.',
  },
  TLS_PLAIN_HTTP: {
    side: 'downstream',
    retry: 'never',
    meaning: "The client spoke plain HTTP on a TLS port. Use https:// on the client's side.",
  },
  TLS_NOT_TLS: { side: 'downstream', retry: 'never', meaning: 'The client sent something that is not TLS.' },
  TLS_NO_SHARED_CIPHER: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client and the server have no cipher in common.',
  },
  TLS_NO_SHARED_VERSION: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client and the server have no TLS version in common.',
  },
  TLS_NO_SHARED_GROUP: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client and the server have no key exchange group in common.',
  },
  TLS_NO_SHARED_SIGNATURE: {
    side: 'downstream',
    retry: 'never',
    meaning: "The client takes no signature that the certificate's key can make.",
  },
  TLS_NO_SHARED_ALPN: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client and the server have no application protocol in common.',
  },
  TLS_CERTIFICATE_REFUSED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client does not trust the certificate (unknown CA, expired, wrong name) and said so.',
  },
  TLS_CLIENT_CERTIFICATE_MISSING: {
    side: 'downstream',
    retry: 'never',
    meaning: 'A client certificate is required and the client sent none.',
  },
  TLS_CLIENT_CERTIFICATE_INVALID: {
    side: 'downstream',
    retry: 'never',
    meaning: "The client's certificate could not be verified.",
  },
  TLS_CLIENT_HELLO_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The ClientHello breaks the grammar of RFC 8446.',
  },
  TLS_CLIENT_HELLO_TOO_LARGE: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The ClientHello is longer than allowed.',
  },
  TLS_HANDSHAKE_FAILED: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The TLS handshake failed for a reason that has no code of its own; the cause says which.',
  },
  TLS_UPSTREAM_UNVERIFIED: {
    side: 'upstream',
    retry: 'never',
    status: 502,
    meaning: "The backend's certificate could not be verified. Pass its CA, or correct the server name.",
  },
  TLS_UPSTREAM_TIMEOUT: {
    side: 'upstream',
    retry: 'idempotent',
    status: 504,
    meaning: 'The TLS handshake with the backend was not finished in time.',
  },
  TLS_UPSTREAM_FAILED: {
    side: 'upstream',
    retry: 'idempotent',
    status: 502,
    meaning: 'The TLS handshake with the backend failed; the cause says why.',
  },

  // http
  HTTP_REQUEST_LINE_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'The request line breaks the grammar of RFC 9112.',
  },
  HTTP_TARGET_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'The request target breaks the grammar of RFC 9112, section 3.2.',
  },
  HTTP_TARGET_TOO_LONG: {
    side: 'downstream',
    retry: 'never',
    status: 414,
    meaning: 'The request target is longer than allowed.',
  },
  HTTP_VERSION_UNSUPPORTED: {
    side: 'downstream',
    retry: 'never',
    status: 505,
    meaning: 'The HTTP version is not 1.0 or 1.1.',
  },
  HTTP_METHOD_UNSUPPORTED: {
    side: 'downstream',
    retry: 'never',
    status: 501,
    meaning: 'The method is not served here.',
  },
  HTTP_FIELD_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'A header field breaks the grammar of RFC 9110 and 9112.',
  },
  HTTP_HEAD_TOO_LARGE: {
    side: 'downstream',
    retry: 'never',
    status: 431,
    meaning: 'The head of the message is larger than allowed, or has more fields than allowed.',
  },
  HTTP_HEAD_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    status: 408,
    meaning: 'The head of the request did not arrive in time.',
  },
  HTTP_HOST_INVALID: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'The request has no Host, more than one, a malformed one, or one that contradicts its target.',
  },
  HTTP_LENGTH_INVALID: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'Content-Length is malformed, given more than once, or given together with Transfer-Encoding.',
  },
  HTTP_TRANSFER_ENCODING_INVALID: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'Transfer-Encoding is something other than exactly one final `chunked`, or came with HTTP/1.0.',
  },
  HTTP_CHUNK_MALFORMED: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'A chunked body breaks the grammar of RFC 9112, section 7.1.',
  },
  HTTP_BODY_INCOMPLETE: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'The connection ended before the body did.',
  },
  HTTP_BODY_TOO_LARGE: {
    side: 'downstream',
    retry: 'never',
    status: 413,
    meaning: 'The body is larger than allowed.',
  },
  HTTP_BODY_USED: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A body was read twice; it can be read once.',
  },
  HTTP_BODY_UNREAD: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'A service was given an answer, and neither read nor discarded its body. One that answers something else calls `body.discard()`.',
  },
  HTTP_EXPECTATION_FAILED: {
    side: 'downstream',
    retry: 'never',
    status: 417,
    meaning: 'The Expect field asks for something other than 100-continue.',
  },
  HTTP_TRANSFER_ENCODING_UNSUPPORTED: {
    side: 'downstream',
    retry: 'never',
    status: 501,
    meaning: 'Transfer-Encoding names a coding beside chunked, which is not understood here.',
  },
  HTTP_TRAILER_FORBIDDEN: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'A body is followed by a field that a trailer must not carry (RFC 9110, section 6.5.1).',
  },
  HTTP_BODY_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    status: 408,
    meaning: 'The body of the request stood still, or came more slowly than allowed.',
  },
  HTTP_WRITE_TIMEOUT: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The client did not read its answer in time.',
  },
  HTTP_BODY_NOT_JSON: {
    side: 'downstream',
    retry: 'never',
    status: 400,
    meaning: 'A body was to be read as JSON, and is not JSON.',
  },
  HTTP_BODY_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A body that a service made yielded something other than bytes.',
  },
  HTTP_HEADER_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A program set a header with a name or value that HTTP cannot carry.',
  },
  HTTP_RESPONSE_INVALID: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'A service answered with something that cannot be sent as HTTP: a bad status, field or length.',
  },
  HTTP_FILE_FAILED: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning:
      'A file that was to be the answer is there and could not be read, or became shorter while it was sent. The cause says why; permissions are the usual reason.',
  },
  HTTP2_PROTOCOL: {
    side: 'downstream',
    retry: 'never',
    meaning: 'The HTTP/2 peer broke RFC 9113, or a limit against floods.',
  },

  HTTP_UPGRADE_REFUSED: {
    side: 'downstream',
    retry: 'never',
    status: 501,
    meaning: 'The client asks to change to a protocol that can not be served here.',
  },
  HTTP_REQUEST_TIMEOUT: {
    side: 'internal',
    retry: 'never',
    status: 504,
    meaning: 'The whole answer was not complete within the time limit of the `timeout` layer.',
  },

  // http-upstream
  HTTP_UPSTREAM_MALFORMED: {
    side: 'upstream',
    retry: 'never',
    status: 502,
    meaning:
      'The upstream answered something that is not HTTP as RFC 9110, 9112 or 9113 have it, or an answer over the limits on its head. The message says what.',
  },
  HTTP_UPSTREAM_CLOSED: {
    side: 'upstream',
    retry: 'reused-connection',
    status: 502,
    meaning: 'The upstream closed the connection before the head of its answer was complete.',
  },
  HTTP_UPSTREAM_REFUSED: {
    side: 'upstream',
    retry: 'always',
    status: 502,
    meaning: 'The upstream did not begin with the request (HTTP/2: REFUSED_STREAM, or after GOAWAY).',
  },
  HTTP_UPSTREAM_INCOMPLETE: {
    side: 'upstream',
    retry: 'never',
    status: 502,
    meaning: 'The upstream broke its answer off; the client was cut off as well, so that it can tell.',
  },
  HTTP_UPSTREAM_TIMEOUT: {
    side: 'upstream',
    retry: 'idempotent',
    status: 504,
    meaning: 'The upstream did not begin to answer in time.',
  },
  HTTP_UPSTREAM_BODY_TIMEOUT: {
    side: 'upstream',
    retry: 'never',
    status: 504,
    meaning: 'The body of the answer stood still at the upstream for longer than allowed.',
  },
  HTTP_UPSTREAM_WRITE_TIMEOUT: {
    side: 'upstream',
    retry: 'never',
    status: 504,
    meaning: 'The upstream did not take the body of the request in time.',
  },
  HTTP_UPSTREAM_PROTOCOL: {
    side: 'upstream',
    retry: 'never',
    status: 502,
    meaning: 'The upstream does not speak the version of HTTP that it was configured with.',
  },
  HTTP_QUEUE_FULL: {
    side: 'upstream',
    retry: 'idempotent',
    status: 503,
    meaning: 'All connections to the upstream are in use, and as many requests wait for one as may.',
  },
  HTTP_QUEUE_TIMEOUT: {
    side: 'upstream',
    retry: 'idempotent',
    status: 503,
    meaning: 'No connection to the upstream became free in time.',
  },

  // cli
  USAGE: {
    side: 'internal',
    retry: 'never',
    status: 500,
    meaning: 'The command line could not be understood. `--help` shows what it takes.',
  },
} as const
