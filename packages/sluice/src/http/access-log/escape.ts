// What peers send, as it may stand in a log: visible ASCII and nothing else, so that no line can be forged, no terminal
// commanded, and no text turned around. Field values are Latin-1, one character a byte.

const PLAIN_IN_JSON = /^[ !#-[\]-~]*$/
const SPECIAL_IN_JSON = /[^ !#-[\]-~]/g

/** A JSON string with its quotes. */
export function jsonText(text: string): string {
  if (PLAIN_IN_JSON.test(text)) return `"${text}"`
  return `"${text.replace(SPECIAL_IN_JSON, jsonEscape)}"`
}

function jsonEscape(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** As nginx escapes in its logs: `\x` and two digits for a byte that is not visible ASCII, for `"` and for `\`. */
export function hexEscaped(text: string): string {
  if (PLAIN_IN_JSON.test(text)) return text
  return text.replace(SPECIAL_IN_JSON, hexEscape)
}

function hexEscape(character: string): string {
  const code = character.charCodeAt(0)
  // Beyond Latin-1 there is nothing from a peer, but there may be in the name of an upstream.
  if (code > 255) return `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`
  return `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`
}
