// Writes capture files around bytes, so that tshark can be asked what it reads in them.

const LINKTYPE_RAW_IP = 101
const LONGEST_SEGMENT = 1400

/**
 * A pcap file with one TCP connection from 127.0.0.1 to port 443 for each item, in their order: a handshake, and the
 * bytes in segments from the client. Nothing is answered, so the file is the same each time.
 */
export function pcapOf(streams: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(65_535, 16)
  header.writeUInt32LE(LINKTYPE_RAW_IP, 20)
  const packets: Buffer[] = [header]
  streams.forEach((bytes, index) => {
    const client = 20_000 + index
    const add = (packet: Buffer) => packets.push(record(packets.length, packet))
    add(tcp(client, 443, 1000, 0, SYN, NOTHING))
    add(tcp(443, client, 2000, 1001, SYN | ACK, NOTHING))
    add(tcp(client, 443, 1001, 2001, ACK, NOTHING))
    for (let at = 0; at < bytes.length; at += LONGEST_SEGMENT) {
      add(tcp(client, 443, 1001 + at, 2001, PSH | ACK, bytes.subarray(at, at + LONGEST_SEGMENT)))
    }
  })
  return Buffer.concat(packets)
}

const NOTHING = Buffer.alloc(0)
const SYN = 0x02
const PSH = 0x08
const ACK = 0x10

/** One second between packets. */
function record(second: number, packet: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(second, 0)
  header.writeUInt32LE(packet.length, 8)
  header.writeUInt32LE(packet.length, 12)
  return Buffer.concat([header, packet])
}

/** An IPv4 packet with a TCP segment; checksums are left out, as network cards that fill them in later leave them. */
function tcp(
  from: number,
  to: number,
  sequence: number,
  acknowledge: number,
  flags: number,
  data: Buffer,
): Buffer {
  const head = Buffer.alloc(40)
  head[0] = 0x45
  head.writeUInt16BE(40 + data.length, 2)
  head[8] = 64
  head[9] = 6
  head.set([127, 0, 0, 1], 12)
  head.set([127, 0, 0, 1], 16)
  head.writeUInt16BE(from, 20)
  head.writeUInt16BE(to, 22)
  head.writeUInt32BE(sequence, 24)
  head.writeUInt32BE(acknowledge, 28)
  head[32] = 0x50
  head[33] = flags
  head.writeUInt16BE(65_535, 34)
  return Buffer.concat([head, data])
}
