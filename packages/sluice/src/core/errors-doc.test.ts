import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { errorTable } from './errors.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const src = join(root, 'packages/sluice/src')
const codes = Object.keys(errorTable)
const files = globSync('**/*.ts', { cwd: src })
  .filter(file => !file.endsWith('.test.ts') && file !== join('core', 'error-table.ts'))
  .map(file => ({ file, text: readFileSync(join(src, file), 'utf8') }))

describe('docs/errors.md', () => {
  it('says what the table of errors says', () => {
    const script = join(root, 'scripts/errors-doc.mjs')
    const expected = execFileSync(process.execPath, ['--conditions=@sluice/source', script, '--print'], {
      encoding: 'utf8',
    })
    const found = readFileSync(join(root, 'docs/errors.md'), 'utf8')
    const fix = 'write it anew with: node --conditions=@sluice/source scripts/errors-doc.mjs'
    expect(found, fix).toBe(expected)
  })
})

describe('the table of errors', () => {
  it('has no code that nothing uses', () => {
    const unused = codes.filter(code => !files.some(({ text }) => text.includes(`'${code}'`)))
    expect(unused, 'use them or take them out of core/error-table.ts').toEqual([])
  })

  it('has every code that is thrown, or promised by a comment', () => {
    const wrong: string[] = []
    for (const { file, text } of files) {
      const thrown = [...text.matchAll(/SluiceError\(\s*'([^']*)'/g)].map(match => match[1] ?? '')
      // A tag goes on to the next tag or the end of the comment.
      const promised = [...text.matchAll(/@throws \{SluiceError\}((?:(?!\*\/|\n\s*\* @)[\s\S])*)/g)].flatMap(
        match =>
          [...(match[1] ?? '').matchAll(/`([A-Z][A-Z\d]*(?:_[A-Z\d]+)+)`/g)].map(code => code[1] ?? ''),
      )
      wrong.push(
        ...[...thrown, ...promised].filter(code => !codes.includes(code)).map(code => `${file}: ${code}`),
      )
    }
    expect([...new Set(wrong)], 'add them to core/error-table.ts').toEqual([])
  })
})
