// PP2_TYPE_SSL (section 2.2.6): what the sender says about the TLS session that it terminated.
import { splitTlvs, type Tlv, tlvsLength, writeTlv } from './tlv.ts'

/** How the client spoke TLS to the sender of a header. */
export interface ProxySsl {
  /** Whether the client spoke TLS at all. */
  readonly tls: boolean
  /** The client gave a certificate on this very connection. */
  readonly certificateOnConnection: boolean
  /** The client gave a certificate on this connection or an earlier one of the same TLS session. */
  readonly certificateInSession: boolean
  /** The client gave a certificate and the sender verified it. Never true without a certificate. */
  readonly verified: boolean
  /** `TLSv1.3` */
  readonly version?: string
  /** The common name of the client's certificate; says who the client is only if `verified`. */
  readonly commonName?: string
  /** `ECDHE-RSA-AES128-GCM-SHA256` */
  readonly cipher?: string
  /** The algorithm that the sender's own certificate is signed with: `SHA256` */
  readonly signatureAlgorithm?: string
  /** The key of the sender's own certificate: `RSA2048` */
  readonly keyAlgorithm?: string
}

const CLIENT_TLS = 0x01
const CLIENT_CERTIFICATE_CONNECTION = 0x02
const CLIENT_CERTIFICATE_SESSION = 0x04

const parts = {
  version: 0x21,
  commonName: 0x22,
  cipher: 0x23,
  signatureAlgorithm: 0x24,
  keyAlgorithm: 0x25,
} as const

/** Any number but 0 says that nothing was verified; OpenSSL calls this one X509_V_ERR_UNSPECIFIED. */
const NOT_VERIFIED = 1

/** Reads the value of an SSL field; undefined if its lengths do not add up. */
export function parseSsl(value: Uint8Array): ProxySsl | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const list = bytes.length < 5 ? undefined : splitTlvs(bytes.subarray(5))
  if (list === undefined) return undefined
  const client = bytes.readUInt8(0)
  const certificateOnConnection = (client & CLIENT_CERTIFICATE_CONNECTION) !== 0
  const certificateInSession = (client & CLIENT_CERTIFICATE_SESSION) !== 0
  const text = (kind: number): string | undefined => {
    const found = list.find(tlv => tlv.kind === kind)
    return found === undefined ? undefined : Buffer.from(found.value).toString('utf8')
  }
  const texts = Object.entries(parts).map(([name, kind]) => [name, text(kind)])
  return {
    tls: (client & CLIENT_TLS) !== 0,
    certificateOnConnection,
    certificateInSession,
    // HAProxy writes 0 for a client without a certificate as well, so that the 0 alone proves nothing.
    verified: bytes.readUInt32BE(1) === 0 && (certificateOnConnection || certificateInSession),
    ...(Object.fromEntries(texts.filter(([, found]) => found !== undefined)) as Partial<ProxySsl>),
  }
}

/** The value of an SSL field. */
export function serializeSsl(ssl: ProxySsl): Buffer {
  const list: Tlv[] = []
  for (const [name, kind] of PARTS) {
    const text = ssl[name]
    if (text !== undefined) list.push({ kind, value: Buffer.from(text) })
  }
  const bytes = Buffer.alloc(5 + tlvsLength(list))
  bytes[0] =
    (ssl.tls ? CLIENT_TLS : 0) |
    (ssl.certificateOnConnection ? CLIENT_CERTIFICATE_CONNECTION : 0) |
    (ssl.certificateInSession ? CLIENT_CERTIFICATE_SESSION : 0)
  bytes.writeUInt32BE(ssl.verified ? 0 : NOT_VERIFIED, 1)
  let at = 5
  for (const tlv of list) at = writeTlv(bytes, at, tlv)
  return bytes
}

const PARTS = Object.entries(parts) as readonly [keyof typeof parts, number][]
