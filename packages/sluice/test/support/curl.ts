// curl as a client in tests: what it got, taken apart, byte for byte.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { runPeer, temporaryFolder } from './peers.ts'

export interface CurlAnswer {
  /** curl's exit code: 0, or what its manual says. */
  readonly code: number
  readonly stderr: string
  /** Of the final answer; 0 without one. */
  readonly status: number
  /** `1.0`, `1.1` or `2`. */
  readonly version: string
  /** The statuses of informational answers. */
  readonly informed: readonly number[]
  /** Names in lower case; what came several times is joined with `, `. */
  readonly fields: Readonly<Record<string, string>>
  readonly trailers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** What curl says by `-w`: `num_connects`, `size_upload` and others. */
  readonly stats: Readonly<Record<string, unknown>>
}

let folder: ReturnType<typeof temporaryFolder> | undefined
let count = 0

/** Runs curl for one URL. It takes any certificate; a failure is a result, not an error. */
export async function curl(args: readonly string[], limit = 30_000): Promise<CurlAnswer> {
  if (folder === undefined) {
    const made = temporaryFolder('sluice-curl-')
    process.once('exit', made.remove)
    folder = made
  }
  const base = `${folder.path}/${count++}`
  const result = await runPeer(
    'curl',
    'curl',
    ['-sS', '-k', '-o', `${base}.body`, '-D', `${base}.head`, '-w', '%{json}', ...args],
    { limit },
  )
  return {
    ...sections(taken(`${base}.head`).toString('latin1')),
    code: result.code,
    stderr: result.stderr,
    // What curl writes for -I is the head once more.
    body: args.includes('-I') ? Buffer.alloc(0) : taken(`${base}.body`),
    stats: JSON.parse(result.stdout === '' ? '{}' : result.stdout),
  }
}

/** As `curl`, and fails unless curl was content. */
export async function curlOk(...args: readonly string[]): Promise<CurlAnswer> {
  const answer = await curl(args)
  if (answer.code !== 0) throw new Error(`curl ended with ${answer.code}: ${answer.stderr}`)
  return answer
}

/** Gets several URLs in turn, or at once with `-Z`; for each its status, and how many connections were made for it. */
export async function curlEach(
  args: readonly string[],
  urls: readonly string[],
): Promise<{ status: number; connects: number; size: number }[]> {
  const each = urls.flatMap(url => ['-o', '/dev/null', url])
  const written = '%{response_code} %{num_connects} %{size_download}\\n'
  const { code, stdout, stderr } = await runPeer('curl', 'curl', [
    '-sS',
    '-k',
    '-w',
    written,
    ...args,
    ...each,
  ])
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}`)
  return stdout
    .split('\n')
    .slice(0, -1)
    .map(line => {
      const [status = 0, connects = 0, size = 0] = line.split(' ').map(Number)
      return { status, connects, size }
    })
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function taken(path: string): Buffer {
  if (!existsSync(path)) return Buffer.alloc(0)
  const bytes = readFileSync(path)
  rmSync(path)
  return bytes
}

/** curl writes informational answers, the answer, and trailers one after the other. */
function sections(text: string): Pick<CurlAnswer, 'status' | 'version' | 'informed' | 'fields' | 'trailers'> {
  const informed: number[] = []
  const fields: Record<string, string> = {}
  const trailers: Record<string, string> = {}
  let status = 0
  let version = ''
  let at = 'head'
  for (const line of text.split('\r\n')) {
    const [, spoken, code] = /^HTTP\/([\d.]+) (\d{3})/.exec(line) ?? []
    if (spoken !== undefined) {
      if (Number(code) < 200) informed.push(Number(code))
      else [version, status] = [spoken, Number(code)]
    } else if (line === '') {
      if (status !== 0) at = 'trailers'
    } else if (status !== 0) {
      const [, name = '', value = ''] = /^([^:]*):\s*(.*)$/.exec(line) ?? []
      const into = at === 'head' ? fields : trailers
      const key = name.toLowerCase()
      into[key] = into[key] === undefined ? value : `${into[key]}, ${value}`
    }
  }
  return { status, version, informed, fields, trailers }
}
