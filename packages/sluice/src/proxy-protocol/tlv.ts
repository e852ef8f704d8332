// One field of a PROXY v2 header (section 2.2, `struct pp2_tlv`): a kind, a length, a value.

/** One field as it stands in the header. */
export interface Tlv {
  /** 0 to 255; `tlvKinds` has those that the specification names, 0xe0 to 0xef are for applications. */
  readonly kind: number
  readonly value: Uint8Array
}

/** Cuts a block into its fields; undefined if the lengths do not add up. Values are views of the block. */
export function splitTlvs(block: Uint8Array): readonly Tlv[] | undefined {
  const list: Tlv[] = []
  let at = 0
  while (at < block.length) {
    const [kind, high, low] = block.subarray(at, at + 3)
    if (kind === undefined || high === undefined || low === undefined) return undefined
    const end = at + 3 + ((high << 8) | low)
    if (end > block.length) return undefined
    list.push({ kind, value: block.subarray(at + 3, end) })
    at = end
  }
  return list
}

/** Bytes that a list of fields takes. */
export function tlvsLength(list: Iterable<Tlv>): number {
  let length = 0
  for (const { value } of list) length += 3 + value.length
  return length
}

/** Writes a field and answers where it ends. */
export function writeTlv(into: Buffer, at: number, tlv: Tlv): number {
  into[at] = tlv.kind
  into.writeUInt16BE(tlv.value.length, at + 1)
  into.set(tlv.value, at + 3)
  return at + 3 + tlv.value.length
}
