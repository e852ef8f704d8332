// Addresses of sockets: IPv4, IPv6 with zone, unix.

/** An IP address and a port, as observed on a socket or claimed by a header. Immutable; equal ones print equal. */
export class IpAddress {
  readonly family: 'ipv4' | 'ipv6'
  /** Canonical text: dotted for IPv4 (IPv4-mapped IPv6 too), RFC 5952 for IPv6, without brackets or zone. */
  readonly host: string
  readonly port: number
  /** The zone of a link-local IPv6 address (`eth0` in `fe80::1%eth0`). */
  readonly zone: string | undefined

  constructor(family: 'ipv4' | 'ipv6', host: string, port: number, zone?: string) {
    this.family = family
    this.host = host
    this.port = port
    this.zone = zone
  }

  /** `127.0.0.1:443`, `[::1]:443`, `[fe80::1%eth0]:443` */
  toString(): string {
    if (this.family === 'ipv4') return `${this.host}:${this.port}`
    return `[${this.host}${this.zone === undefined ? '' : `%${this.zone}`}]:${this.port}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** The address of a unix socket. `path` is empty for the unnamed end of a connection. */
export class UnixAddress {
  readonly family = 'unix'
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** `unix:/run/app.sock` */
  toString(): string {
    return `unix:${this.path}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A name and a port, still to be resolved. */
export class NamedAddress {
  readonly family = 'name'
  readonly name: string
  readonly port: number

  constructor(name: string, port: number) {
    this.name = name
    this.port = port
  }

  toString(): string {
    return `${this.name}:${this.port}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** An address that a socket can have. */
export type Address = IpAddress | UnixAddress

/** An address that can be listened on or connected to: names are resolved then. */
export type Endpoint = Address | NamedAddress
