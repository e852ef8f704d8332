// Installs the dependencies if they are missing or out of date, and makes sure that the Node that will run
// is new enough. Runs before every npm script, on any Node from 16 on: quiet and quick when all is well.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.sluice-setup`
const REQUIRED = [22, 18]

const wanted = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .update(readFileSync(`${root}package.json`))
  .digest('hex')
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''

if (installed !== wanted) {
  process.stderr.write('Installing dependencies (once, and again when they change) …\n')
  // Set by the npm that runs this script: its Node and its npm, not whichever is first on the PATH.
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  const result = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (result.status !== 0) fail('The dependencies could not be installed; "npm ci" in this folder says why.')
  writeFileSync(stamp, wanted)
}

let version = nodeVersion()
if (version === undefined) {
  // The bundled Node is built for glibc; where it does not start (Alpine, say), the machine's own serves.
  rmSync(`${root}node_modules/.bin/node`, { force: true })
  version = nodeVersion()
}
const [major = 0, minor = 0] = (version ?? '').replace('v', '').split('.').map(Number)
if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
  fail(
    `Sluice needs Node.js ${REQUIRED.join('.')} or later, and this machine has ${version ?? 'none'}. ` +
      'Install a newer one from https://nodejs.org and run the command again.',
  )
}

/** @returns {string | undefined} the version of the Node that npm scripts run, if it starts at all */
function nodeVersion() {
  const bundled = `${root}node_modules/.bin/node`
  try {
    return execFileSync(existsSync(bundled) ? bundled : 'node', ['--version'], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
