// The kept inputs of the fuzz targets: files of raw bytes, a folder for each kind.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What is fuzzed: bytes from clients, or bytes from upstreams. */
export type Kind = 'requests' | 'responses'

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
  const names = readdirSync(folder).filter(name => name.endsWith('.http'))
  return names.sort().map(name => ({ name, bytes: readFileSync(`${folder}${name}`) }))
}

/** Keeps an input that something was found with; gives back its path. */
export function keepInput(kind: Kind, name: string, bytes: Buffer): string {
  const folder = folderOf(kind)
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}${name}.http`, bytes)
  return `${folder}${name}.http`
}
