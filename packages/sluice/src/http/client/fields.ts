// The fields of a request as the upstream gets them: what belongs to one connection is taken off (RFC 9110, section
// 7.6.1), and what says who the client is is made here, or extended where a trusted proxy began it.
import type { Connection } from '../../net/index.ts'
import { equalsIgnoringCase, membersOf } from '../grammar.ts'
import { HeaderList } from '../headers.ts'
import type { ForwardedClient } from '../layers/trust-forwarded.ts'
import type { HttpRequest } from '../request.ts'
import { Section, SectionWriter } from '../section.ts'
import { addIdentity, type KnownClient, mayBeIdentity, untrustedFields } from './identity.ts'

/**
 * Fields that Connection can't take away: they say who the client is or what it may do, or frame the message. Any field
 * that a layer has added stays as well.
 */
const KEPT =
  /^(?:authorization|(?:set-)?cookie|origin|referer|forwarded|via|range|www-authenticate|cache-control|strict-transport-security|(?:permissions|referrer)-policy|(?:access-control|content|cross-origin|if|remote|sec|ssl)-.*|x-(?:auth|client|content-type|csrf|forwarded|frame|real|remote|request|ssl|user|xsrf).*)$/

/**
 * The fields of a request for an upstream: without what is about the client's connection, and with who the client is.
 * X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239) and Via that came from strangers are replaced; from a client
 * that `trustForwarded` trusts, they are kept and extended.
 *
 * @param keepUnderscores whether fields with an underscore in their name are handed on; those with a dot or another
 *   sign that some applications take for a dash never are
 */
export function requestFields(request: HttpRequest, keepUnderscores: boolean): HeaderList {
  const { client, requestId } = request as unknown as KnownClient
  const trusted = client?.trusted === true ? client : undefined
  const { headers } = request
  const fields =
    trusted === undefined && canRepeat(headers)
      ? repeatedFields(request, keepUnderscores)
      : fieldsFrom(headers, request, keepUnderscores, trusted)
  if (requestId !== undefined) fields.set('x-request-id', requestId)
  return fields
}

function fieldsFrom(
  headers: HeaderList,
  request: HttpRequest,
  keepUnderscores: boolean,
  trusted: ForwardedClient | undefined,
): HeaderList {
  const untrusted = untrustedFields(trusted)
  const connection = headers.get('connection')
  const named = connection === undefined ? undefined : namedBy(connection)
  const section = headers.section.without((text, start, end) => {
    if (isConnectionField(text, start, end) || mayBeAlias(text, start, end, keepUnderscores)) return true
    if (named === undefined && !mayBeIdentity(text, start)) return false
    const name = text.slice(start, end)
    if (named?.has(name.toLowerCase()) === true) return true
    return untrusted.test(keepUnderscores ? name.replaceAll('_', '-') : name)
  })
  const fields = new HeaderList(section)
  copyAdded(headers, fields)
  addIdentity(fields, request, trusted)
  // The one thing that a client says of its connection that upstreams need to hear (gRPC).
  if (wantsTrailers(headers)) fields.appendProved('te', 'trailers')
  return fields
}

/** Copies what layers have added: any field but those of a connection. */
function copyAdded({ added }: HeaderList, fields: HeaderList): void {
  for (let at = 0; at < added.length; at += 2) {
    const name = added[at] as string
    if (!isConnectionField(name, 0, name.length)) fields.appendProved(name, added[at + 1] as string)
  }
}

/** What upstreams get of a section, for all the requests of a connection that come with it. */
class HandedOn {
  readonly section: Section
  readonly #connection: Connection
  readonly #authority: string | undefined
  readonly #scheme: string
  readonly #version: string
  readonly #keepUnderscores: boolean

  constructor(section: Section, request: HttpRequest, keepUnderscores: boolean) {
    this.section = section
    this.#connection = request.connection
    this.#authority = request.authority
    this.#scheme = request.scheme
    this.#version = request.version
    this.#keepUnderscores = keepUnderscores
  }

  /** Whether it is for this request, too: all that the fields depend on is the same. */
  isFor({ authority, connection, scheme, version }: HttpRequest, keepUnderscores: boolean): boolean {
    return (
      connection === this.#connection &&
      authority === this.#authority &&
      scheme === this.#scheme &&
      version === this.#version &&
      keepUnderscores === this.#keepUnderscores
    )
  }
}

/** Fields that change what becomes of others. */
const SPECIAL = /^(?:te|connection|x-forwarded(?:-.*)?|forwarded|via)$/i

/** Whether the fields of the section may come again, and what layers have added changes nothing about them. */
function canRepeat({ added, section }: HeaderList): boolean {
  if (!section.mayRepeat) return false
  for (let at = 0; at < added.length; at += 2) if (SPECIAL.test(added[at] as string)) return false
  return true
}

/** As `fieldsFrom` has it, where most was made before. */
function repeatedFields(request: HttpRequest, keepUnderscores: boolean): HeaderList {
  const { headers } = request
  const known = headers.section.memo
  const isKnown = known instanceof HandedOn && known.isFor(request, keepUnderscores)
  const fields = new HeaderList(isKnown ? known.section : handOn(request, keepUnderscores))
  copyAdded(headers, fields)
  return fields
}

/** Makes it of the section alone, and keeps it. */
function handOn(request: HttpRequest, keepUnderscores: boolean): Section {
  const { section } = request.headers
  const made = new SectionWriter()
  const fields = fieldsFrom(new HeaderList(section), request, keepUnderscores, undefined)
  for (const [name, value] of fields) made.add(name, value)
  const handedOn = made.section()
  handedOn.mayRepeat = true
  section.memo = new HandedOn(handedOn, request, keepUnderscores)
  return handedOn
}

/** Hop-by-hop fields, those that are made anew for the next connection, and Host, which is told beside the fields. */
function isConnectionField(text: string, start: number, end: number): boolean {
  switch (end - start) {
    case 2:
      return equalsIgnoringCase(text, start, end, 'te')
    case 4:
      return equalsIgnoringCase(text, start, end, 'host')
    case 5:
      // No field of HTTP, but CGI makes the variable HTTP_PROXY of it, which its clients obey (CVE-2016-5385).
      return equalsIgnoringCase(text, start, end, 'proxy')
    case 6:
      return equalsIgnoringCase(text, start, end, 'expect')
    case 7:
      return equalsIgnoringCase(text, start, end, 'upgrade')
    case 10:
      return (
        equalsIgnoringCase(text, start, end, 'connection') ||
        equalsIgnoringCase(text, start, end, 'keep-alive')
      )
    case 14:
      return (
        equalsIgnoringCase(text, start, end, 'content-length') ||
        equalsIgnoringCase(text, start, end, 'http2-settings')
      )
    case 16:
      return equalsIgnoringCase(text, start, end, 'proxy-connection')
    case 17:
      return equalsIgnoringCase(text, start, end, 'transfer-encoding')
    default:
      return false
  }
}

/**
 * Underscores are dashes to many applications (CGI, WSGI): `X_Forwarded_For` would pass for the field of a proxy. To some,
 * and so would `X.Forwarded.For`: every character but letters and digits. nginx drops such names, too.
 */
function mayBeAlias(text: string, start: number, end: number, keepUnderscores: boolean): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    const letter = code | 0x20
    if ((letter >= 0x61 && letter <= 0x7a) || code === 0x2d || (code >= 0x30 && code <= 0x39)) continue
    if (code !== 0x5f || !keepUnderscores) return true
  }
  return false
}

/** The fields that Connection names, in lower case; undefined where it names none that can be taken away. */
function namedBy(connection: string): ReadonlySet<string> | undefined {
  const lower = connection.toLowerCase()
  if (lower === 'keep-alive' || lower === 'close' || lower === 'upgrade') return undefined
  const names = membersOf(lower).filter(name => !KEPT.test(name))
  return names.length === 0 ? undefined : new Set(names)
}

function wantsTrailers(headers: HeaderList): boolean {
  const te = headers.get('te')
  return te !== undefined && /(?:^|,)[ \t]*trailers[ \t]*(?:;|,|$)/i.test(te)
}

/** The fields of an answer as the client gets them. */
export function responseFields(headers: HeaderList): HeaderList {
  const { added, section } = headers
  const { memo } = section
  if (added.length === 0 && memo instanceof Section) return new HeaderList(memo)
  const connection = headers.get('connection')
  const named = connection === undefined ? undefined : namedBy(connection)
  const drop = (text: string, start: number, end: number): boolean => isHopByHop(text, start, end, named)
  let kept = section.without(drop)
  if (section.mayRepeat && added.length === 0) {
    // What is made of the fields here is not what was made of those that came.
    if (kept === section) kept = new Section(section.text, section.offsets)
    kept.mayRepeat = true
    section.memo = kept
  }
  const fields = new HeaderList(kept)
  for (let at = 0; at < added.length; at += 2) {
    const name = added[at] as string
    if (!drop(name, 0, name.length)) fields.appendProved(name, added[at + 1] as string)
  }
  return fields
}

function isHopByHop(
  text: string,
  start: number,
  end: number,
  named: ReadonlySet<string> | undefined,
): boolean {
  switch (end - start) {
    case 2:
    case 7:
    case 10:
    case 16:
    case 17:
      if (isConnectionField(text, start, end)) return true
      break
    default:
  }
  return named?.has(text.slice(start, end).toLowerCase()) === true
}
