// What a client is shown when there is no answer: the status and the code, as text, HTML or JSON (RFC 9457).
import { preferredType } from './accept.ts'
import { Body } from './body.ts'
import { HeaderList } from './headers.ts'
import type { HttpRequest } from './request.ts'
import type { HttpResponse } from './response.ts'
import { reasonPhrase } from './status.ts'

/** What there is to be shown. Only the status is always there. */
export interface ErrorPage {
  readonly status: number
  /** A code from docs/errors.md. */
  readonly code?: string
  /** What happened inside, from the outermost message to its causes. For the eyes of developers only. */
  readonly messages?: readonly string[]
}

/** Text first: it is what programs and people at a terminal get, who ask for nothing special. */
const TYPES = ['text/plain', 'text/html', 'application/json', 'application/problem+json'] as const

/** What the `requestId` layer leaves on a request. */
interface MaybeIdentified {
  readonly requestId?: unknown
  readonly requestIdField?: unknown
}

/**
 * An answer that says that there is none, in the form that the client likes best; text if it takes none.
 *
 * @param request undefined if it could not be read
 */
export function errorPage({ messages, ...rest }: ErrorPage, request: HttpRequest | undefined): HttpResponse {
  const page: ErrorPage = messages === undefined ? rest : { ...rest, messages: messages.map(visible) }
  const { requestId, requestIdField } = (request ?? {}) as MaybeIdentified
  const id = typeof requestId === 'string' ? requestId : undefined
  const type = preferredType(request?.headers.get('accept'), TYPES) ?? 'text/plain'
  const headers = new HeaderList()
  if (type === 'text/plain' || type === 'text/html') {
    headers.appendProved('content-type', `${type}; charset=utf-8`)
  } else {
    headers.appendProved('content-type', 'application/problem+json')
  }
  headers.appendProved('cache-control', 'no-store')
  headers.appendProved('x-content-type-options', 'nosniff')
  if (id !== undefined && typeof requestIdField === 'string') headers.append(requestIdField, id)
  let content: string
  if (type === 'text/html') {
    headers.appendProved('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    content = asHtml(page, id)
  } else {
    content = type === 'text/plain' ? asText(page, id) : asJson(page, id)
  }
  return { status: page.status, headers, body: Body.from(content) }
}

function asText({ status, code, messages = [] }: ErrorPage, id: string | undefined): string {
  let text = titleOf(status)
  if (code !== undefined) text += `: ${code}`
  text += '\n'
  if (id !== undefined) text += `request ${id}\n`
  for (const message of messages) text += `${message}\n`
  return text
}

function asJson({ status, code, messages = [] }: ErrorPage, id: string | undefined): string {
  const [detail, ...causes] = messages
  const problem = {
    type: 'about:blank',
    title: reasonPhrase(status),
    status,
    code,
    requestId: id,
    detail,
    ...(causes.length > 0 && { causes }),
  }
  return `${JSON.stringify(problem)}\n`
}

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}' +
  'h1{font-weight:500}p{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}p{color:#999}}'

function asHtml({ status, code, messages = [] }: ErrorPage, id: string | undefined): string {
  const title = titleOf(status)
  let html =
    '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n' +
    `<title>${title}</title>\n<style>${STYLE}</style>\n<h1>${title}</h1>\n`
  for (const message of messages) html += `<p>${escaped(message)}</p>\n`
  const small = [code, id === undefined ? undefined : `request ${id}`].filter(each => each !== undefined)
  if (small.length > 0) html += `<p>${small.map(each => `<code>${escaped(each)}</code>`).join(' · ')}</p>\n`
  return html
}

function titleOf(status: number): string {
  return `${status} ${reasonPhrase(status)}`.trimEnd()
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

/** Control characters, and those that turn the direction of text around, as escapes. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
