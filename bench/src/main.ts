// The benchmarks' command line: `npm run bench -- l4`, `npm run bench -- http`.
import { run } from './benchmark.ts'
import { http } from './http.ts'
import { l4 } from './l4.ts'
import { parseOptions, usage } from './options.ts'

const benchmarks = [l4, http]
const [name, ...rest] = process.argv.slice(2)
const wantsHelp = (argument: string): boolean => argument === '--help' || argument === '-h'

try {
  const benchmark = benchmarks.find(benchmark => benchmark.name === name)
  if (benchmark !== undefined) {
    if (rest.some(wantsHelp)) process.stdout.write(usage(benchmark))
    else process.exitCode = (await run(benchmark, parseOptions(benchmark, rest))) ? 0 : 1
  } else if (name === undefined || wantsHelp(name)) {
    process.stdout.write(benchmarks.map(usage).join('\n'))
  } else {
    throw new Error(`there is no benchmark "${name}"; there are: l4, http`)
  }
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
