// Where Bun is: on the PATH, or unpacked in .runtimes/, into which it is fetched on request.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const runtimes = fileURLToPath(new URL('../../.runtimes', import.meta.url))
const BUN = '1.4.5'

/** The Bun to run, if there is one. */
export function bunBinary(): string | undefined {
  const [unpacked] = globSync('{*,node_modules/*,node_modules/@oven/*}/bin/bun', { cwd: runtimes })
  if (unpacked !== undefined) return join(runtimes, unpacked)
  return spawnSync('bun', ['--version']).status === 0 ? 'bun' : undefined
}

/** Unpacks Bun's bare binary from the npm registry; nothing of it is run to install it. */
export function fetchBun(): void {
  if (bunBinary() !== undefined) return
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new Error(
      `Bun is fetched for Linux only; on ${process.platform} install it yourself and put it on the PATH`,
    )
  }
  const folder = join(runtimes, `bun-${BUN}`)
  mkdirSync(folder, { recursive: true })
  const name = `@oven/bun-linux-${process.arch === 'x64' ? 'x64' : 'aarch64'}@${BUN}`
  process.stderr.write(`Fetching ${name} …\n`)
  const archive = execFileSync('npm', ['pack', '--silent', name], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()
  execFileSync('tar', ['-xzf', archive, '--strip-components=1'], { cwd: folder })
  rmSync(join(folder, archive))
  if (!existsSync(join(folder, 'bin/bun'))) throw new Error(`${name} has no bin/bun`)
}
