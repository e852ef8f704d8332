// The rules that keep the source in layers: who may import whom, what a file begins with, how long it may be.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** A folder imports only from the folders before it. */
const ORDER = ['core', 'net', 'proxy-protocol', 'tls', 'http', 'proxy', 'config', 'server', 'cli']

/** Files that may be longer than the rest, and why. */
const LONG: Readonly<Record<string, string>> = {
  'core/error-table.ts': 'a table',
}
const LONGEST = 350

interface File {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
  /** What it imports, as written. */
  readonly imports: readonly string[]
}

function importsOf(text: string): string[] {
  const patterns = [
    /^import\s+(?:type\s+)?[^'"()]*?\sfrom\s+['"]([^'"]+)['"]/gm,
    /^import\s+['"]([^'"]+)['"]/gm,
    /^export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
  ]
  return patterns.flatMap(pattern => [...text.matchAll(pattern)].map(match => match[1] ?? ''))
}

function withoutTypes(text: string): string {
  return text.replaceAll(/^(?:import|export)\s+type\s[^'"]*?\sfrom\s+['"][^'"]+['"]/gm, '')
}

function files(folder: string): File[] {
  const found = globSync('**/*.{ts,tsx,mts,js,mjs}', {
    cwd: join(root, folder),
    exclude: name => ['node_modules', 'dist', 'results'].includes(name),
  })
  return found.map(name => {
    const text = readFileSync(join(root, folder, name), 'utf8')
    return { path: join(folder, name).split(sep).join('/'), text, imports: importsOf(text) }
  })
}

const SRC = 'packages/sluice/src/'
const source = files(SRC).filter(file => !/\.test(?:-d)?\.ts$/.test(file.path))
const short = (path: string) => path.slice(SRC.length)
const folderOf = (path: string) => short(path).split('/')[0] ?? ''
const isRelative = (specifier: string) => /^\.\.?\//.test(specifier)
const resolve = (from: File, specifier: string) =>
  relative(root, join(root, dirname(from.path), specifier))
    .split(sep)
    .join('/')

describe('the source', () => {
  it('is there, and its imports are found', () => {
    expect(source.length).toBeGreaterThan(20)
    expect(
      importsOf("import a, { b } from 'c'\nimport type {\n  d,\n} from './e.ts'\nimport './f.ts'"),
    ).toEqual(['c', './e.ts', './f.ts'])
    expect(importsOf("export * from './g.ts'\nexport type { h } from './i.ts'\nawait import('j')")).toEqual([
      './g.ts',
      './i.ts',
      'j',
    ])
    expect(importsOf(withoutTypes("import type { a } from 'b'\nimport c from 'd'"))).toEqual(['d'])
    expect(importsOf("// import x from 'y'\nexport const from = 'z'")).toEqual([])
  })

  it('lies in the folders that have a place in the order', () => {
    expect(source.map(file => file.path).filter(path => !ORDER.includes(folderOf(path)))).toEqual([])
  })

  it('imports from its own folder, or from the index.ts of a folder above', () => {
    const wrong: string[] = []
    for (const file of source) {
      for (const specifier of file.imports) {
        if (!isRelative(specifier)) {
          if (/^sluice(?:\/|$)/.test(specifier)) wrong.push(`${short(file.path)}: ${specifier} is itself`)
          continue
        }
        const target = resolve(file, specifier)
        if (target.startsWith(SRC)) {
          const [from, to] = [folderOf(file.path), folderOf(target)]
          if (from === to) continue
          if (ORDER.indexOf(to) > ORDER.indexOf(from))
            wrong.push(`${short(file.path)}: ${to} is below ${from}`)
          else if (short(target) !== `${to}/index.ts`)
            wrong.push(`${short(file.path)}: ${short(target)} is private to ${to}`)
        } else if (target !== 'packages/sluice/package.json')
          wrong.push(`${short(file.path)}: ${specifier} is not published`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('has no import cycles, but of types, which are gone when it runs', () => {
    const byPath = new Map(source.map(file => [file.path, file]))
    const state = new Map<string, 'open' | 'done'>()
    const cycles: string[] = []
    const visit = (file: File, way: readonly string[]): void => {
      if (state.get(file.path) === 'done') return
      if (state.get(file.path) === 'open') {
        cycles.push([...way.slice(way.indexOf(file.path)), file.path].map(short).join(' > '))
        return
      }
      state.set(file.path, 'open')
      for (const specifier of importsOf(withoutTypes(file.text)).filter(isRelative)) {
        const next = byPath.get(resolve(file, specifier))
        if (next !== undefined) visit(next, [...way, file.path])
      }
      state.set(file.path, 'done')
    }
    for (const file of source) visit(file, [])
    expect(cycles).toEqual([])
  })

  it('says at the top of each file what it is for', () => {
    const silent = source.filter(file => !/^(?:#!.*\n)?(?:\/\/ \S|\/\*\*)/.test(file.text))
    expect(silent.map(file => short(file.path))).toEqual([])
  })

  it(`has no file of more than ${LONGEST} lines but those listed above`, () => {
    const long = source.filter(file => file.text.split('\n').length - 1 > LONGEST)
    expect(long.map(file => short(file.path)).filter(path => !(path in LONG))).toEqual([])
    const listed = long.map(file => short(file.path))
    expect(
      Object.keys(LONG).filter(path => !listed.includes(path)),
      'listed, but no longer long',
    ).toEqual([])
  })
})

describe('the package', () => {
  it('imports nothing that does not exist', () => {
    const wrong = files('packages/sluice').flatMap(file =>
      file.imports
        .filter(specifier => isRelative(specifier) && !existsSync(join(root, resolve(file, specifier))))
        .map(specifier => `${file.path}: ${specifier}`),
    )
    expect(wrong).toEqual([])
  })
})

describe.each(['examples', 'bench'])('%s', folder => {
  const manifest = JSON.parse(readFileSync(join(root, 'packages/sluice/package.json'), 'utf8')) as {
    exports: Record<string, unknown>
  }
  const names = Object.keys(manifest.exports).map(subpath => subpath.replace('.', 'sluice'))

  it('imports the public names of the package, and nothing inside it', () => {
    const wrong: string[] = []
    for (const file of files(folder)) {
      for (const specifier of file.imports) {
        const outside = isRelative(specifier) && !resolve(file, specifier).startsWith(`${folder}/`)
        const unknown = /^sluice(?:\/|$)/.test(specifier) && !names.includes(specifier)
        if (outside || unknown) wrong.push(`${file.path}: ${specifier}`)
      }
    }
    expect(wrong).toEqual([])
  })
})
