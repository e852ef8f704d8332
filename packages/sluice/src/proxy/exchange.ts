// One request on its way through the reverse proxy, and its answer on the way back.
import { logger, SluiceError } from '../core/index.ts'
import {
  Body,
  type HeaderList,
  type HttpRequest,
  type LateAnswer,
  requestFields,
  responseFields,
  type UpstreamExchange,
  type UpstreamObserver,
  type UpstreamRequest,
  type UpstreamResponse,
} from '../http/index.ts'
import { type Connection, relay, type Stream } from '../net/index.ts'
import { countForwards } from './max-forwards.ts'
import type { Upstream } from './upstream.ts'
import { addWebSocketKey, checkWebSocketAccept } from './websocket.ts'

const log = logger('proxy')

/** What an exchange needs of its proxy. */
export interface ExchangeSettings {
  readonly host: 'keep' | 'upstream'
  readonly keepUnderscores: boolean
  /** Milliseconds. */
  readonly tunnelIdleTimeout: number
  readonly upstreams: readonly Upstream[]
}

/** Protocols that change the version of HTTP itself: who hands them on loses sight of the requests (h2c smuggling). */
const NEVER_UPGRADED = /^(?:h2c?|tls\/.*|http\/.*)$/

export class ProxyExchange implements UpstreamObserver {
  readonly #settings: ExchangeSettings
  readonly #request: HttpRequest
  readonly #answer: LateAnswer
  readonly #fields: HeaderList
  readonly #upgrade: string | undefined
  readonly #webSocketAccept: string | undefined
  #upstream: Upstream
  #at: number
  #tried = 1
  #sent: UpstreamExchange | undefined
  #attempts = 0
  /** What the upstream has changed its connection to, until the client's is there for it. */
  #stream: Stream | undefined
  #gone = false

  constructor(settings: ExchangeSettings, first: number, request: HttpRequest, answer: LateAnswer) {
    this.#settings = settings
    this.#request = request
    this.#answer = answer
    this.#at = first
    this.#upstream = settings.upstreams[first] as Upstream
    const { upgrade, version } = request
    const isRefused = upgrade !== undefined && NEVER_UPGRADED.test(upgrade)
    // Over HTTP/1.1 the request can be answered as one that asks for no upgrade; a CONNECT of HTTP/2 is nothing else.
    if (isRefused && version === '2') {
      throw new SluiceError('HTTP_UPGRADE_REFUSED', `there are no tunnels for ${upgrade}`)
    }
    this.#upgrade = isRefused ? undefined : upgrade
    this.#fields = requestFields(request, settings.keepUnderscores)
    this.#webSocketAccept = addWebSocketKey(request, this.#fields)
  }

  /** @throws {SluiceError} `HTTP_METHOD_UNSUPPORTED` */
  begin(): void {
    const answer = countForwards(this.#request, this.#fields)
    if (answer !== undefined) {
      this.#request.body.discard()
      this.#answer.resolve(answer)
      return
    }
    this.#request.whenGone(this.#onGone)
    this.#send()
  }

  #send(): void {
    const upstream = this.#upstream
    const { notes } = this.#request
    if (notes !== undefined) notes.upstream = upstream.name
    this.#sent = upstream.pool.send(this.#requestFor(upstream), this)
  }

  #requestFor({ scheme, authority }: Upstream): UpstreamRequest {
    const request = this.#request
    const { target } = request
    return {
      method: request.method,
      scheme,
      authority: this.#settings.host === 'upstream' ? authority : (request.authority ?? authority),
      target: target.charCodeAt(0) === 0x2f || target === '*' ? target : originTarget(request),
      headers: this.#fields,
      body: request.body,
      upgrade: this.#upgrade,
      expectsContinue: request.expectsContinue,
      client: request.connection,
    }
  }

  sending(): void {
    this.#attempts++
    const { notes } = this.#request
    if (notes === undefined) return
    notes.attempts = this.#attempts
    notes.connected = notes.elapsed
  }

  informed(status: number, headers: HeaderList): void {
    if (!this.#gone) this.#request.inform(status, responseFields(headers))
  }

  responded(response: UpstreamResponse): void {
    const { notes } = this.#request
    if (notes !== undefined) notes.responded = notes.elapsed
    const { status, headers, body, stream } = response
    if (this.#gone) {
      stream?.reset()
      body.discard()
      return
    }
    if (stream !== undefined) {
      this.#tunnel(headers, stream)
      return
    }
    // It was answered without the body, which the client holds back: it need not be asked for.
    if (this.#request.expectsContinue && !this.#request.body.used) this.#request.body.discard()
    this.#answer.resolve({ status, headers: responseFields(headers), body })
  }

  failed(error: SluiceError): void {
    if (this.#gone) return
    if (this.#mayTryAnother(error)) {
      this.#tried++
      this.#at = (this.#at + 1) % this.#settings.upstreams.length
      this.#upstream = this.#settings.upstreams[this.#at] as Upstream
      this.#send()
      return
    }
    const { notes } = this.#request
    if (notes !== undefined) notes.error = error.code
    const { name, authority } = this.#upstream
    // What is wrong with a connection says itself whose it is.
    const isNamed = error.side !== 'upstream' || error.message.includes(authority)
    const message = isNamed ? error.message : `${name}: ${error.message}`
    this.#answer.reject(new SluiceError(error.code, message, { cause: error.cause ?? undefined }))
  }

  /** An upstream that could not be connected to has been told nothing: the next one can be asked. */
  #mayTryAnother(error: SluiceError): boolean {
    const isUntouched = error.code.startsWith('CONNECT_') || error.code.startsWith('TLS_UPSTREAM_')
    return isUntouched && this.#tried < this.#settings.upstreams.length
  }

  #tunnel(headers: HeaderList, stream: Stream): void {
    const fields = responseFields(headers)
    try {
      if (this.#webSocketAccept !== undefined) checkWebSocketAccept(headers, this.#webSocketAccept)
    } catch (error) {
      stream.reset()
      this.failed(error as SluiceError)
      return
    }
    const { connection } = this.#request
    const idleTimeout = this.#settings.tunnelIdleTimeout
    // A layer may take its time with the answer, and the client may go meanwhile.
    this.#stream = stream
    const tunnel = (client: Stream): void => {
      this.#stream = undefined
      relay(client, stream, { idleTimeout }).then(outcome => logTunnel(connection, this.#upstream, outcome))
    }
    this.#answer.resolve({ status: 101, headers: fields, body: Body.empty, tunnel })
  }

  readonly #onGone = (): void => {
    this.#gone = true
    this.#sent?.cancel()
    this.#stream?.reset()
  }
}

/** The absolute-form is for proxies that are asked as such (RFC 9112, 3.2.2); for OPTIONS it may mean `*` (3.2.4). */
function originTarget({ method, target, path, query }: HttpRequest): string {
  return method === 'OPTIONS' && target.indexOf('/', target.indexOf('://') + 3) < 0 && query === ''
    ? '*'
    : path + query
}

function logTunnel({ id, peer }: Connection, { name }: Upstream, outcome: object): void {
  if (log.isLevelEnabled('debug'))
    log.debug({ connection: id, peer, upstream: name, ...outcome }, 'tunnelled')
}
