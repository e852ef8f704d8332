// What the command line says to mistakes: one line that says what to do, and the exit code.
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { version } from '../../src/cli/version.ts'
import { testCertificate } from '../support/certificates.ts'
import { runSluice } from '../support/cli.ts'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-usage-'))
  for (const name of ['one', 'two', 'old']) {
    const { cert, key } = await testCertificate({ name, ...(name === 'old' && { from: -9, until: -2 }) })
    writeFileSync(join(folder, `${name}.pem`), cert)
    writeFileSync(join(folder, `${name}.key`), key)
  }
  writeFileSync(join(folder, 'empty.pem'), '')
  const locked = createPrivateKey(readFileSync(join(folder, 'one.key'))).export({
    ...{ type: 'pkcs8', format: 'pem' },
    ...{ cipher: 'aes-256-cbc', passphrase: 'open sesame' },
  })
  writeFileSync(join(folder, 'locked.key'), locked)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is said to a mistake: one line, and nothing where the output of a program is expected. */
async function mistake(...args: string[]): Promise<{ line: string; code: number | null }> {
  const { stderr, stdout, code } = await runSluice(args)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^sluice: [^\n]+ \[[A-Z_]+\]\n$/)
  return { line: stderr.trimEnd(), code }
}

describe('mistakes on the command line are answered with one line, and 2', () => {
  const here = ['--listen', '127.0.0.1:0'] as const
  const cases: readonly [what: string, args: readonly string[], says: RegExp][] = [
    [
      'a bad address to listen on',
      ['--listen', '1.2.3:80', '--to', '3000'],
      /--listen: .*"1\.2\.3:80".* four/,
    ],
    ['a URL as the backend', [...here, '--to', 'http://a:1'], /--to: .*"http:\/\/a:1".* it is a URL/],
    ['a missing option', [...here], /'-t, --to <address>' not specified/],
    [
      'an option misspelled',
      [...here, '--to', '1', '--send-prxy', 'v1'],
      /'--send-prxy'.*Did you mean --send-proxy\?/,
    ],
    ['something left over', [...here, '--to', '1', '3000'], /too many arguments/],
    [
      'a bad network',
      [...here, '--to', '1', '--accept-proxy', '10.0.0.1/8'],
      /--accept-proxy: .*10\.0\.0\.0\/8/,
    ],
    ['a bad duration', [...here, '--to', '1', '--drain-limit', 'soon'], /--drain-limit: .*"soon".*30s/],
    ['a bad PROXY version', [...here, '--to', '1', '--send-proxy', 'v3'], /'v3' is invalid.* v1, v2/],
    ['an empty list of protocols', [...here, '--to', '1', '--alpn', ','], /--alpn: .* empty/],
    ['a bad protocol', [...here, '--to', '1', '--alpn', 'x'.repeat(256)], /ALPN.*TLS_OPTION_INVALID/],
    ['a key without a certificate', [...here, '--to', '1', '--key', 'a.key'], /--cert FILE/],
  ]
  it.each(cases)('%s', async (_, args, says) => {
    const { line, code } = await mistake('tls', ...args)
    expect(line).toMatch(says)
    expect(code).toBe(2)
  })

  const proxyCases: readonly [what: string, args: readonly string[], says: RegExp][] = [
    ['no upstream', ['proxy'], /no upstream; name one, such as --to 3000 \[USAGE\]/],
    ['a path in an upstream', ['proxy', '--to', 'http://a:1/app'], /--to: .*a path.*write http:\/\/a:1/],
    [
      'a path in an upstream, for short',
      ['localhost:3000/app'],
      /^sluice: upstream: .*write localhost:3000 /,
    ],
    ['a host without a port, for short', ['localhost'], /upstream: .* write localhost:8080/],
    ['a port that is none, for short', ['99999'], /upstream: .*"99999" is not a port/],
    ['a path in --from', ['3000', '--from', 'https://a/b'], /--from: .*a path.*write https:\/\/a /],
    ['options before the upstream, for short', ['--http', '3000', '--cert', 'a.pem'], /--cert is for TLS/],
    ['an option misspelled, for short', ['3000', '--access-logs', 'off'], /Did you mean --access-log\?/],
    ['a bad network', ['3000', '--trust', 'anybody'], /--trust: .*"anybody"/],
    ['an unknown format', ['3000', '--access-log', 'xml'], /'xml' is invalid.* pretty, json, combined, off/],
    ['an unknown Host', ['3000', '--host', 'none'], /'none' is invalid.* keep, upstream/],
    ['what contradicts itself', ['3000', '--http', '--from', 'https://:1'], /--http contradicts.* leave one/],
    ['what would do nothing', ['3000', '--ca', 'ca.pem'], /--ca is for https upstreams/],
  ]
  it.each(proxyCases)('of sluice proxy: %s', async (_, args, says) => {
    const { line, code } = await mistake(...args)
    expect(line).toMatch(says)
    expect(code).toBe(2)
  })

  it.each([
    ['tsl', /unknown command 'tsl'.*Did you mean tls\?/],
    ['prxy', /unknown command 'prxy'.*Did you mean proxy\?/],
    ['sluice.config.ts', /unknown command 'sluice\.config\.ts'; --help shows/],
  ])('an unknown command: %s', async (command, says) => {
    const { line, code } = await mistake(command, '3000')
    expect(line).toMatch(says)
    expect(code).toBe(2)
  })
})

describe('what keeps a program from starting is said in one line, with 1', () => {
  const cases: readonly [what: string, cert: string, key: string, says: RegExp][] = [
    [
      'a file that is not there',
      'nowhere.pem',
      'one.key',
      /nowhere\.pem" does not exist.*TLS_CERTIFICATE_FILE/,
    ],
    [
      'a key that is not there',
      'one.pem',
      'nowhere.key',
      /nowhere\.key" does not exist.*TLS_CERTIFICATE_FILE/,
    ],
    ['a folder instead of a file', '.', 'one.key', /is a directory; pass a file/],
    ['a key that is encrypted', 'one.pem', 'locked.key', /locked\.key.*encrypted.*passphrase/],
    ["another certificate's key", 'one.pem', 'two.key', /two\.key.*one\.pem.*TLS_KEY_MISMATCH/],
    [
      'an expired certificate',
      'old.pem',
      'old.key',
      /old\.pem" has expired \(\d{4}-\d\d-\d\d.*TLS_CERTIFICATE_EXPIRED/,
    ],
    ['a file without a certificate', 'empty.pem', 'one.key', /empty\.pem.*TLS_CERTIFICATE_INVALID/],
    ['files exchanged', 'one.key', 'one.pem', /one\.key.*TLS_CERTIFICATE_INVALID/],
  ]
  it.each(cases)('%s', async (_, cert, key, says) => {
    const files = ['--cert', join(folder, cert), '--key', join(folder, key)]
    const { line, code } = await mistake('tls', '--listen', '127.0.0.1:0', '--to', '1', ...files)
    expect(line).toMatch(says)
    expect(code).toBe(1)
  })

  it('a certificate whose file holds no key, without one', async () => {
    const { line, code } = await mistake(
      'tls',
      '-l',
      '127.0.0.1:0',
      '-t',
      '1',
      '--cert',
      join(folder, 'one.pem'),
    )
    expect(line).toMatch(/one\.pem holds no private key; pass it with --key FILE/)
    expect(code).toBe(2)
  })

  it('an address in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const { line, code } = await mistake('tls', '--listen', `127.0.0.1:${port}`, '--to', '1')
    server.close()
    expect(line).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} .*in use.*LISTEN_ADDRESS_IN_USE`))
    expect(code).toBe(1)
  })

  it('an address in use, of sluice proxy: with another to choose', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { line, code } = await mistake('3000', '--from', String(port))
    server.close()
    expect(line).toMatch(
      new RegExp(`127\\.0\\.0\\.1:${port} is in use by another program; .* such as --from ${port + 1} `),
    )
    expect(line).toContain('LISTEN_ADDRESS_IN_USE')
    expect(code).toBe(1)
  })

  it('CAs that are not there', async () => {
    const { line, code } = await mistake(
      'https://localhost:1',
      '--from',
      '0',
      '--ca',
      join(folder, 'nowhere.pem'),
    )
    expect(line).toMatch(/nowhere\.pem" does not exist.*TLS_CA_INVALID/)
    expect(code).toBe(1)
  })

  it('an address of another machine', async () => {
    const { line, code } = await mistake('tls', '--listen', '192.0.2.1:0', '--to', '1')
    expect(line).toMatch(/192\.0\.2\.1.*LISTEN_ADDRESS_UNAVAILABLE/)
    expect(code).toBe(1)
  })
})

describe('help', () => {
  it('lists the commands, and each has examples', async () => {
    const { stdout, code } = await runSluice(['--help'])
    expect(stdout).toMatch(/proxy[\s\S]*tls[\s\S]*demo/)
    expect(code).toBe(0)
  })

  it.each(['demo', 'tls', 'proxy'])('shows an example of %s', async command => {
    const { stdout, stderr, code } = await runSluice([command, '--help'])
    expect(stdout).toMatch(new RegExp(`Usage: sluice ${command}[\\s\\S]*\\$ sluice ${command}`))
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  it('prints the version', async () => {
    const printed = await runSluice(['--version'])
    expect(printed).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    expect(version).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('answers no command with the help, and exit code 2', async () => {
    const { code, stderr } = await runSluice([])
    expect(stderr).toMatch(/Usage: sluice/)
    expect(code).toBe(2)
  })
})
