// Version 2, binary: section 2.2.
import { SluiceError } from '../core/index.ts'
import { type Head, ipFromBytes, UnixAddress } from '../net/index.ts'
import { crc32c } from './crc32c.ts'
import type { ProxyAddresses, ProxyHeader, ProxyTransport } from './header.ts'
import { malformed, tooLarge } from './malformed.ts'
import { samePlane, writeIp } from './plane.ts'
import { V2_SIGNATURE } from './signature.ts'
import { splitTlvs, type Tlv, tlvsLength, writeTlv } from './tlv.ts'
import { checkTlvs, Tlvs, tlvKinds } from './tlvs.ts'

/** The signature, version and command, family and transport, and the length of what follows. */
const FIXED = 16
const UNIX_PATH = 108
/** Bytes that both addresses take, by the number of their family: unspecified, IPv4, IPv6, unix. */
const ADDRESS_LENGTHS = [0, 12, 36, 2 * UNIX_PATH]
const TRANSPORTS: readonly ProxyTransport[] = ['unspec', 'stream', 'dgram']

/** The longest header that the format can express. */
export const LONGEST_V2: number = FIXED + 0xffff

/** Reads a v2 header from bytes that begin with its signature; undefined if it is not complete yet. */
export function parseV2(bytes: Buffer, longest: number): Head<ProxyHeader> | undefined {
  const [versionAndCommand, familyAndTransport] = bytes.subarray(12, 14)
  if (versionAndCommand === undefined) return undefined
  const command = versionAndCommand & 0x0f
  if (versionAndCommand >> 4 !== 2) malformed(2, `its version is ${versionAndCommand >> 4}; it must be 2`)
  if (command > 1) malformed(2, `its command is ${command}; it must be 0 (LOCAL) or 1 (PROXY)`)
  if (familyAndTransport === undefined) return undefined
  const local = command === 0
  const family = familyAndTransport >> 4
  const transport = TRANSPORTS[familyAndTransport & 0x0f]
  // The family of a LOCAL header is to be ignored, even one that nobody knows.
  if (!local && family > 3) malformed(2, `its address family is ${family}; the highest is 3 (AF_UNIX)`)
  if (!local && transport === undefined) {
    malformed(2, `its transport is ${familyAndTransport & 0x0f}; the highest is 2 (DGRAM)`)
  }
  if (bytes.length < FIXED) return undefined
  const end = FIXED + bytes.readUInt16BE(14)
  if (end > longest) tooLarge(2, `${end} bytes; the limit is ${longest}`)
  const addressLength = ADDRESS_LENGTHS[family] ?? 0
  if (!local && end - FIXED < addressLength) {
    malformed(
      2,
      `${end - FIXED} bytes follow its fixed part; the addresses of family ${family} take ${addressLength}`,
    )
  }
  if (bytes.length < end) return undefined

  const opaque = local || family === 0
  const header = bytes.subarray(0, end)
  const claims = !opaque && (transport === 'stream' || transport === 'dgram')
  return {
    value: {
      version: 2,
      command: local ? 'local' : 'proxy',
      transport: local ? 'unspec' : (transport ?? 'unspec'),
      addresses: claims ? readAddresses(header, family) : undefined,
      tlvs: readTlvs(header, FIXED + addressLength, opaque),
    },
    consumed: end,
  }
}

function readAddresses(bytes: Buffer, family: number): ProxyAddresses {
  if (family === 3) {
    return {
      source: new UnixAddress(readPath(bytes.subarray(FIXED, FIXED + UNIX_PATH))),
      destination: new UnixAddress(readPath(bytes.subarray(FIXED + UNIX_PATH, FIXED + 2 * UNIX_PATH))),
    }
  }
  const size = family === 1 ? 4 : 16
  const [from, to, ports] = [FIXED, FIXED + size, FIXED + 2 * size]
  return {
    source: ipFromBytes(bytes.subarray(from, to), bytes.readUInt16BE(ports)),
    destination: ipFromBytes(bytes.subarray(to, ports), bytes.readUInt16BE(ports + 2)),
  }
}

/** A path up to its zero; an abstract name begins with a zero, as Node and Linux write it; all zeros have no name. */
function readPath(bytes: Buffer): string {
  let end = bytes.length
  if (bytes[0] !== 0) {
    const zero = bytes.indexOf(0)
    if (zero >= 0) end = zero
  } else {
    while (end > 0 && bytes[end - 1] === 0) end--
  }
  return bytes.toString('utf8', 0, end)
}

/**
 * @param opaque for LOCAL and unspecified families, where anything may stand: what is no list of fields is skipped
 */
function readTlvs(header: Buffer, start: number, opaque: boolean): Tlvs {
  if (start >= header.length) return Tlvs.none
  // A copy: the fields live as long as the connection and must not keep the socket's read buffer.
  const block = Buffer.from(header.subarray(start))
  const list = splitTlvs(block)
  if (list === undefined) {
    return opaque ? Tlvs.none : malformed(2, 'the lengths of its TLVs do not add up to its own length')
  }
  checkTlvs(list)
  const sum = list.find(({ kind }) => kind === tlvKinds.crc32c)
  if (sum !== undefined) {
    const at = start + sum.value.byteOffset - block.byteOffset
    const [stated, actual] = [header.readUInt32BE(at), headerSum(header, at)]
    if (stated !== actual) {
      throw new SluiceError(
        'PROXY_HEADER_CHECKSUM',
        `the PROXY v2 header says that its CRC32C is ${hex(stated)}, but it is ${hex(actual)}; it was changed on its way`,
      )
    }
  }
  return new Tlvs(list)
}

/** The checksum of a header, with the four bytes where the checksum itself stands taken as zeros (section 2.2.3). */
function headerSum(header: Buffer, at: number): number {
  return crc32c(header.subarray(at + 4), crc32c(ZEROS, crc32c(header.subarray(0, at))))
}

const ZEROS = new Uint8Array(4)

/** What a v2 header is written from. */
export interface V2Fields {
  readonly command: ProxyHeader['command']
  readonly transport: ProxyTransport
  readonly addresses: ProxyAddresses | undefined
  readonly tlvs: Iterable<Tlv>
  /** Adds a CRC32C, unless the fields have one. */
  readonly crc32c: boolean
}

/**
 * Writes a v2 header in one piece. The value of a CRC32C field is computed, whatever it was.
 *
 * @throws {SluiceError} `PROXY_HEADER_UNSENDABLE` for fields that do not fit or are not what their kind says
 */
export function serializeV2({ command, transport, addresses, tlvs, crc32c: sum }: V2Fields): Buffer {
  const list = [...tlvs]
  if (sum && !list.some(({ kind }) => kind === tlvKinds.crc32c)) {
    list.push({ kind: tlvKinds.crc32c, value: ZEROS })
  }
  const plane =
    command === 'proxy' && transport !== 'unspec' && addresses !== undefined
      ? samePlane(addresses)
      : undefined
  const family = plane === undefined ? 0 : { ipv4: 1, ipv6: 2, unix: 3 }[plane.family]
  const addressLength = ADDRESS_LENGTHS[family] ?? 0
  const length = addressLength + tlvsLength(list)
  if (length > 0xffff) unsendable(`it has ${length} bytes after its fixed part; the most are 65535`)

  const header = Buffer.alloc(FIXED + length)
  header.set(V2_SIGNATURE)
  header[12] = command === 'proxy' ? 0x21 : 0x20
  header[13] = plane === undefined ? 0 : (family << 4) | TRANSPORTS.indexOf(transport)
  header.writeUInt16BE(length, 14)
  if (plane?.family === 'unix') {
    writePath(header, FIXED, plane.source.path)
    writePath(header, FIXED + UNIX_PATH, plane.destination.path)
  } else if (plane !== undefined) {
    const size = plane.family === 'ipv4' ? 4 : 16
    writeIp(header, FIXED, plane.source, plane.family)
    writeIp(header, FIXED + size, plane.destination, plane.family)
    header.writeUInt16BE(plane.source.port, FIXED + 2 * size)
    header.writeUInt16BE(plane.destination.port, FIXED + 2 * size + 2)
  }

  let at = FIXED + addressLength
  let sumAt = -1
  for (const tlv of list) {
    if (!Number.isInteger(tlv.kind) || tlv.kind < 0 || tlv.kind > 255) {
      unsendable(`a TLV has the kind ${tlv.kind}; kinds are 0 to 255`)
    }
    if (tlv.kind === tlvKinds.crc32c) {
      if (sumAt >= 0 || tlv.value.length !== 4) unsendable('it has a CRC32C that is not alone or not 4 bytes')
      sumAt = at + 3
    }
    at = writeTlv(header, at, tlv)
  }
  if (sumAt >= 0) header.writeUInt32BE(headerSum(header, sumAt), sumAt)
  return header
}

function writePath(header: Buffer, at: number, path: string): void {
  const bytes = Buffer.from(path)
  if (bytes.length > UNIX_PATH)
    unsendable(`the path of a unix socket has ${bytes.length} bytes; the most are 108`)
  header.set(bytes, at)
}

function unsendable(why: string): never {
  throw new SluiceError('PROXY_HEADER_UNSENDABLE', `a PROXY v2 header can not be written: ${why}`)
}

function hex(sum: number): string {
  return `0x${sum.toString(16).padStart(8, '0')}`
}
