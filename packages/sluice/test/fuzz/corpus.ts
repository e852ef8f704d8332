// The kept inputs of the fuzz targets: files of raw bytes, a folder for each kind.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What is fuzzed: bytes from clients, bytes from upstreams, or field sections and frames of HTTP/2. */
export type Kind = 'requests' | 'responses' | 'hpack' | 'http2'

/** How names of files end. */
const ENDINGS: Readonly<Record<Kind, string>> = {
  requests: '.http',
  responses: '.http',
  hpack: '.hpack',
  http2: '.h2',
}

export interface Input {
  /** The file's name. */
  readonly name: string
  readonly bytes: Buffer
}

function folderOf(kind: Kind): string {
  return fileURLToPath(new URL(`corpus/${kind}/`, import.meta.url))
}

export function corpus(kind: Kind): Input[] {
  const folder = folderOf(kind)
  const names = readdirSync(folder).filter(name => name.endsWith(ENDINGS[kind]))
  return names.sort().map(name => ({ name, bytes: readFileSync(`${folder}${name}`) }))
}

/** Keeps an input that something was found with; gives back its path. */
export function keepInput(kind: Kind, name: string, bytes: Buffer): string {
  const folder = folderOf(kind)
  mkdirSync(folder, { recursive: true })
  const file = `${folder}${name}${ENDINGS[kind]}`
  writeFileSync(file, bytes)
  return file
}
