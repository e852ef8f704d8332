// The Forwarded field (RFC 7239, section 4), read by the letter: what differs in a character is not a list that a proxy
// wrote.
import { isIn, TOKEN, VALUE } from '../grammar.ts'

/** What one proxy says about the request as it came to it. Values are without their quotes, and not checked further. */
export interface ForwardedElement {
  /** Who sent the request to the proxy: a node (RFC 7239, 6), which `parseNode` reads. */
  readonly for?: string
  /** The proxy itself, where the request came in: a node. */
  readonly by?: string
  /** Host as the proxy got it. */
  readonly host?: string
  /** The scheme by which the request came to the proxy. */
  readonly proto?: string
}

const PARAMETERS = new Set(['for', 'by', 'host', 'proto'])

const QUOTE = 0x22
const COMMA = 0x2c
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/**
 * The elements of one Forwarded field, the proxy nearest to the client first. Parameters that are not in the RFC are
 * read over.
 *
 * @returns undefined if it is not exactly what the RFC says: a space around `=` or `;`, a quote that is not closed, an
 *   address with a colon and without quotes, a parameter twice in one element
 */
export function parseForwarded(value: string): readonly ForwardedElement[] | undefined {
  const reader = new Reader(value)
  const elements: ForwardedElement[] = []
  for (;;) {
    reader.skipSpace()
    const element = readElement(reader)
    if (element === undefined) return undefined
    // Empty elements of lists are read over (RFC 9110, 5.6.1.2).
    if (element !== NOTHING) elements.push(element)
    reader.skipSpace()
    if (reader.atEnd) return elements.length === 0 ? undefined : elements
    if (!reader.take(COMMA)) return undefined
  }
}

const NOTHING: ForwardedElement = {}

/** `[ forwarded-pair ] *( ";" [ forwarded-pair ] )`; undefined if it is malformed. */
function readElement(reader: Reader): ForwardedElement | undefined {
  let element: Record<string, string> | undefined
  const seen = new Set<string>()
  do {
    const name = reader.takeToken().toLowerCase()
    if (name === '') continue
    if (seen.has(name) || !reader.take(EQUALS)) return undefined
    seen.add(name)
    const value = reader.takeValue()
    if (value === undefined) return undefined
    element ??= {}
    if (PARAMETERS.has(name)) element[name] = value
  } while (reader.take(SEMICOLON))
  return element ?? NOTHING
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length
  }

  take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at++
    return true
  }

  skipSpace(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++
  }

  /** A token, or nothing. */
  takeToken(): string {
    const from = this.#at
    while (this.#at < this.#text.length) {
      const code = this.#text.charCodeAt(this.#at)
      if (code > 255 || !isIn(code, TOKEN)) break
      this.#at++
    }
    return this.#text.slice(from, this.#at)
  }

  /** A token, or what a quoted string stands for (RFC 9110, 5.6.4); undefined if it is neither. */
  takeValue(): string | undefined {
    if (this.#text.charCodeAt(this.#at) !== QUOTE) return this.takeToken() || undefined
    let value = ''
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      let code = this.#text.charCodeAt(at)
      if (code === QUOTE) {
        this.#at = at + 1
        return value
      }
      if (code === BACKSLASH) code = this.#text.charCodeAt(++at)
      // Also refuses what is not there: a backslash at the end.
      if (!(code <= 255) || !isIn(code, VALUE)) return undefined
      value += this.#text[at]
    }
    return undefined
  }
}
