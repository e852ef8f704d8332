// Runs once before the interop tests: a peer that is missing fails the run by the name of its package.
import { existsSync, readFileSync } from 'node:fs'
import { findProgram } from './peers.ts'

export function setup(): void {
  const list = readFileSync(new URL('../interop/debian-packages.txt', import.meta.url), 'utf8')
  const needed = list.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const missing = needed.flatMap(line => {
    const [name = '', sought = ''] = line.split(/\s+/)
    return isThere(sought, name) ? [] : [name]
  })
  if (missing.length > 0) {
    throw new Error(
      `the interop tests need Debian packages that are missing: apt-get install ${missing.join(' ')}`,
    )
  }
}

function isThere(sought: string, name: string): boolean {
  if (sought.startsWith('/')) return existsSync(sought)
  try {
    return findProgram(sought, name) !== ''
  } catch {
    return false
  }
}
