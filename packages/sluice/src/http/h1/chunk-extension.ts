// The grammar of chunk extensions (RFC 9112, section 7.1.1), byte by byte: `;name`, `;name=token`, `;name="quoted"`.
// They are checked and thrown away. Spaces around them ("bad whitespace") are refused: no honest client sends them.
import { isIn, TOKEN, VALUE } from '../grammar.ts'

export const EXTENSION_NAME_START = 0
const NAME = 1
const VALUE_START = 2
const TOKEN_VALUE = 3
const QUOTED = 4
const ESCAPED = 5
const AFTER_QUOTED = 6
export const EXTENSION_END = 7
const WRONG = -1

const CR = 0x0d
const QUOTE = 0x22
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/** The state after one more byte: `EXTENSION_END` at the CR after the last extension, -1 where the grammar is broken. */
export function nextInExtension(state: number, byte: number): number {
  switch (state) {
    case EXTENSION_NAME_START:
      return isIn(byte, TOKEN) ? NAME : WRONG
    case NAME:
      if (isIn(byte, TOKEN)) return NAME
      return byte === EQUALS ? VALUE_START : afterValue(byte)
    case VALUE_START:
      if (byte === QUOTE) return QUOTED
      return isIn(byte, TOKEN) ? TOKEN_VALUE : WRONG
    case TOKEN_VALUE:
      return isIn(byte, TOKEN) ? TOKEN_VALUE : afterValue(byte)
    case QUOTED:
      if (byte === QUOTE) return AFTER_QUOTED
      if (byte === BACKSLASH) return ESCAPED
      return isIn(byte, VALUE) ? QUOTED : WRONG
    case ESCAPED:
      return isIn(byte, VALUE) ? QUOTED : WRONG
    default:
      return afterValue(byte)
  }
}

function afterValue(byte: number): number {
  if (byte === CR) return EXTENSION_END
  return byte === SEMICOLON ? EXTENSION_NAME_START : WRONG
}
