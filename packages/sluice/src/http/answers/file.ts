// A file as an answer: conditional requests, one range, HEAD (RFC 9110, sections 8.8, 13 and 14).
import { close, constants, fstat, open, read, type Stats } from 'node:fs'
import { errorCode, SluiceError } from '../../core/index.ts'
import { Body } from '../body.ts'
import { PIECE } from '../body-streams.ts'
import { errorPage } from '../error-page.ts'
import { type HeaderFields, HeaderList } from '../headers.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpResponse } from '../response.ts'
import { judgeConditions, rangeOf, type Validators } from './conditions.ts'
import { contentTypeOf } from './content-type.ts'
import { FileSource } from './file-source.ts'

export interface FileOptions {
  /** More fields for the answer, such as Cache-Control. A Content-Type here goes before the one by the file's name. */
  readonly headers?: HeaderFields
}

/** What the platform says of a path where there is no file. */
const MISSING = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENXIO',
  'ERR_INVALID_ARG_VALUE',
])

/** Without waiting for a writer where the path is a pipe. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Answers GET and HEAD with a file: 200, 206 with the range that is asked for, 304 if the client has it, 412 and 416 where
 * the RFC wants them, 404 if there is none or it is no regular file, and 405 for other methods. The file is read as the client takes it, never as
 * a whole; it has the length that it had when it was opened, and an answer is cut if the file has become shorter.
 *
 * The path is opened as it is. It must never be put together from parts of a request without more ado: `..`, links and
 * names of devices lead elsewhere. An answer that is not sent must have its body discarded, which closes the file.
 *
 * @example
 * ```ts
 * serveHttp(request => file(request, '/srv/www/robots.txt', { headers: { 'cache-control': 'max-age=3600' } }))
 * ```
 * @throws {SluiceError} `HTTP_FILE_FAILED` if there is a file that can't be read, `HTTP_HEADER_INVALID`
 */
export async function file(
  request: HttpRequest,
  path: string,
  options: FileOptions = {},
): Promise<HttpResponse> {
  const { method } = request
  if (method !== 'GET' && method !== 'HEAD') {
    const response = errorPage({ status: 405 }, request)
    response.headers.appendProved('allow', 'GET, HEAD')
    return response
  }
  const headers = new HeaderList(options.headers)
  const opened = await openFile(path)
  if (opened === undefined) return errorPage({ status: 404 }, request)
  const { descriptor, stats } = opened
  let kept = false
  try {
    const plan = planFor(request, path, stats, headers)
    if (plan.length === 0 || method === 'HEAD') return { ...plan.response, body: Body.empty }
    if (plan.length <= PIECE) {
      const bytes = await readAll(descriptor, path, plan.first, plan.length)
      return { ...plan.response, body: Body.from(bytes) }
    }
    kept = true
    const source = new FileSource(descriptor, path, plan.first, plan.length)
    return { ...plan.response, body: Body.of(source, plan.length) }
  } finally {
    if (!kept) close(descriptor, () => {})
  }
}

interface Plan {
  readonly response: { readonly status: number; readonly headers: HeaderList }
  readonly first: number
  /** Bytes of the body; for HEAD those that GET would have. */
  readonly length: number
}

function planFor(request: HttpRequest, path: string, stats: Stats, headers: HeaderList): Plan {
  const { size } = stats
  const validators = validatorsOf(stats)
  const condition = judgeConditions(request.headers, validators)
  if (condition === 412) return { response: { status: 412, headers: new HeaderList() }, first: 0, length: 0 }
  headers.set('etag', validators.etag)
  headers.set('last-modified', validators.lastModified)
  if (condition === 304) return { response: { status: 304, headers }, first: 0, length: 0 }

  headers.set('accept-ranges', 'bytes')
  const range = request.method === 'GET' ? rangeOf(request.headers, size, validators) : undefined
  if (range === 'unsatisfiable') {
    const refusal = new HeaderList({ 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' })
    return { response: { status: 416, headers: refusal }, first: 0, length: 0 }
  }
  if (!headers.has('content-type')) headers.append('content-type', contentTypeOf(path))
  if (range === undefined) {
    headers.set('content-length', String(size))
    return { response: { status: 200, headers }, first: 0, length: size }
  }
  const length = range.last - range.first + 1
  headers.set('content-range', `bytes ${range.first}-${range.last}/${size}`)
  headers.set('content-length', String(length))
  return { response: { status: 206, headers }, first: range.first, length }
}

function validatorsOf({ size, mtimeMs }: Stats): Validators {
  // Field values have seconds, and a time before 1970 may not print as one.
  const modified = Math.max(0, Math.floor(mtimeMs / 1000) * 1000)
  return {
    etag: `W/"${size.toString(16)}-${Math.max(0, Math.floor(mtimeMs)).toString(16)}"`,
    lastModified: new Date(modified).toUTCString(),
    modified,
    settled: Date.now() >= modified + 1000,
  }
}

/** Undefined if there is no regular file. */
function openFile(path: string): Promise<{ descriptor: number; stats: Stats } | undefined> {
  return new Promise((resolve, reject) => {
    const onError = (cause: unknown): void => {
      if (MISSING.has(errorCode(cause))) resolve(undefined)
      else reject(failed(path, cause))
    }
    const onOpen = (error: Error | null, descriptor: number): void => {
      if (error !== null) {
        onError(error)
        return
      }
      fstat(descriptor, (error, stats) => {
        if (error === null && stats.isFile()) {
          resolve({ descriptor, stats })
          return
        }
        close(descriptor, () => {})
        if (error === null) resolve(undefined)
        else reject(failed(path, error))
      })
    }
    try {
      open(path, FLAGS, onOpen)
    } catch (error) {
      // A path with a zero byte in it.
      onError(error)
    }
  })
}

function readAll(descriptor: number, path: string, first: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  return new Promise((resolve, reject) => {
    const readFrom = (at: number): void => {
      read(descriptor, bytes, at, length - at, first + at, (cause, count) => {
        if (cause !== null || count === 0) reject(failed(path, cause ?? undefined))
        else if (at + count < length) readFrom(at + count)
        else resolve(bytes)
      })
    }
    readFrom(0)
  })
}

function failed(path: string, cause: unknown): SluiceError {
  const why = cause === undefined ? 'it has become shorter while it was read' : errorCode(cause)
  return new SluiceError('HTTP_FILE_FAILED', `the file ${JSON.stringify(path)} could not be read: ${why}`, {
    cause,
  })
}
