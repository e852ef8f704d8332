// What a run needs on disk: a folder of its own with the certificate, the origin's file, and free ports.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Workspace {
  readonly folder: string
  readonly certificate: string
  readonly key: string
  /** Certificate and key in one file, as HAProxy and hitch want it. */
  readonly both: string
  remove(): void
}

/** The answer's body in the row of requests: 12 bytes. */
export const SMALL_ANSWER = 'hello world\n'
/** The file of the bulk row: 1 MB, of which 1,000 are a GB. */
export const LARGE_ANSWER_BYTES = 1_000_000
/** The file of the slow downloads. */
export const HUGE_ANSWER_BYTES = 10_000_000

export function createWorkspace(): Workspace {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const certificate = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const both = join(folder, 'both.pem')
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key]
      .concat(['-out', certificate, '-days', '2', '-subj', '/CN=localhost'])
      .concat(['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']),
    { stdio: 'ignore' },
  )
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'))
  writeFileSync(join(folder, 'large'), Buffer.alloc(LARGE_ANSWER_BYTES, 'x'))
  writeFileSync(join(folder, 'huge'), Buffer.alloc(HUGE_ANSWER_BYTES, 'x'))
  return { folder, certificate, key, both, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** A port that nothing listened on a moment ago. Below the ephemeral range, which the load uses up. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (!handedOut.has(port) && (await bindable(port))) {
      handedOut.add(port)
      return port
    }
  }
  throw new Error('no free port between 20000 and 30000')
}

const handedOut = new Set<number>()

function bindable(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
