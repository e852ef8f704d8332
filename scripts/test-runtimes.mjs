// Runs the tests on every runtime that is supported: npm run test:runtimes [-- node22 node24 node26 bun]
// With --interop the tests with real peers too; they need the packages that npm run test:interop needs.
// The runtimes are pinned, with their integrity, in scripts/runtimes/ and installed into .runtimes/.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}.runtimes/`
const pins = `${root}scripts/runtimes/`
const lock = JSON.parse(readFileSync(`${pins}package-lock.json`, 'utf8'))

const all = ['node22', 'node24', 'node26', 'bun']
const args = process.argv.slice(2)
const projects = args.includes('--interop') ? ['unit', 'interop'] : ['unit']
const named = args.filter(arg => arg !== '--interop')
const chosen = named.length > 0 ? named : all
const unknown = chosen.find(name => !all.includes(name))
if (unknown !== undefined) fail(`there is no runtime "${unknown}"; there are ${all.join(', ')}`)
if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(`the runtimes are fetched for Linux on x64 only, and this is ${process.platform} on ${process.arch}`)
}

install()
const outcomes = chosen.map(run)
console.log('\nruntime          passed  failed  left out  seconds')
for (const { runtime, passed, failed, leftOut, seconds } of outcomes) {
  const numbers = [String(passed).padStart(8), String(failed).padStart(8), String(leftOut).padStart(10)]
  console.log(`${runtime.padEnd(15)}${numbers.join('')}${seconds.toFixed(1).padStart(9)}`)
}
process.exitCode = outcomes.every(outcome => outcome.success) ? 0 : 1

function install() {
  const installed = `${folder}node_modules/.package-lock.json`
  const packages = existsSync(installed) ? JSON.parse(readFileSync(installed, 'utf8')).packages : {}
  const names = Object.keys(lock.packages).filter(name => name !== '')
  if (names.every(name => packages[name]?.integrity === lock.packages[name].integrity)) return
  console.log('Fetching the runtimes …')
  mkdirSync(folder, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) cpSync(pins + file, folder + file)
  // Two of them bring a program named node: their links would overwrite each other.
  const args = ['ci', '--no-bin-links', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) fail('The runtimes could not be fetched; what npm said stands above.')
}

/** @param {string} name */
function run(name) {
  const isBun = name === 'bun'
  const runtime = `${isBun ? 'bun' : 'node'} ${lock.packages[`node_modules/${name}`].version}`
  const binary = `${folder}node_modules/${name}/bin/${isBun ? 'bun' : 'node'}`
  const results = `${folder}results/${name}.json`
  rmSync(results, { force: true })
  console.log(`\n== ${runtime}`)
  const started = performance.now()
  // Without --bun, Bun would start the Node that it finds in the first line of vitest's own program.
  const runner = isBun ? ['--bun', '--preload', `${pins}bun-preload.mjs`] : []
  const { status } = spawnSync(
    binary,
    [
      ...runner,
      `${root}node_modules/vitest/vitest.mjs`,
      'run',
      ...projects.map(project => `--project=${project}`),
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${results}`],
    ],
    // The tests refuse to run on anything else (packages/sluice/test/support/setup.ts).
    { cwd: root, stdio: 'inherit', env: { ...process.env, SLUICE_TEST_RUNTIME: runtime } },
  )
  const report = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : undefined
  return {
    runtime,
    passed: report?.numPassedTests ?? 0,
    failed: report?.numFailedTests ?? 0,
    leftOut: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0),
    seconds: (performance.now() - started) / 1000,
    success: status === 0 && report?.success === true,
  }
}

/** @param {string} message */
function fail(message) {
  console.error(message)
  process.exit(1)
}
