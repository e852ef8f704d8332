// The benchmarks' command line: `npm run bench -- l4`.
import { l4 } from './l4.ts'
import { parseOptions, usage } from './options.ts'

const [name, ...rest] = process.argv.slice(2)

try {
  if (name === undefined || name === '--help' || name === '-h' || rest.includes('--help')) {
    process.stdout.write(usage)
  } else if (name === 'l4') {
    process.exitCode = (await l4(parseOptions(rest))) ? 0 : 1
  } else {
    throw new Error(`there is no benchmark "${name}"; the one there is: l4`)
  }
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
