// Numbers of the IANA TLS registries that the parser and the fingerprints know, and GREASE (RFC 8701).

/** Extension types that are decoded. */
export const extensionTypes = {
  serverName: 0x0000,
  supportedGroups: 0x000a,
  pointFormats: 0x000b,
  signatureAlgorithms: 0x000d,
  alpn: 0x0010,
  supportedVersions: 0x002b,
  pskModes: 0x002d,
  keyShare: 0x0033,
  encryptedClientHello: 0xfe0d,
} as const

/**
 * Whether a 16-bit value is one of the sixteen that RFC 8701 reserves to be sent at random, so that servers keep
 * ignoring what they don't know: 0x0a0a, 0x1a1a … 0xfafa. Fingerprints leave them out.
 */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff)
}

/** Whether a value is anything but GREASE. */
export function isReal(value: number): boolean {
  return !isGrease(value)
}

/** A protocol version as `tls.TLSSocket.getProtocol()` names it, such as `TLSv1.3`; hex when it has no name. */
export function versionName(version: number): string {
  if (isGrease(version)) return 'GREASE'
  switch (version) {
    case 0x0304:
      return 'TLSv1.3'
    case 0x0303:
      return 'TLSv1.2'
    case 0x0302:
      return 'TLSv1.1'
    case 0x0301:
      return 'TLSv1'
    case 0x0300:
      return 'SSLv3'
    default:
      return `0x${hex16(version)}`
  }
}

/** Four lower-case hex digits. */
export function hex16(value: number): string {
  return value.toString(16).padStart(4, '0')
}
