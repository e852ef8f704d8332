// Runs the handshakes of one acceptTls layer, on a tls.Server that never listens.
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { SluiceError } from '../core/index.ts'
import { type Certificate, type CertificateSource, issueFailed } from './certificates/index.ts'
import { unverified } from './client-certificate.ts'
import { handshakeError, handshakeTimeout } from './handshake-error.ts'
import { whileConnected } from './while-connected.ts'

export interface AcceptorOptions {
  readonly source: CertificateSource
  readonly context: SecureContextOptions
  readonly alpn: string[] | undefined
  /** Whether a client certificate is asked for, and whether a handshake without one fails. */
  readonly clientCertificates: 'none' | 'optional' | 'required'
  /** Milliseconds for the whole of the ClientHello and the handshake. */
  readonly timeout: number
}

/** A handshake under way. */
interface Handshake {
  readonly resolve: (socket: TLSSocket) => void
  readonly reject: (error: unknown) => void
  timer: NodeJS.Timeout | undefined
}

type SelectContext = (error: Error | null, context?: SecureContext) => void

/** Zero would mean the platform's default; for what is below it, the platform starts no timer. */
const NONE = -1

/**
 * A handshake goes through a `tls.Server`, because only there the platform tells whether a client's certificate was
 * verified, and only its sockets work with HTTP/2 (a TLSSocket made by hand says for ever that it is still connecting).
 * The server costs no more than that: it is told of each connection and never listens.
 */
export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #context: SecureContextOptions
  /** By the socket below: a TLS socket knows it as its parent, in Node and in Bun. */
  readonly #handshakes = new Map<Socket, Handshake>()
  readonly #contexts = new WeakMap<Certificate, SecureContext>()
  #server: Server | undefined
  #certificate: Certificate | undefined

  constructor(options: AcceptorOptions) {
    this.#options = options
    // A session resumes only in the layer that it was made by: another may ask for other client certificates. Contexts
    // that are chosen by server name need the same one, or resumption with client certificates fails.
    this.#context = { ...options.context, sessionIdContext: randomBytes(16).toString('hex') }
    // Making a certificate takes a moment: begin now. If it fails, the first client's connection says so.
    const certificate = this.#ask()
    if (certificate instanceof Promise) certificate.catch(ignore)
    else this.#serverFor(certificate)
  }

  /**
   * Makes TLS of a socket; rejects with a coded error. `timeout` is what is left of the time for the handshake. With a
   * certificate that is there already, the promise of the handshake is the only one that is made.
   */
  accept(raw: Socket, timeout: number): Promise<TLSSocket> {
    try {
      const certificate = this.#ask()
      return certificate instanceof Promise
        ? this.#acceptLater(raw, timeout, certificate)
        : this.#handshake(raw, timeout, certificate)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #acceptLater(raw: Socket, timeout: number, certificate: Promise<Certificate>): Promise<TLSSocket> {
    const deadline = performance.now() + timeout
    const ready = await whileConnected(raw, certificate, timeout, () => this.#tooLate())
    return this.#handshake(raw, deadline - performance.now(), ready)
  }

  #handshake(raw: Socket, timeout: number, certificate: Certificate): Promise<TLSSocket> {
    const server = this.#serverFor(certificate)
    return new Promise((resolve, reject) => {
      if (raw.destroyed || raw.readableEnded) return reject(handshakeError({ code: 'ECONNRESET' }))
      const handshake: Handshake = { resolve, reject, timer: undefined }
      handshake.timer = setTimeout(giveUp, timeout, this.#handshakes, raw, this.#options.timeout)
      this.#handshakes.set(raw, handshake)
      // A client that closes its side in the middle of the handshake has gone: that a half may stay open is true again
      // when there is something to be half of.
      raw.allowHalfOpen = false
      server.emit('connection', raw)
    })
  }

  /** The certificate for clients that name no server. Whatever a source does, an error of it has a code. */
  #ask(): Certificate | Promise<Certificate> {
    try {
      const certificate = this.#options.source.certificate()
      return certificate instanceof Promise ? certificate.catch(failed) : certificate
    } catch (error) {
      return failed(error)
    }
  }

  #tooLate(): SluiceError {
    const { timeout } = this.#options
    return new SluiceError(
      'TLS_ISSUE_FAILED',
      `the certificate source had no certificate within the ${timeout} ms of the handshake`,
    )
  }

  /** The server, with this certificate; it is the same object until the source has a new one. */
  #serverFor(certificate: Certificate): Server {
    if (this.#server !== undefined && certificate === this.#certificate) return this.#server
    try {
      const context = { ...this.#context, cert: certificate.cert, key: certificate.key }
      if (this.#server === undefined) this.#server = this.#serve(context)
      else this.#server.setSecureContext(context)
    } catch (error) {
      throw issueFailed('the certificate can not be served', error)
    }
    this.#certificate = certificate
    return this.#server
  }

  #serve(context: SecureContextOptions): Server {
    const { alpn, clientCertificates, source } = this.#options
    const server = createServer({
      ...context,
      ...(alpn !== undefined && { ALPNProtocols: alpn }),
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'required',
      // Ours covers the ClientHello too, and whatever waits for a certificate.
      handshakeTimeout: NONE,
      // Without names to choose by, there is no callback to be made in the middle of each handshake.
      ...(source.byServerName !== undefined && {
        SNICallback: (name: string, done: SelectContext) => void this.#select(name, done),
      }),
    })
    server.on('secureConnection', socket => {
      socket.on('error', ignore)
      socket.allowHalfOpen = true
      this.#take(socket)?.resolve(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      socket.on('error', ignore)
      this.#take(socket)?.reject(refusedCertificate(socket) ?? handshakeError(error))
    })
    return server
  }

  /** Nothing that fails here may escape: it is called in the middle of a handshake, by the platform. */
  async #select(name: string, done: SelectContext): Promise<void> {
    try {
      const { source } = this.#options
      const certificate = await source.byServerName?.(name)
      done(null, certificate && this.#contextFor(certificate))
    } catch (error) {
      done(issueFailed(`there is no certificate for the server name ${JSON.stringify(name)}`, error))
    }
  }

  #contextFor(certificate: Certificate): SecureContext {
    let context = this.#contexts.get(certificate)
    if (context === undefined) {
      context = createSecureContext({ ...this.#context, cert: certificate.cert, key: certificate.key })
      this.#contexts.set(certificate, context)
    }
    return context
  }

  #take(socket: TLSSocket): Handshake | undefined {
    const raw = (socket as unknown as { readonly _parent?: Socket })._parent
    const handshake = raw && this.#handshakes.get(raw)
    if (raw === undefined || handshake === undefined) {
      // It has been given up already, and closes with the socket below: destroying it after that one, in the middle of
      // a handshake, crashes Node.
      if (raw?.destroyed !== true) socket.destroy()
      return undefined
    }
    clearTimeout(handshake.timer)
    this.#handshakes.delete(raw)
    return handshake
  }
}

/** A client certificate that was not accepted looks to the platform as if the client had gone; here is why. */
function refusedCertificate(socket: TLSSocket): Error | undefined {
  const reason = socket.authorizationError as unknown
  return reason === null || reason === undefined ? undefined : unverified(String(reason))
}

function failed(error: unknown): never {
  throw issueFailed('the certificate source failed', error)
}

/** Takes the errors of sockets that have failed already. */
function ignore(): void {}

function giveUp(handshakes: Map<Socket, Handshake>, raw: Socket, limit: number): void {
  const handshake = handshakes.get(raw)
  handshakes.delete(raw)
  raw.destroy()
  handshake?.reject(handshakeTimeout(limit))
}
