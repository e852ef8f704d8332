// Packs the package and uses it as a stranger would: installed in a clean folder, run with npx, imported from
// TypeScript. Needs `npm run build` first. Node 22, the oldest that is supported, is tried too if
// `npm run test:runtimes` has fetched it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = join(root, 'packages/sluice')
const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
const development = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies
const subpaths = Object.keys(manifest.exports).filter(path => path !== './package.json')
const folder = mkdtempSync(join(tmpdir(), 'sluice-package-'))
const oldest = join(root, '.runtimes/node_modules/node22/bin/node')
let failed = 0

try {
  await check('npm pack has what it should', pack)
  await check('it installs into a clean folder', install)
  await check('npx sluice --version', () => {
    const output = run('npx', ['--no-install', 'sluice', '--version'])
    if (output.trim() !== manifest.version) throw new Error(`it printed ${output}`)
  })
  await check('TypeScript that imports every part of it type-checks', () =>
    run('npx', ['--no-install', 'tsc']),
  )
  await check('a program that uses it serves, and stops', () => serve(process.execPath))
  if (existsSync(oldest)) {
    await check('the same on Node 22', () => serve(oldest))
    await check('sluice --version on Node 22', () => {
      run(oldest, ['node_modules/sluice/dist/cli/main.js', '--version'])
    })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1

function pack() {
  const [{ files, filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', folder], source),
  )
  const paths = files.map(file => file.path)
  for (const needed of [
    'LICENSE',
    'README.md',
    'package.json',
    'dist/core/index.js',
    'dist/core/index.d.ts',
  ]) {
    if (!paths.includes(needed)) throw new Error(`${needed} is not in it`)
  }
  const stray = paths.find(path => /\.test(-d)?\./.test(path) || !/^(dist|src)\/|^[^/]+$/.test(path))
  if (stray !== undefined) throw new Error(`${stray} does not belong in it`)
  if (readFileSync(join(source, 'LICENSE'), 'utf8') !== readFileSync(join(root, 'LICENSE'), 'utf8')) {
    throw new Error('packages/sluice/LICENSE is not the LICENSE of the repository; copy it')
  }
  return filename
}

function install() {
  const tarball = `sluice-${manifest.version}.tgz`
  const names = subpaths.map(path => path.replace(/^\./, 'sluice'))
  write('package.json', JSON.stringify({ private: true, type: 'module' }))
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'es2024',
        module: 'nodenext',
        strict: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        types: ['node'],
        outDir: 'out',
        rootDir: 'src',
      },
      include: ['src'],
    }),
  )
  mkdirSync(join(folder, 'src'))
  write('src/all.ts', names.map((name, i) => `export * as part${i} from '${name}'\n`).join(''))
  for (const file of readdirSync(join(root, 'examples')).filter(file => file.endsWith('.ts'))) {
    cpSync(join(root, 'examples', file), join(folder, 'src', file))
  }
  // The compiler, and what the examples use beside the package.
  const used = ['typescript', '@types/node', 'express', '@types/express']
  const others = used.map(name => `${name}@${development[name]}`)
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `./${tarball}`, ...others])
}

/** @param {string} node */
async function serve(node) {
  run(node, ['out/all.js'])
  const ports = [await freePort(), await freePort()]
  const [EDGE, GREETER] = ports.map(port => `127.0.0.1:${port}`)
  const env = { ...process.env, EDGE, GREETER }
  const program = spawn(node, ['out/tls-termination.js'], { cwd: folder, env, stdio: 'inherit' })
  const exit = once(program, 'exit')
  try {
    const until = performance.now() + 15_000
    let answer = await get(ports[0])
    while (answer === undefined && performance.now() < until && program.exitCode === null) {
      await wait(50)
      answer = await get(ports[0])
    }
    if (!answer?.startsWith('hello client 127.0.0.1:')) throw new Error(`it answered ${answer}`)
  } finally {
    program.kill('SIGTERM')
  }
  const [code] = await exit
  if (code !== 0) throw new Error(`it ended with ${code}`)
}

/**
 * @param {number} port
 * @returns {Promise<string | undefined>} undefined as long as nothing listens there
 */
function get(port) {
  return new Promise(resolve => {
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }
    request(options, response => {
      response.setEncoding('utf8').once('data', resolve)
    })
      .once('error', () => resolve(undefined))
      .end()
  })
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
function run(command, args, cwd = folder) {
  // A program in the installed folder must not see the workspace, nor the source that it exports for itself.
  const env = { ...process.env, NODE_OPTIONS: '', NODE_PATH: '' }
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${error ?? ''}${stdout}${stderr}`)
  return stdout
}

/**
 * @param {string} name
 * @param {string} text
 */
function write(name, text) {
  writeFileSync(join(folder, name), text)
}

/**
 * @param {string} name
 * @param {() => unknown} body
 */
async function check(name, body) {
  try {
    await body()
    console.log(`ok      ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAILED  ${name}\n${error.message}`)
  }
}
