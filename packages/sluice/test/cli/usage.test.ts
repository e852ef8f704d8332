// What the command line says to mistakes: one line that says what to do, and the exit code.

import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificateAuthority } from '../../src/tls/index.ts'
import { runSluice } from '../support/cli.ts'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-usage-'))
  const authority = certificateAuthority()
  for (const name of ['one', 'two']) {
    const { cert, key } = await authority.issue([`${name}.example`])
    writeFileSync(join(folder, `${name}.pem`), cert)
    writeFileSync(join(folder, `${name}.key`), key)
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('mistakes on the command line', () => {
  const cases: readonly [what: string, args: readonly string[], code: number, says: RegExp][] = [
    ['a bad address to listen on', ['--listen', 'nowhere', '--to', '3000'], 2, /nowhere/],
    ['a bad backend', ['--listen', '0', '--to', 'http://a:1'], 2, /it is a URL/],
    ['a missing option', ['--listen', '0'], 2, /--to/],
    ['an unknown option', ['--lisen', '0', '--to', '1'], 2, /--listen/],
    ['a bad network', ['--listen', '0', '--to', '1', '--accept-proxy', '10.0.0.1/8'], 2, /10\.0\.0\.0\/8/],
    ['a bad duration', ['--listen', '0', '--to', '1', '--drain-limit', 'soon'], 2, /30s/],
    ['a bad PROXY version', ['--listen', '0', '--to', '1', '--send-proxy', 'v3'], 2, /v1, v2/],
    ['a certificate without a key', ['--listen', '0', '--to', '1', '--cert', 'a.pem'], 2, /--key/],
    [
      'a file that is not there',
      ['--listen', '0', '--to', '1', '--cert', '/nowhere/a.pem', '--key', 'a'],
      1,
      /\/nowhere\/a\.pem/,
    ],
  ]
  it.each(cases)('%s', async (_, args, code, says) => {
    const { stderr, stdout, code: exit } = await runSluice(['tls', ...args])
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(stdout).toBe('')
    expect(exit).toBe(code)
  })

  it('a key that does not belong to the certificate', async () => {
    const { stderr, code } = await runSluice([
      ...['tls', '--listen', '0', '--to', '1'],
      ...['--cert', join(folder, 'one.pem'), '--key', join(folder, 'two.key')],
    ])
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/two\.key/)
    expect(code).toBe(1)
  })

  it('an address in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const { stderr, code } = await runSluice(['tls', '--listen', `127.0.0.1:${port}`, '--to', '1'])
    server.close()
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/in use/)
    expect(code).toBe(1)
  })
})

describe('help', () => {
  it('lists the commands, and each has examples', async () => {
    const { stdout, code } = await runSluice(['--help'])
    expect(stdout).toMatch(/demo[\s\S]*tls/)
    expect(code).toBe(0)
    expect((await runSluice(['tls', '--help'])).stdout).toMatch(/Examples:[\s\S]*\$ sluice tls/)
  })

  it('prints the version', async () => {
    expect(await runSluice(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
  })

  it('answers no command with the help, and exit code 2', async () => {
    const { code, stderr } = await runSluice([])
    expect(stderr).toMatch(/Usage: sluice/)
    expect(code).toBe(2)
  })
})
