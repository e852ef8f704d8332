// The names in a certificate's subjectAltName (RFC 5280, section 4.2.1.6), from the text that the platform makes of it.

/** Names by their kind, each list in the certificate's order. */
export interface AlternativeNames {
  readonly dns: readonly string[]
  readonly ip: readonly string[]
  readonly email: readonly string[]
  readonly uri: readonly string[]
}

const KINDS: ReadonlyMap<string, keyof AlternativeNames> = new Map([
  ['DNS', 'dns'],
  ['IP Address', 'ip'],
  ['email', 'email'],
  ['URI', 'uri'],
] as const)

/**
 * Splits `DNS:a.example, IP Address:127.0.0.1`. A value that could be mistaken for several is written as a JSON string
 * there (since CVE-2021-44532), and is taken as the one value that it is.
 */
export function parseAlternativeNames(text: string = ''): AlternativeNames {
  const names = { dns: [] as string[], ip: [] as string[], email: [] as string[], uri: [] as string[] }
  const entry = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y
  // What can't be split is where the list ends: a name too few is refused somewhere, a name too many believed.
  for (let found = entry.exec(text); found !== null; found = entry.exec(text)) {
    const [, kind = '', written = ''] = found
    const value = unquote(written)
    if (value === undefined) return names
    const list = KINDS.get(kind)
    if (list !== undefined) names[list].push(value)
    if (entry.lastIndex === text.length) return names
  }
  return names
}

function unquote(written: string): string | undefined {
  if (!written.startsWith('"')) return written
  try {
    return String(JSON.parse(written))
  } catch {
    return undefined
  }
}
