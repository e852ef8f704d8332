// Reads the body of a ClientHello (RFC 8446, section 4.1.2) with every length checked and nothing left over.
import { ClientHello, type ClientHelloExtension, type ClientHelloFields } from './client-hello.ts'
import { Cursor } from './cursor.ts'
import { malformed, tooLarge } from './errors.ts'
import { extensionTypes } from './registry.ts'
import { readServerName } from './server-name.ts'

/** Clients send 10 to 25. Each one costs an object, however small it was on the wire. */
const MOST_EXTENSIONS = 128

type Decoded = { -readonly [Field in keyof ClientHelloFields]: ClientHelloFields[Field] }

/** @throws {SluiceError} `TLS_CLIENT_HELLO_MALFORMED`, `TLS_CLIENT_HELLO_TOO_LARGE` */
export function parseMessage(body: Buffer): ClientHello {
  const cursor = new Cursor(body)
  const legacyVersion = cursor.number(2, 'legacy_version')
  const random = cursor.take(32, 'random')
  const sessionId = cursor.opaque(1, 0, 'legacy_session_id')
  if (sessionId.length > 32) {
    throw malformed(`has a legacy_session_id of ${sessionId.length} bytes; the most is 32`)
  }
  const hello: Decoded = {
    legacyVersion,
    random,
    sessionId,
    cipherSuites: cursor.numbers(2, 2, 'cipher_suites'),
    compressionMethods: cursor.numbers(1, 1, 'legacy_compression_methods'),
    extensions: undefined,
    serverNameAsSent: undefined,
    versions: [legacyVersion],
    alpn: [],
    groups: [],
    pointFormats: [],
    signatureAlgorithms: [],
    keyShares: [],
    pskModes: [],
  }
  if (cursor.left > 0) {
    hello.extensions = readExtensions(cursor)
    for (const extension of hello.extensions) decode(extension, hello)
  }
  return new ClientHello(hello)
}

function readExtensions(cursor: Cursor): readonly ClientHelloExtension[] {
  const block = new Cursor(cursor.opaque(2, 0, 'extensions'))
  cursor.end('extensions')
  const extensions: ClientHelloExtension[] = []
  const seen = new Set<number>()
  while (block.left > 0) {
    if (extensions.length === MOST_EXTENSIONS) throw tooLarge(`has more than ${MOST_EXTENSIONS} extensions`)
    const type = block.number(2, 'the type of an extension')
    if (seen.has(type)) throw malformed(`has extension ${type} twice`)
    seen.add(type)
    extensions.push({ type, data: block.opaque(2, 0, `extension ${type}`) })
  }
  return extensions
}

/** Decodes an extension that has a field of its own; of others, nothing is known but their bytes. */
function decode(extension: ClientHelloExtension, hello: Decoded): void {
  const data = new Cursor(extension.data)
  switch (extension.type) {
    case extensionTypes.serverName:
      hello.serverNameAsSent = readServerName(data)
      break
    case extensionTypes.supportedGroups:
      hello.groups = data.numbers(2, 2, 'supported_groups')
      data.end('supported_groups')
      break
    case extensionTypes.pointFormats:
      hello.pointFormats = data.numbers(1, 1, 'ec_point_formats')
      data.end('ec_point_formats')
      break
    case extensionTypes.signatureAlgorithms:
      hello.signatureAlgorithms = data.numbers(2, 2, 'signature_algorithms')
      data.end('signature_algorithms')
      break
    case extensionTypes.alpn:
      hello.alpn = readAlpn(data)
      break
    case extensionTypes.supportedVersions:
      hello.versions = data.numbers(1, 2, 'supported_versions')
      data.end('supported_versions')
      break
    case extensionTypes.pskModes:
      hello.pskModes = data.numbers(1, 1, 'psk_key_exchange_modes')
      data.end('psk_key_exchange_modes')
      break
    case extensionTypes.keyShare:
      hello.keyShares = readKeyShares(data)
      break
  }
}

/** RFC 7301, section 3.1: a list of at least one name, each of 1 to 255 bytes. */
function readAlpn(data: Cursor): readonly string[] {
  const list = new Cursor(data.opaque(2, 2, 'application_layer_protocol_negotiation'))
  data.end('application_layer_protocol_negotiation')
  const names: string[] = []
  while (list.left > 0)
    names.push(list.opaque(1, 1, 'the name of an application protocol').toString('latin1'))
  return names
}

/** RFC 8446, section 4.2.8: the list may be empty, which asks for a HelloRetryRequest. */
function readKeyShares(data: Cursor): readonly number[] {
  const list = new Cursor(data.opaque(2, 0, 'key_share'))
  data.end('key_share')
  const groups: number[] = []
  while (list.left > 0) {
    groups.push(list.number(2, 'the group of a key share'))
    list.opaque(2, 1, 'the key of a key share')
  }
  return groups
}
