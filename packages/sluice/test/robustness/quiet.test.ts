// In a quiet moment V8 keeps what it has compiled for requests.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const program = fileURLToPath(new URL('../support/quiet-process.ts', import.meta.url))
const flags = ['--expose-gc', '--trace-deopt', '--conditions=@sluice/source']

describe('a quiet moment', () => {
  it('leaves the machine code of requests as it is', { timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, program], {
      maxBuffer: 64 * 1024 * 1024,
    })
    const [, quiet = ''] = /=== quiet\n([\s\S]*)=== over/.exec(stdout) ?? []
    const thrownAway = [...quiet.matchAll(/SharedFunctionInfo (.+?)>/g)].map(([, name]) => name)
    // What the platform does for promises may go.
    const ours =
      /^(?:Http1Exchange|ReceivedRequest|ProxyExchange|Ticket|Http1ClientExchange|responded|requestFields|Http2Exchange|Http2Answer|readHttp2Head|#onHeaders|sendWhole|Immediate|setImmediate|processImmediate)$/
    // Else nothing was traced.
    expect(stdout).toContain('SharedFunctionInfo')
    expect(thrownAway.filter(name => ours.test(name ?? ''))).toEqual([])
    expect(stdout).toContain('=== over')
  })
})
