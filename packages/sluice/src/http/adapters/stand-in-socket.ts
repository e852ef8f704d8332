// What an application of Node gets as `req.socket`: a stream that knows the client, with no socket of the system behind
// it that the application could write to past HTTP.

import { Duplex, type DuplexOptions } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type Address, type Connection, IpAddress } from '../../net/index.ts'
import type { ProxiedInfo } from '../../proxy-protocol/index.ts'
import type { HttpRequest } from '../request.ts'

/** What is read of a connection that came with a PROXY header. */
interface MaybeProxied {
  readonly proxied?: ProxiedInfo | undefined
}

export class StandInSocket extends Duplex {
  readonly #connection: Connection
  /** True over TLS, as the platform's TLS sockets have it. */
  readonly encrypted: boolean
  /** The server that the application listens on, if it brought one. */
  server: unknown
  /** Milliseconds that `setTimeout` was told; 0 for none. */
  timeout: number = 0
  #timer: NodeJS.Timeout | undefined

  constructor(request: HttpRequest, options?: DuplexOptions) {
    super(options)
    this.#connection = request.connection
    this.encrypted = request.scheme === 'https'
  }

  /** The client: who a trusted PROXY header says that it is, else who is at the other end of the connection. */
  get remoteAddress(): string | undefined {
    return hostOf(this.#source)
  }

  get remotePort(): number | undefined {
    return portOf(this.#source)
  }

  get remoteFamily(): string | undefined {
    return familyOf(this.#source)
  }

  get localAddress(): string | undefined {
    return hostOf(this.#connection.local)
  }

  get localPort(): number | undefined {
    return portOf(this.#connection.local)
  }

  get localFamily(): string | undefined {
    return familyOf(this.#connection.local)
  }

  /** Of the client's certificate, where it was asked for and verified. */
  get authorized(): boolean | undefined {
    return this.#tls?.authorized
  }

  get alpnProtocol(): string | false | null | undefined {
    return this.#tls?.alpnProtocol
  }

  get servername(): string | false | null | undefined {
    return this.#tls?.servername
  }

  getPeerCertificate(detailed: boolean = false): object {
    return this.#tls?.getPeerCertificate(detailed) ?? {}
  }

  getProtocol(): string | null {
    return this.#tls?.getProtocol() ?? null
  }

  getCipher(): object | undefined {
    return this.#tls?.getCipher()
  }

  address(): object {
    const { localAddress, localPort, localFamily } = this
    return localAddress === undefined ? {} : { address: localAddress, port: localPort, family: localFamily }
  }

  /** As of the platform's sockets: says `timeout` when nothing has moved for so many milliseconds; 0 for never. */
  setTimeout(milliseconds: number, callback?: () => void): this {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.timeout = milliseconds
    if (callback !== undefined) {
      if (milliseconds === 0) this.off('timeout', callback)
      else this.once('timeout', callback)
    }
    if (milliseconds > 0 && !this.destroyed) {
      this.#timer = setTimeout(() => this.onTimeout(), milliseconds)
      this.#timer.unref()
    }
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy()
    else this.end(() => this.destroy())
  }

  resetAndDestroy(): this {
    return this.destroy()
  }

  /** Something has moved. */
  protected moved(): void {
    this.#timer?.refresh()
  }

  protected onTimeout(): void {
    this.emit('timeout')
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    // Never with the error: nobody may listen for it, and what a client does must not end the process.
    callback(null)
  }

  get #source(): Address {
    return (this.#connection as MaybeProxied).proxied?.source ?? this.#connection.peer
  }

  get #tls(): TLSSocket | undefined {
    const { socket } = this.#connection
    return 'getPeerCertificate' in socket ? (socket as TLSSocket) : undefined
  }
}

function hostOf(address: Address): string | undefined {
  if (!(address instanceof IpAddress)) return undefined
  return address.zone === undefined ? address.host : `${address.host}%${address.zone}`
}

function portOf(address: Address): number | undefined {
  return address instanceof IpAddress ? address.port : undefined
}

function familyOf(address: Address): string | undefined {
  if (!(address instanceof IpAddress)) return undefined
  return address.family === 'ipv4' ? 'IPv4' : 'IPv6'
}
