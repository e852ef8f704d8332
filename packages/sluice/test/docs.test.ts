// The documents say what is there: links lead somewhere, the options of the command line are all described, and the
// list of what Bun lacks is about tests that exist.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { bunGaps } from './bun-gaps.ts'
import { runSluice } from './support/cli.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const documents = [
  ...readdirSync(root).filter(file => file.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map(file => `docs/${file}`),
].filter(file => file.endsWith('.md'))

describe.each(documents)('%s', document => {
  it('has links that lead somewhere', () => {
    const text = readFileSync(join(root, document), 'utf8')
    const links = [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map(([, path = '']) => path)
    const broken = links
      .filter(path => !/^[a-z]+:/.test(path))
      .filter(path => !existsSync(join(root, dirname(document), path)))
    expect(broken).toEqual([])
  })
})

describe('docs/cli.md', () => {
  it.each(['proxy', 'tls', 'demo'])('describes every option of sluice %s', async command => {
    const { stdout } = await runSluice([command, '--help'])
    const options = stdout.match(/--[a-z-]+(?: <\w+>)?(?= {2}|\n)/g) ?? []
    expect(options).toContain('--drain-limit <duration>')
    const text = readFileSync(join(root, 'docs/cli.md'), 'utf8')
    expect(options.filter(option => option !== '--help' && !text.includes(option))).toEqual([])
  })
})

describe('bun-gaps.ts', () => {
  // Whether the tests in them exist is checked when the files run.
  it('names test files that exist', () => {
    expect(bunGaps.filter(({ file }) => !existsSync(join(root, 'packages/sluice', file)))).toEqual([])
  })
})
